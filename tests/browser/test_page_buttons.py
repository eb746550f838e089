"""The buttons of a panel: pinned panels stay first, folded ones folded, over a new answer too; texts are copied."""

from __future__ import annotations

import pytest
from page import Visit

METHODS = "() => [...document.querySelectorAll('.panel')].map((panel) => panel.dataset.method)"


def press(visit: Visit, button: str, method: str) -> None:
    """By keys, as by a click."""
    visit.page.locator(f".panel[data-method={method}] .tool.{button}").press("Enter")


def test_pinned_and_folded_panels_stay_so_over_a_new_answer(visit):
    page, before = visit.page, visit.page.evaluate(METHODS)
    press(visit, "pin", "vdd")
    press(visit, "pin", "nullu")
    press(visit, "fold", "baseline")
    first = ["vdd", "nullu", *(method for method in before if method not in ("vdd", "nullu"))]
    assert page.evaluate(METHODS) == first
    page.locator(".example[aria-label='Example: park']").click()
    page.wait_for_function("() => document.querySelector('.photo-tools .name').textContent.startsWith('park')")
    visit.run()
    assert page.evaluate(METHODS) == first
    assert page.locator(".panel[data-method=baseline] .text").is_hidden()
    assert page.locator(".panel[data-method=vdd] .text").is_visible()
    assert len(visit.texts()) == 5
    assert all(visit.texts())  # a folded panel goes on
    press(visit, "pin", "vdd")
    assert page.evaluate(METHODS) == ["nullu", *(method for method in before if method != "nullu")]
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Pin first: VDD"
    page.get_by_role("button", name="Baseline", exact=True).click()  # the summary leads to a panel that can be read
    assert page.locator(".panel[data-method=baseline] .text").is_visible()
    assert visit.errors == []


@pytest.mark.parametrize("secure", [True, False], ids=["clipboard", "selection"])
def test_the_text_of_a_panel_is_copied(visit, secure):
    page = visit.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if not secure:  # what a page without https has
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }")
    press(visit, "copy", "vdd")
    page.wait_for_selector(".panel[data-method=vdd] .tool[aria-label=Copied]")
    text = page.locator(".panel[data-method=vdd] .text").evaluate("(node) => node.textContent")
    assert page.evaluate("() => navigator.clipboard.readText()") == text
    assert page.evaluate("() => document.activeElement.classList.contains('copy')")


def test_buttons_are_large_enough_to_hit(browser, address):
    for width, least in ((1400, 24), (390, 44)):
        visit = Visit(browser, address, width=width)
        visit.page.wait_for_selector(".panel .own")
        boxes = [button.bounding_box() for button in visit.page.locator(".panel .tool, .theme-switch").all()]
        assert len(boxes) == 16
        assert min(min(box["width"], box["height"]) for box in boxes) >= least
        assert visit.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        visit.page.close()
