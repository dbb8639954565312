"""The hands and eyes of somebody at a browser: one JSON command a line on stdin, one JSON answer a line on
stdout, `{"error": ...}` where it could not be done. Ends when its stdin ends.

Usage: python browser.py PORT

PORT is where the browser of `start` listens. First it says `{"browser": VERSION}`. Every command has `do`,
and may have `who`: each of them has a window, cookies and a last page of their own.

  open        js, width, height, locale, insecure (any certificate will do); all optional
  goto        url                      the answer has status and url
  fill        label or name, text      select alike with value, upload alike with path
  click       role, name               press: key
  text, title, url, html               what the page shows
  screenshot  path, full
  axe         the rules of axe-core that are broken: rule, impact, help, html of the elements
  tree        what a screen reader is told, in its order, a line each
  focus       the line of the tree that has the focus
  tab         what gets the focus as Tab is pressed: until it comes round, at most `n` times
  cookies     headers: status, url and headers of the last page
  heard       console messages and all requests since the last time
  fetch       url: status, headers and body, with the cookies of `who`
  eval        script; runs even where the page's own do not, but then must not wait for anything
  close
"""

import json
import sys
import time
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import sync_playwright

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
PATIENCE = 10_000
STATES = ("level", "required", "invalid", "disabled", "checked", "expanded", "hasPopup", "readonly", "url")
# Boxes and pieces of lines: a screen reader does not name them.
SILENT = {"none", "generic", "InlineTextBox", "LineBreak", "RootWebArea"}


class Window:
    def __init__(self, browser, asked):
        self.js = asked.get("js", True)
        self.context = browser.new_context(
            java_script_enabled=self.js,
            viewport={"width": asked.get("width", 1280), "height": asked.get("height", 800)},
            locale=asked.get("locale", "en-GB"),
            ignore_https_errors=asked.get("insecure", False),
        )
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.cdp = self.context.new_cdp_session(self.page)
        self.last, self.messages, self.requests = None, [], []
        self.coming = False
        self.page.on("request", self.asked)
        self.page.on("response", self.answered)
        self.page.on("requestfailed", self.failed)
        self.page.on("framenavigated", self.came)
        self.page.on("console", lambda said: self.messages.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))

    def scripts(self, run):
        if not self.js:
            # Twice: a session that never said "off" is not heard when it says "on".
            for off in (True, not run):
                self.cdp.send("Emulation.setScriptExecutionDisabled", {"value": off})

    def is_page(self, request):
        return request.is_navigation_request() and request.frame == self.page.main_frame

    def asked(self, request):
        self.coming = self.coming or self.is_page(request)

    def answered(self, response):
        self.requests.append([response.status, response.url])
        if self.is_page(response.request):
            self.last = response

    def failed(self, request):
        self.requests.append([0, request.url])
        self.coming = self.coming and not self.is_page(request)

    def came(self, frame):
        self.coming = self.coming and frame != self.page.main_frame

    def settle(self):
        """What follows a click or a key may be a page, and a server may think about it."""
        self.page.wait_for_timeout(50)
        until = time.monotonic() + PATIENCE / 1000
        while self.coming and time.monotonic() < until:
            self.page.wait_for_timeout(20)
        self.page.wait_for_load_state()

    def field(self, asked):
        if "label" in asked:
            # A list inside its label would be called by all its choices too.
            lists = self.page.get_by_role("combobox", name=asked["label"], exact=True)
            return self.page.get_by_label(asked["label"], exact=True).or_(lists)
        return self.page.locator(f'[name="{asked["name"]}"]')

    def goto(self, asked):
        response = self.page.goto(asked["url"])
        return {"status": response.status if response else 0, "url": self.page.url}

    def fill(self, asked):
        self.field(asked).fill(asked["text"])

    def select(self, asked):
        self.field(asked).select_option(asked["value"])

    def upload(self, asked):
        self.field(asked).set_input_files(asked["path"])

    def click(self, asked):
        self.page.get_by_role(asked["role"], name=asked["name"], exact=True).click()
        self.settle()

    def press(self, asked):
        self.page.keyboard.press(asked["key"])
        self.settle()

    def text(self, asked):
        return {"text": self.page.locator("body").inner_text()}

    def title(self, asked):
        return {"title": self.page.title()}

    def url(self, asked):
        return {"url": self.page.url}

    def html(self, asked):
        return {"html": self.page.content()}

    def screenshot(self, asked):
        self.page.screenshot(path=asked["path"], full_page=asked.get("full", True))

    def axe(self, asked):
        # It waits by timers, which do not run where scripts are off. The page's own have had their chance.
        self.scripts(True)
        try:
            # Not by a script element, which the page's policy would rightly forbid.
            self.page.evaluate(AXE)
            found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        finally:
            self.scripts(self.js)
        violations = [
            {
                "rule": broken["id"],
                "impact": broken["impact"],
                "help": broken["help"],
                "html": [node["html"] for node in broken["nodes"]],
            }
            for broken in found["violations"]
        ]
        version = found["testEngine"]["version"]
        return {"violations": violations, "passes": len(found["passes"]), "version": version}

    def nodes(self):
        """Each node that is told, with its depth, in the order of reading."""
        nodes = self.cdp.send("Accessibility.getFullAXTree")["nodes"]
        by_id = {node["nodeId"]: node for node in nodes}
        waiting = [(nodes[0], 0)]
        while waiting:
            node, depth = waiting.pop()
            told = not node["ignored"] and node["role"]["value"] not in SILENT
            if told:
                yield node, depth
            below = [by_id[child] for child in node.get("childIds", ()) if child in by_id]
            waiting += [(child, depth + told) for child in reversed(below)]

    def tree(self, asked):
        return {"tree": "\n".join("  " * depth + line(node) for node, depth in self.nodes())}

    def focused(self):
        for node, _ in self.nodes():
            if properties(node).get("focused"):
                return node
        return None

    def focus(self, asked):
        node = self.focused()
        return {"focus": line(node) if node else None}

    def tab(self, asked):
        seen, stops = set(), []
        for _ in range(asked.get("n", 100)):
            self.page.keyboard.press("Tab")
            node = self.focused()
            if node is None or node["backendDOMNodeId"] in seen:
                break
            seen.add(node["backendDOMNodeId"])
            stops.append(line(node))
        return {"stops": stops}

    def cookies(self, asked):
        return {"cookies": self.context.cookies()}

    def headers(self, asked):
        if self.last is None:
            raise ValueError("no page yet")
        pairs = [[pair["name"].lower(), pair["value"]] for pair in self.last.headers_array()]
        return {"status": self.last.status, "url": self.last.url, "headers": pairs}

    def heard(self, asked):
        answer = {"console": self.messages, "requests": self.requests}
        self.messages, self.requests = [], []
        return answer

    def fetch(self, asked):
        response = self.context.request.get(asked["url"], max_redirects=0)
        pairs = [[pair["name"].lower(), pair["value"]] for pair in response.headers_array]
        return {"status": response.status, "headers": pairs, "body": response.text()}

    def eval(self, asked):
        return {"value": self.page.evaluate(asked["script"])}

    def close(self, asked=None):
        self.context.close()


def properties(node):
    return {one["name"]: one["value"].get("value") for one in node.get("properties", ())}


def line(node):
    """`role "name"`, then its states and what describes it."""
    said = [node["role"]["value"], json.dumps(node.get("name", {}).get("value", ""), ensure_ascii=False)]
    held = properties(node)
    said += [f"{state}={held[state]}" for state in STATES if held.get(state) not in (None, False, "false", "")]
    for part in ("value", "description"):
        if node.get(part, {}).get("value") not in (None, ""):
            said.append(f"{part}={json.dumps(node[part]['value'], ensure_ascii=False)}")
    return " ".join(said)


COMMANDS = set(
    "goto fill select upload click press text title url html screenshot axe tree focus tab cookies headers"
    " heard fetch eval close".split()
)


def obey(browser, windows, asked):
    what, who = asked["do"], asked.get("who", "")
    if what == "open":
        if who in windows:
            windows.pop(who).close()
        windows[who] = Window(browser, asked)
        return {}
    if what not in COMMANDS:
        raise ValueError(f"no such command: {what}")
    answer = getattr(windows[who], what)(asked)
    if what == "close":
        del windows[who]
    return answer or {}


def say(answer):
    print(json.dumps(answer), flush=True)


def main(port):
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        say({"browser": browser.version})
        windows = {}
        for command in sys.stdin:
            try:
                say(obey(browser, windows, json.loads(command)))
            except Exception as error:  # Whatever went wrong, the test is told and the window stays.
                say({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main(sys.argv[1])
