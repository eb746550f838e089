"""A really driven browser: upload, run, stop, click a word, phone width, dark mode, bad input, untrusted text."""

from __future__ import annotations

import re

import pytest
from page import Visit

from halluapp.data import scenes
from halluapp.lvlm.base import LVLM
from halluapp.settings import ASSETS
from halluapp.ui.compare import examples


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "park.png"
    scenes.render("park")[0].save(path)
    return path


@pytest.fixture
def visit(browser, address):
    visit = Visit(browser, address)
    yield visit
    visit.page.close()


def test_a_run_fills_five_panels_and_stays_on_this_machine(visit, photo):
    visit.upload(photo)
    visit.ask("Describe this image in detail.")
    visit.run()
    assert len(visit.texts()) == 5
    assert all(len(text) > 10 for text in visit.texts())
    assert all(state.startswith("done") for state in visit.states())
    summary = visit.page.inner_text(".strip")
    assert all(column in summary for column in ("Invented of named things", "Against the baseline", "Seconds"))
    assert visit.page.locator(".strip tbody tr").count() == 5
    for form in ("html", "zip", "json"):
        with visit.page.expect_download() as download:
            visit.page.click(f"#save-{form}")
        assert re.fullmatch(rf"halluapp-20\d\d-\d\d-\d\d-park\.{form}", download.value.suggested_filename)
    assert visit.errors == []
    assert visit.outside == []


def test_a_word_shows_its_evidence_by_mouse_and_by_keyboard(visit):
    page = visit.page
    word = page.locator(".panel .seg.m").first
    word.click()
    facts = page.inner_text(".evidence")
    assert "Baseline" in facts
    assert "%" in facts
    assert "Most probable" in facts
    assert any(verdict in facts for verdict in ("grounded", "contradicted", "not sure", "not checkable"))
    page.keyboard.press("Escape")
    assert page.locator(".evidence").is_hidden()
    assert page.evaluate("() => document.activeElement.classList.contains('seg')")
    page.keyboard.press("ArrowRight")
    focused = page.evaluate("() => document.activeElement.textContent")
    assert page.locator(".evidence").is_hidden()
    page.keyboard.press("Enter")
    assert page.locator(".evidence").is_visible()
    assert focused.strip() in page.inner_text(".evidence .word")
    assert page.evaluate("() => document.activeElement.classList.contains('evidence')")  # who opened it by a key
    page.keyboard.press("ArrowRight")  # the evidence follows
    assert page.locator(".evidence").is_visible()
    assert page.inner_text(".seg.chosen").strip() != focused.strip()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("() => document.activeElement.textContent") == focused
    assert page.locator(".panel .seg[tabindex='0']").count() == 5  # one tab stop a text


def test_methods_and_a_stacked_panel_are_switched_on_in_the_sidebar(visit, photo):
    page = visit.page
    page.click(".toggle-settings")
    for name in ("VCD", "ICD", "M3ID", "PAI", "DoLa", "DeCo"):
        page.locator("#methods").get_by_label(name, exact=True).check()
    page.locator("#stacked input").click()
    page.get_by_role("option", name="Nullu + VDD", exact=True).click()
    page.wait_for_selector("#stacked .token")
    page.keyboard.press("Escape")
    assert page.inner_text(".toggle-settings") == "Methods and settings (11 of 13)"
    page.click(".toggle-settings")
    visit.upload(photo)
    visit.ask("Describe this image in detail.")
    visit.run()
    titles = page.eval_on_selector_all(".panel h3", "nodes => nodes.map((n) => n.textContent)")
    switched_on = ["VCD", "ICD", "M3ID", "PAI", "DoLa", "DeCo", "Nullu + VDD"]
    assert titles[5:] == switched_on
    assert all(state.startswith("done") for state in visit.states())
    assert all(visit.texts())
    page.locator(".panel[data-method='vcd'] .seg").first.click()
    assert "noised photo" in page.inner_text(".evidence")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert visit.errors == []


def test_words_light_their_box_and_numbers_cover_no_other(visit):
    page = visit.page
    names = [example.name for example in examples.examples(ASSETS)]
    page.locator(".example").nth(names.index("street")).click()
    page.wait_for_function("() => document.querySelectorAll('.things .thing').length > 1")  # person, car
    page.locator(".things .thing").first.hover()
    assert page.locator(".box.lit").count() == 1
    page.mouse.move(0, 0)
    assert page.locator(".box.lit").count() == 0
    assert page.locator(".box").count() == page.locator(".things .thing").count()
    places = [number.bounding_box() for number in page.locator(".boxes .number").all()]
    for index, one in enumerate(places):
        for two in places[:index]:
            assert abs(one["x"] - two["x"]) >= one["width"] - 1 or abs(one["y"] - two["y"]) >= one["height"] - 1
    page.locator(".show-boxes").uncheck()
    assert page.locator(".boxes").is_hidden()


def test_stop_stops_and_run_works_again(visit, photo, monkeypatch):
    monkeypatch.setattr(LVLM, "end_tokens", frozenset())  # or the answers end before anyone can click
    visit.upload(photo)
    visit.ask("Describe this image in detail.")
    visit.open_sampling()
    visit.slide("temperature", "2")
    visit.slide("max-tokens", "512")
    visit.run(wait=False)
    visit.page.wait_for_function("() => document.querySelector('.panel .text')?.textContent.length > 5", timeout=60_000)
    # A click on a disabled button does nothing, and the panels move it while they grow.
    visit.page.wait_for_function("() => document.querySelector('#stop').disabled === false", timeout=30_000)
    visit.page.evaluate("() => document.querySelector('#stop').click()")
    visit.wait_done()
    assert any(state == "stopped" for state in visit.states()), visit.states()
    before = visit.texts()
    visit.page.wait_for_timeout(1000)
    assert visit.texts() == before
    visit.slide("max-tokens", "4")
    visit.run()
    assert not any(state == "stopped" for state in visit.states())


def test_yes_no_prompt_shows_the_calibrated_labels(visit, photo):
    visit.upload(photo)
    visit.ask("Is there a dog in the image?")
    visit.run()
    table = visit.page.inner_text(".panel[data-method=calibration] .labels")
    assert "yes" in table
    assert "no" in table
    assert "prior" in table
    assert "calibrated" in table


def test_preset_fills_the_prompt_and_an_example_opens_finished_and_runs(visit):
    visit.page.get_by_role("button", name="List the objects in the image.").click()
    visit.page.wait_for_function("() => document.querySelector('#prompt textarea').value.startsWith('List')")
    before = visit.texts()
    visit.page.locator(".example").nth(1).click()
    visit.page.wait_for_function("() => document.querySelector('#prompt textarea').value.startsWith('Describe')")
    assert len(visit.texts()) == 5
    assert visit.texts() != before
    visit.run()
    assert len(visit.texts()) == 5


JUDGED = "document.querySelectorAll('.seg.grounded, .seg.contradicted').length"


def test_the_sureness_judges_again_without_decoding(visit, photo):
    visit.upload(photo)
    visit.ask("Describe this image in detail.")
    visit.run()
    run, before = visit.page.evaluate("() => document.querySelector('[data-run]').dataset.run"), visit.texts()
    judged = visit.page.evaluate(JUDGED)
    visit.page.click(".toggle-settings")
    slider = visit.page.locator("#sure input[type=range]")
    slider.focus()
    slider.press("End")
    slider.dispatch_event("pointerup")
    visit.page.wait_for_function(f"(before) => {JUDGED} < before", arg=judged, timeout=15_000)
    assert visit.texts() == before
    assert visit.page.evaluate("() => document.querySelector('[data-run]').dataset.run") == run
    visit.page.fill("#sure input[type=number]", "0.1")  # below the range: its end is meant, and nobody is shouted at
    visit.page.keyboard.press("Tab")
    visit.page.wait_for_function(f"(before) => {JUDGED} >= before", arg=judged, timeout=15_000)
    assert visit.page.input_value("#sure input[type=number]") == "0.5"
    assert visit.page.locator("[data-testid=toast-body]").count() == 0


@pytest.mark.parametrize("name", ["text.jpg", "empty.jpg"])
def test_a_bad_photo_is_one_sentence_and_nothing_typed_is_lost(visit, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"" if name.startswith("empty") else b"no photo")
    before = visit.texts()
    visit.ask("My long question about this photo")
    visit.page.set_input_files("#panels input.file", str(path))
    visit.page.wait_for_selector("#panels .error:not([hidden])", timeout=30_000)
    sentence = visit.page.inner_text("#panels .error")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert visit.texts() == before  # the last result stays
    assert visit.page.input_value("#prompt textarea") == "My long question about this photo"
    assert not visit.page.is_disabled("#run")


def test_untrusted_text_stays_text(visit, photo, tmp_path):
    evil = tmp_path / "<img src=x onerror=window.hacked=1>.png"
    evil.write_bytes(photo.read_bytes())
    visit.upload(evil)
    visit.ask("<img src=x onerror='window.hacked=1'> </s><image> Is there a dog in the image?")
    visit.run()
    assert visit.page.evaluate("() => window.hacked") is None
    assert len(visit.texts()) == 5


def test_phone_width_stacks_without_sideways_scrolling(browser, address, photo):
    visit = Visit(browser, address, width=390)
    visit.upload(photo)
    visit.ask("Describe this image.")
    visit.run()
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") <= 390
    widths = visit.page.eval_on_selector_all(".panel", "nodes => nodes.map((n) => n.getBoundingClientRect().width)")
    assert len(set(widths)) == 1
    assert widths[0] > 320  # one panel a screen, the edge of the next one in sight
    assert (
        visit.page.evaluate("() => document.querySelector('.photo img').getBoundingClientRect().height") <= 0.46 * 900
    )
    visit.page.locator(".panel .seg.m").first.click()
    sheet = visit.page.locator(".evidence").bounding_box()
    assert (sheet["x"], sheet["width"], round(sheet["y"] + sheet["height"])) == (0, 390, 900)
    visit.page.close()


FIRST_VIEW = """() => {
  const bottom = (node) => node.getBoundingClientRect().bottom, all = (name) => [...document.querySelectorAll(name)];
  return {
    photo: bottom(document.querySelector('.photo img')), strip: bottom(document.querySelector('.strip')),
    lines: all('.panel .text').map((text) => text.getBoundingClientRect().top + 24),
    photos: all('img').filter((image) => image.offsetParent && image.getBoundingClientRect().width > 150).length,
  }; }"""


def test_a_finished_answer_is_seen_without_scrolling(browser, address):
    """At 1400 x 1000: the photo once, the summary, and the first lines of all five panels, of every example."""
    visit = Visit(browser, address, height=1000)
    for number in range(visit.page.locator(".example").count()):
        visit.page.locator(".example").nth(number).click()
        visit.page.wait_for_function("() => document.querySelectorAll('.panel .text').length === 5")
        visit.page.wait_for_timeout(300)
        view = visit.page.evaluate(FIRST_VIEW)
        assert view["photos"] == 1
        assert max(view["photo"], view["strip"], *view["lines"]) <= 1000
        assert len(view["lines"]) == 5
        assert visit.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    visit.page.close()


def test_what_equals_the_baseline_recedes_and_a_switch_turns_it_off(visit):
    page = visit.page
    colours = "nodes => new Set(nodes.map((node) => getComputedStyle(node).color)).size"
    assert page.locator(".panel:not([data-method=baseline]) .own").count() > 0
    assert page.locator(".panel[data-method=baseline] .own").count() == 0
    assert page.eval_on_selector_all(".panel[data-method=vdd] .seg:not(.m)", colours) == 2
    assert "baseline" in page.locator(".panel .own").first.get_attribute("title")
    page.locator(".show-differences").uncheck()
    assert page.locator(".panel .own").count() == 0
    assert page.eval_on_selector_all(".panel[data-method=vdd] .seg:not(.m)", colours) == 1


def test_the_summary_sorts_and_leads_to_the_panels(visit):
    page = visit.page
    methods = "rows => rows.map((row) => row.dataset.method)"
    first = page.eval_on_selector_all(".strip tbody tr", methods)
    page.get_by_role("button", name="Words").click()
    assert page.get_attribute(".strip th[aria-sort]", "aria-sort") == "ascending"
    words = [int(text) for text in page.locator(".strip tbody tr td:nth-child(4)").all_inner_texts()]
    assert words == sorted(words)
    page.get_by_role("button", name="Words").click()
    assert sorted(page.eval_on_selector_all(".strip tbody tr", methods)) == sorted(first)
    page.locator(".strip .go").last.click()
    last = page.eval_on_selector_all(".strip tbody tr", methods)[-1]
    assert page.evaluate("() => document.activeElement.dataset.method") == last


def test_closed_settings_are_out_of_the_way(visit):
    page = visit.page
    assert page.evaluate("() => document.querySelector('#settings').inert")
    assert page.locator("#settings").is_hidden()
    before = page.locator(".answers").bounding_box()
    page.click(".toggle-settings")
    assert page.get_attribute(".toggle-settings", "aria-expanded") == "true"
    settings, after = page.locator("#settings").bounding_box(), page.locator(".answers").bounding_box()
    assert after["x"] >= settings["x"] + settings["width"]  # it pushes, and covers nothing
    assert after["width"] < before["width"]


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_nobody_is_kept_out(browser, address, dark, width):
    """axe-core finds nothing serious on the open page, with its settings and with the evidence of a word."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    visit = Visit(browser, address, dark=dark, width=width)
    page = visit.page
    assert page.evaluate("() => document.body.classList.contains('dark')") is dark
    page.wait_for_selector(".panel .own")
    steps = [lambda: None, lambda: page.click(".toggle-settings"), lambda: page.locator(".seg.m").first.click()]
    for step in steps:
        step()
        page.wait_for_timeout(300)
        violations = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}).response[
            "violations"
        ]
        worst = [one for one in violations if one["impact"] in ("serious", "critical")]
        assert not worst, [(one["id"], one["nodes"][0]["target"], one["nodes"][0]["html"][:200]) for one in worst]
    page.close()
