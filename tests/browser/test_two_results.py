"""Two comparisons of the history side by side: chosen and closed by keys alone, what differs, what stays hidden."""

from __future__ import annotations

import pytest
from page import Visit
from served import app

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
PROMPT = "Describe this image in one sentence."


@pytest.fixture(scope="module")
def address(browser, tmp_path_factory):
    with app(results=tmp_path_factory.mktemp("results")) as url:
        yield url


def set_sampling(visit, **values: float) -> None:
    """Fills the fields of sampling, by their ids."""
    page = visit.page
    page.click(".toggle-settings")
    if page.locator("#seed input").count() == 0 or page.locator("#seed input").is_hidden():
        visit.open_section("Sampling")
    for name, value in values.items():
        page.fill(f"#{name} input[type=number]", str(value))
        page.keyboard.press("Tab")
    page.click(".toggle-settings")


def check(axe, page, state: str) -> None:
    found = axe.run(page, options={"runOnly": RULES}).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, (state, serious)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), state
    inside = "() => [...document.querySelectorAll('.pair')].every((one) => one.scrollWidth <= one.clientWidth)"
    assert page.evaluate(inside), state


def press_on(page, selector: str, key: str) -> None:
    page.locator(selector).focus()
    page.keyboard.press(key)


def test_two_results_stand_side_by_side(browser, visit):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit.page
    visit.run()
    first = visit.texts()
    set_sampling(visit, seed=7)
    visit.ask(PROMPT)
    visit.run()
    second = visit.texts()
    page.wait_for_function("() => document.querySelectorAll('.past .past-one').length === 2")
    press_on(page, ".history summary", "Enter")
    assert page.locator(".compare-two").is_disabled()
    press_on(page, ".past-row:nth-of-type(2) .pick input", "Space")
    press_on(page, ".past-row:nth-of-type(3) .pick input", "Space")
    box = page.locator(".past").get_by_role("checkbox", name=f"Choose to compare: {PROMPT}")
    assert box.is_checked()
    check(axe, page, "history")
    press_on(page, ".compare-two", "Enter")
    page.wait_for_selector(".pair[open]")
    assert page.locator(".pair").evaluate("(node) => node.contains(document.activeElement)")
    texts = page.eval_on_selector_all(".pair .text", "nodes => nodes.map((n) => n.textContent)")
    assert texts == [text for pair in zip(first, second, strict=True) for text in pair]
    assert all(node.get_attribute("translate") == "no" for node in page.locator(".pair .text").all())
    rows = page.eval_on_selector_all(".pair-settings tbody tr", "nodes => nodes.map((n) => n.innerText.split('\\t'))")
    assert [row[0] for row in rows] == ["Prompt", "Seed"]
    assert rows[0][2] == PROMPT
    assert rows[1][1:] == ["0", "7"]
    assert "The prompts differ" in page.inner_text(".pair")
    assert page.locator(".pair mark").count() == 0
    assert "Later minus earlier" in page.inner_text(".pair-difference >> nth=0")
    check(axe, page, "pair")
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.id === 'compare-two'")
    page.wait_for_function("() => !document.querySelector('.pair').textContent")
    assert page.locator(".history").get_attribute("open") is not None
    page.locator(".blind-switch").check()
    assert page.locator(".compare-two").is_hidden()
    assert page.locator(".pick").first.is_hidden()
    assert visit.errors == []


def test_results_of_the_server_are_fetched_and_their_words_marked(browser, address):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    visit = Visit(browser, address)
    visit.page.wait_for_selector(".panel .own")
    for seed in (1, 2):
        set_sampling(visit, temperature=1, seed=seed)
        visit.run()
    visit.page.close()
    visit = Visit(browser, address, width=390, dark=True)  # another browser: only the server knows them
    page = visit.page
    page.wait_for_selector(".panel .own")
    page.click(".history summary")
    page.wait_for_selector(".past .past-one")
    page.locator(".pick").nth(0).click()
    page.locator(".pick").nth(1).click()
    box = page.locator(".pick").first.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    page.click(".compare-two")
    page.wait_for_selector(".pair[open] mark")
    rows = page.eval_on_selector_all(".pair-settings tbody th", "nodes => nodes.map((n) => n.innerText)")
    assert rows == ["Seed"]
    check(axe, page, "phone, dark")
    page.click(".pair .close")
    page.wait_for_function("() => document.activeElement.id === 'compare-two'")
    assert visit.errors == []
    page.close()
