// A button that shows what was typed, for whoever has scripts.
(function () {
  "use strict";
  var words = document.currentScript.dataset;
  var field = document.getElementById("password");
  var button = document.createElement("button");
  button.type = "button";
  button.className = "show";
  button.textContent = words.show;
  button.setAttribute("aria-controls", "password");
  button.addEventListener("click", function () {
    var hidden = field.type === "password";
    field.type = hidden ? "text" : "password";
    button.textContent = hidden ? words.hide : words.show;
  });
  field.after(button);
})();
