"""The page by keys alone: from the load to a saved report, with the focus in sight at every stop."""

from __future__ import annotations

import pytest
from page import CHANGED, Visit

AT = "(selector) => Boolean(document.activeElement.closest(selector))"
# Nothing that can be seen has the focus while the page around it is on its way (BODY: the end of the page).
SEEN = """() => {
  const node = document.activeElement, lined = (one) => one && getComputedStyle(one).outlineStyle !== 'none'
    && parseFloat(getComputedStyle(one).outlineWidth) >= 1;
  return node === document.body || lined(node) || lined(node.closest('label')) ? '' : node.outerHTML.slice(0, 200);
}"""
MOST = 60  # stops between two places of this journey


class Keys:
    """Somebody without a mouse."""

    def __init__(self, visit: Visit):
        self.page = visit.page

    def walk(self, selector: str, key: str = "Tab") -> int:
        """Tab by Tab to what the selector names; every stop on the way shows its focus -> number of stops."""
        for stops in range(1, MOST + 1):
            self.press(key)
            hidden = self.page.evaluate(SEEN)
            assert not hidden, f"the focus cannot be seen on {hidden}"
            if self.is_at(selector):
                return stops
        raise AssertionError(f"{MOST} times {key} do not lead to {selector}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def is_at(self, selector: str) -> bool:
        return self.page.evaluate(AT, selector)


def run_by_keys(keys: Keys) -> None:
    """An example, a prompt typed anew, Shift+Enter; then past chips and summary to the first word."""
    page = keys.page
    keys.walk(".example[data-number='1']")
    before = page.get_attribute("[data-run]", "data-run")
    keys.press("Enter")
    page.wait_for_function(CHANGED, arg=before)
    keys.walk("#prompt textarea")
    assert "Shift+Enter" in page.inner_text("#prompt")
    keys.press("Control+a")
    page.keyboard.type("Describe this image.")
    before = page.get_attribute("[data-run]", "data-run")
    keys.press("Shift+Enter")
    page.wait_for_function(CHANGED, arg=before, timeout=60_000)


def read_evidence(keys: Keys) -> None:
    """The focus goes into the evidence and comes back, by Escape and by walking out of it."""
    page, word = keys.page, ".panel .seg.chosen"
    keys.press("Enter")
    assert keys.is_at(".evidence")
    assert not page.evaluate(SEEN)
    assert "Most probable here" in page.inner_text(".evidence")
    first = page.inner_text(word)
    keys.press("ArrowRight")  # on to the next word, still in the evidence
    assert keys.is_at(".evidence")
    assert page.inner_text(word) != first
    keys.walk(".evidence .close")
    keys.press("Escape")
    assert page.locator(".evidence").is_hidden()
    assert keys.is_at(".panel .seg")
    keys.press("Enter")
    keys.walk(".panel[data-method=nullu] .seg")  # nobody is held in it
    assert page.locator(".evidence").is_hidden()


@pytest.mark.slow
def test_a_journey_by_keys_alone(visit, tmp_path):
    keys, page = Keys(visit), visit.page
    run_by_keys(keys)
    visit.wait_done()
    keys.walk(".toggle-settings")
    keys.press("Enter")
    keys.walk("#sure")
    keys.press("Escape")
    assert page.locator("#settings").is_hidden()
    assert keys.is_at(".toggle-settings")
    keys.walk(".skip", key="Shift+Tab")
    keys.press("Enter")
    assert keys.is_at(".panel[data-method=baseline] .seg")
    read_evidence(keys)
    keys.walk("#save-json")
    with page.expect_download() as download:
        keys.press("Enter")
    saved = tmp_path / "saved.json"
    download.value.save_as(saved)
    keys.walk("#inside summary")
    keys.press("Enter")
    page.wait_for_selector("#inside .view table")
    assert keys.walk("#inside .words .word") <= 2
    keys.walk("#inside .tabs button")
    keys.walk(".open-report", key="Shift+Tab")
    with page.expect_file_chooser() as chooser:
        keys.press("Space")  # this driver tells of no chooser that Enter opens
    chooser.value.set_files(saved)
    page.wait_for_function("() => document.querySelector('.status').textContent.startsWith('A saved report')")
    keys.walk(".history summary")
    keys.press("Enter")
    keys.walk(".past-one")
    keys.press("Escape")
    assert keys.is_at(".history summary")
    assert visit.errors == []
