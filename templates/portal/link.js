// A personal link carries its token behind the `#`, which no browser sends. Here it moves from the address
// into the form, and out of the address and the history. Without this script people paste the link.
(function () {
  "use strict";
  var token = location.hash.slice(1);
  var field = document.getElementById("token");
  if (!/^fw1_[A-Za-z0-9_-]+$/.test(token)) return;
  if (!field) {
    location.replace(document.getElementById("by-hand").href + "#" + token);
    return;
  }
  field.value = token;
  document.getElementById("token-field").hidden = true;
  history.replaceState(null, "", location.pathname);
})();
