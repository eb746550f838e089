"""The fold "Look inside", driven as a person does, on the finished example that the page opens with."""

from __future__ import annotations

import pytest
from page import Visit

ANSWERED = """(view) => [...document.querySelectorAll('#inside [data-view]')]
  .some((node) => (node.dataset.view || '').startsWith(view + '/'))"""
SHOWN = "(word) => document.querySelector('#inside .view').textContent.includes('“' + word)"


class Fold:
    """The opened fold of one visit."""

    def __init__(self, visit: Visit):
        self.page = visit.page
        self.page.locator("#inside summary").focus()
        self.page.keyboard.press("Enter")

    def look(self, view: str, tab: bool = True) -> str:
        """Opens a view -> its text."""
        if tab:
            self.page.click(f"#inside .tabs button[data-view={view}]")
        self.page.wait_for_function(ANSWERED, arg=view, timeout=120_000)
        return self.page.inner_text("#inside .view")


@pytest.fixture
def visit(browser, address):
    visit = Visit(browser, address, width=390)
    yield visit
    visit.page.close()


@pytest.mark.slow
def test_a_word_is_looked_into_by_keyboard_on_a_phone(visit):
    """Evidence under every panel's method, reliance, attention, the prior: one after another, nothing sideways."""
    fold, page = Fold(visit), visit.page
    assert "Baseline" in fold.look("evidence", tab=False)
    assert page.locator("#inside .view tr").count() == 2 + page.locator("#panels .panel").count()
    chosen = page.locator("#inside .word[aria-pressed=true]")
    first = int(chosen.get_attribute("data-number"))
    chosen.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert int(chosen.get_attribute("data-number")) == first + 1
    second = page.inner_text("#inside .word[aria-pressed=true]")
    page.wait_for_function(SHOWN, arg=second)
    page.locator("#inside .tabs button[aria-selected=true]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "nats" in fold.look("reliance", tab=False)
    assert "of the attention behind" in fold.look("attention")
    values = page.eval_on_selector_all("#inside .cell", "nodes => nodes.map((node) => +node.dataset.value)")
    assert len(values) >= 64
    assert sum(values) <= 1.001
    assert fold.look("prior").count("%") == 6 * 15
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert visit.errors == []
    assert visit.outside == []


@pytest.mark.slow
def test_a_word_of_a_panel_is_taken_up_and_the_photo_covered(visit):
    """A click in a panel chooses the word of the fold; without the photo things go, and articles count for nothing."""
    fold, page = Fold(visit), visit.page
    fold.look("evidence", tab=False)
    word = page.locator("#panels .panel .seg.m").last
    name = word.inner_text().strip()
    word.click()
    page.wait_for_function(
        "(name) => document.querySelector('#inside .word[aria-pressed=true]').textContent.includes(name)",
        arg=name.split()[0].strip("✓✗~? \u2060"),
    )
    page.keyboard.press("Escape")
    page.click("#inside .tabs button[data-view=counterfactual]")
    page.locator("#inside .go", has_text="whole photo").click()
    assert "named things" in fold.look("counterfactual", tab=False)
    joints = page.eval_on_selector_all("#inside .view .joint", "nodes => nodes.map((n) => n.textContent.toLowerCase())")
    assert {"a", "is"} & set(joints)  # neither kept nor struck out
    assert "by chance" in fold.look("space")
    assert page.locator("#inside [type=range]").count() == 0
    fold.look("visual")
    page.locator("#inside [type=range]").press("ArrowRight")
    assert "2:" in page.inner_text("#inside .view")
    assert visit.errors == []
