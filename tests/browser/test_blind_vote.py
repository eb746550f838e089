"""The blind vote in a browser: nothing tells the methods before the reveal; keys alone; phone; what stays of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from page import Visit
from served import app

from halluapp.methods.registry import METHODS
from halluapp.results import Store
from halluapp.votes.ballots import shuffle

# All that stands beside the rail, as markup: attributes, titles and hidden nodes too.
MARKUP = """() => [...document.querySelectorAll('#panels .answers, #panels .evidence')]
  .map((node) => { const copy = node.cloneNode(true); copy.querySelectorAll('img').forEach((i) => i.remove());
    copy.querySelector('.ballot-help')?.remove(); return copy.outerHTML; }).join('')"""
SEEN = """() => [...document.querySelectorAll('#inside, .answers, .evidence')]
  .filter((node) => node.checkVisibility()).map((node) => node.innerText).join('')"""
VERDICTS = ("grounded", "contradicted", "unsure", "unknown", "not sure", "not checkable", "✓", "✗")
ORDER = "() => [...document.querySelectorAll('.panel .text')].map((node) => node.textContent)"


def leaks(page, names) -> list[str]:
    """What of names and verdicts stands in the markup of the answers, or can be seen anywhere beside the rail."""
    markup, visible = page.evaluate(MARKUP).lower(), page.evaluate(SEEN).lower()
    words = [re.escape(word.lower()) for word in (*names, *VERDICTS)]
    hits = [re.search(rf"(?<!\w){word}(?!\w)", visible) or re.search(rf"[\">]{word}[\"<:]", markup) for word in words]
    return [hit.string[max(0, hit.start() - 40) : hit.end() + 40] for hit in hits if hit]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def address(browser, store):
    with app(results=store.path.parent) as url:
        yield url


def start(visit) -> list[str]:
    """Switches the vote on -> the texts in the order of the methods."""
    texts = visit.page.evaluate(ORDER)
    visit.page.locator(".blind-switch").check()
    visit.page.wait_for_selector(".ballot:not([hidden])")
    return texts


def test_nothing_tells_the_methods_until_they_are_revealed(visit):
    page = visit.page
    names = [*METHODS, *page.eval_on_selector_all(".panel h3", "nodes => nodes.map((n) => n.textContent)")]
    assert leaks(page, names)  # the check sees them while they stand there
    page.click(".votes summary")
    page.wait_for_selector(".tally p")
    page.locator(".panel .seg.m").first.click()  # an evidence is open
    texts = start(visit)
    assert sorted(page.evaluate(ORDER)) == sorted(texts)
    assert leaks(page, names) == []
    word = page.locator(".panel .seg:not(.blank)").nth(2)
    word.click()
    word.hover()
    assert page.locator(".evidence").is_hidden()
    assert page.locator(".box, .thing, .panel .own").count() == 0
    for hidden in (".strip", "#report", "button.share", ".votes", "#inside"):
        assert page.locator(hidden).is_hidden(), hidden
    assert leaks(page, names) == []
    visit.run(wait=False)  # while answers come, too
    page.wait_for_function("() => document.querySelector('.panel .text')?.textContent.length > 5", timeout=60_000)
    assert leaks(page, names) == []
    visit.wait_done()
    assert leaks(page, names) == []
    assert page.eval_on_selector_all(".panel", "nodes => nodes.map((n) => n.dataset.method)") == list("ABCDE")
    page.click(".reveal")  # nothing to keep: the names are shown
    page.wait_for_selector(".panel[data-method=baseline]")
    assert page.locator(".strip").is_visible()
    assert visit.errors == []


def test_a_vote_by_keys_alone_is_kept_with_report_history_and_server(visit, store):
    page = visit.page
    visit.run()  # the server keeps what it decoded
    methods = page.eval_on_selector_all(".panel", "nodes => nodes.map((n) => n.dataset.method)")
    texts = dict(zip(methods, page.evaluate(ORDER), strict=True))
    start(visit)
    page.locator(".blind-switch").focus()
    word = page.locator(".panel[data-method=A] .seg[tabindex='0']")
    word.press("ArrowRight")
    page.keyboard.press("Enter")
    ticked = page.locator(".seg.ticked")
    text = ticked.inner_text()
    assert ticked.get_attribute("aria-pressed") == "true"
    assert page.inner_text(".ballot .count") == "1 word ticked"
    page.keyboard.press("Enter")
    assert ticked.count() == 0
    page.keyboard.press("Enter")
    page.locator(".panel[data-method=A] select").focus()
    page.keyboard.type("1")
    page.locator(".panel[data-method=C] select").focus()
    page.keyboard.type("2")
    page.locator(".reveal").press("Enter")
    page.wait_for_selector(".my-vote")
    assert page.locator(".seg.ticked").count() == 1
    with page.expect_download() as download:
        page.click("#save-json")
    report = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    (vote,) = report["votes"]
    assert vote["order"] == shuffle(methods, vote["seed"])
    first = vote["order"][0]
    assert vote["ranks"] == {first: 1, vote["order"][2]: 2}
    assert [(one["method"], one["text"]) for one in vote["wrong"]] == [(first, text)]
    assert texts[first][vote["wrong"][0]["start"] : vote["wrong"][0]["end"]] == text
    assert store.report(report["id"])["votes"] == [vote]
    page.wait_for_timeout(500)
    assert visit.errors == []
    page.reload()
    page.wait_for_selector(".panel .own")
    visit.errors.clear()  # the reload aborted what was open
    page.click(".history summary")
    page.locator(".past .past-one").first.click()
    page.wait_for_function("() => document.querySelector('.status').textContent.includes('A saved report')")
    assert page.locator(".my-vote").count() == len(methods)
    line = page.inner_text(f".panel[data-method={first}] .my-vote")
    assert line == "In its vote it was answer A, ranked 1 · 1 word held to be wrong"
    assert page.inner_text(".seg.ticked") == text
    page.click(".votes summary")
    page.wait_for_selector(".tally table")
    assert "Votes: 1, of them rankings: 1" in page.inner_text(".tally")
    assert visit.errors == []


def test_a_kept_result_opens_from_the_servers_list_and_by_its_link(browser, address, store):
    visit = Visit(browser, address)  # another browser, whose history is empty
    page = visit.page
    page.wait_for_selector(".panel .own")
    if not store.path.exists() or not store.newest(1):
        visit.run()
        page.close()
        visit = Visit(browser, address)
        page = visit.page
        page.wait_for_selector(".panel .own")
    key = store.newest(1)[0]["id"]
    page.click(".history summary")
    page.wait_for_selector(".past .past-one")
    assert "On this server" in page.inner_text(".past")
    page.locator(".past .past-one").first.click()
    page.wait_for_function("() => document.querySelector('.status').textContent.includes('A saved report')")
    text = page.inner_text(".grid")
    assert visit.errors == []  # leaving a page aborts what is open there
    page.goto(f"{address}?r={key}")
    page.wait_for_function("() => document.querySelector('.status')?.textContent.includes('A saved report')")
    assert page.inner_text(".grid") == text
    page.close()


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_the_vote_is_accessible_and_fits(browser, address, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    visit = Visit(browser, address, width=width, dark=dark)
    page = visit.page
    page.wait_for_selector(".panel .own")

    def check(state: str) -> None:
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert not serious, (state, serious)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), state

    start(visit)
    page.locator(".panel .seg:not(.blank)").nth(2).click()
    check("blind")
    if width == 390:
        boxes = [one.bounding_box() for one in page.locator(".reveal, .rank select, .ballot .switch").all()]
        assert min(box["height"] for box in boxes) >= 44
    page.locator(".rank select").first.select_option("1")
    page.click(".reveal")
    page.wait_for_selector(".my-vote")
    page.click(".votes summary")
    page.wait_for_selector(".tally table")
    check("revealed, with the table")
    assert visit.errors == []
    page.close()
