"""The page as a person uses it: small verbs over Playwright."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

DONE = r"""() => { const states = [...document.querySelectorAll('.panel .state')].map((s) => s.textContent);
  return states.length > 0 && states.every((s) => /^(done|stopped|failed)/.test(s))
    && !document.querySelector('#run').disabled; }"""

# gradio mounts what a fold holds as it opens, and writes the fields' values once more just after: what a script fills
# in the task that first sees the field is overwritten. Nobody types that early; two frames later it has happened.
MOUNTED = """(header) => new Promise((done) => {
  const look = (frames) => {
    const part = header.closest('.block').querySelector('input, textarea, button:not(.label-wrap)');
    const seen = part?.offsetParent ? frames + 1 : 0; // in how many frames
    if (seen === 3) done(); else requestAnimationFrame(() => look(seen));
  };
  look(0);
})"""

SET = "([id, value]) => document.querySelector(`#${id} input[type=range]`).value === value"

CHANGED = "(before) => document.querySelector('[data-run]')?.dataset.run !== before"


class Visit:
    """One open page; collects console errors and requests that leave the machine."""

    # Vega and gradio's own notes, none of them ours.
    KNOWN = ("Method not implemented", "vega", "preload", "DevTools")

    def __init__(
        self, browser, address: str, width: int = 1400, dark: bool = False, height: int = 900, locale: str = "en-US"
    ):
        self.page: Page = browser.new_page(viewport={"width": width, "height": height}, locale=locale)
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(f"{error} {error.stack}"))
        self.page.on("request", self._request)
        self.host = address.split("//")[1].split("/")[0]
        self.page.goto(address + ("?__theme=dark" if dark else ""), wait_until="load")
        self.page.wait_for_selector("#panels [data-run], [data-run]", state="attached", timeout=60_000)
        self.page.wait_for_function(
            "() => document.querySelector('#model .line').textContent.includes('NF4')", timeout=60_000
        )

    def _console(self, message) -> None:
        if message.type == "error" and not any(part in message.text for part in self.KNOWN):
            self.errors.append(message.text)

    def _request(self, request) -> None:
        if not request.url.startswith(("data:", "blob:")) and self.host not in request.url:
            self.outside.append(request.url)

    def upload(self, photo: Path) -> None:
        before = self.page.get_attribute("[data-run]", "data-run")
        self.page.set_input_files("#panels input.file", str(photo))
        self.page.wait_for_function(CHANGED, arg=before, timeout=30_000)

    def ask(self, prompt: str) -> None:
        self.page.fill("#prompt textarea", prompt)

    def open_section(self, title: str) -> None:
        """Opens a closed fold of settings and waits until its fields keep what is typed into them."""
        header = self.page.locator("button.label-wrap:visible", has_text=title).first
        header.click()
        header.evaluate(MOUNTED)

    def open_sampling(self) -> None:
        """Opens the column of settings, and in it the fold of sampling."""
        self.page.click(".toggle-settings")
        self.open_section("Sampling")

    def slide(self, name: str, value: str) -> None:
        """Types a number beside a slider, and waits until the slider has heard of it."""
        self.page.fill(f"#{name} input[type=number]", value)
        self.page.press(f"#{name} input[type=number]", "Tab")
        self.page.wait_for_function(SET, arg=[name, value])

    def run(self, wait: bool = True) -> None:
        before = self.page.evaluate("() => document.querySelector('[data-run]')?.dataset.run")
        self.page.click("#run")
        self.page.wait_for_function(CHANGED, arg=before, timeout=60_000)
        if wait:
            self.wait_done()

    def wait_done(self) -> None:
        self.page.wait_for_function(DONE, timeout=90_000)

    def texts(self) -> list[str]:
        return self.page.eval_on_selector_all(".panel .text", "nodes => nodes.map((n) => n.textContent)")

    def states(self) -> list[str]:
        return self.page.eval_on_selector_all(".panel .state", "nodes => nodes.map((n) => n.textContent)")
