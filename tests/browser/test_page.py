"""A really driven browser: upload, run, stop, click a word, phone width, dark mode, bad input, untrusted text."""

from __future__ import annotations

import pytest
from page import Visit

from halluapp.data import scenes
from halluapp.lvlm.base import LVLM


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
    counts = visit.page.inner_text(".panel .counts")
    assert "grounded" in counts
    assert "tok/s" in counts
    assert visit.page.locator("#report").is_visible()
    saved = visit.page.inner_text("#report")
    assert all(f".{suffix}" in saved for suffix in ("json", "html", "md"))
    assert visit.errors == []
    assert visit.outside == []


def test_a_word_shows_its_evidence_by_mouse_and_by_keyboard(visit, photo):
    visit.upload(photo)
    visit.ask("Describe this image in detail.")
    visit.run()
    word = visit.page.locator(".seg.m[tabindex='0']").first
    word.click()
    facts = visit.page.inner_text(".facts")
    assert "this method" in facts
    assert "%" in facts
    assert "Most probable tokens" in facts
    assert any(verdict in facts for verdict in ("grounded", "contradicted", "not sure", "not checkable"))
    other = visit.page.locator(".seg.m[tabindex='0']").last
    other.focus()
    visit.page.keyboard.press("Enter")
    assert "chosen" in (other.get_attribute("class") or "")
    assert (other.get_attribute("aria-label") or "").count(":") == 1


def test_methods_and_a_stacked_panel_are_switched_on_in_the_sidebar(visit, photo):
    page = visit.page
    page.locator(".sidebar .toggle-button").first.click()
    for name in ("VCD", "ICD", "M3ID", "PAI", "DoLa", "DeCo"):
        page.locator("#methods").get_by_label(name, exact=True).check()
    page.locator("#stacked input").click()
    page.get_by_role("option", name="Nullu + VDD", exact=True).click()
    page.wait_for_selector("#stacked .token")
    page.keyboard.press("Escape")
    page.locator(".sidebar .toggle-button").first.click()
    visit.upload(photo)
    visit.ask("Describe this image in detail.")
    visit.run()
    titles = page.eval_on_selector_all(".panel h3", "nodes => nodes.map((n) => n.textContent)")
    switched_on = ["VCD", "ICD", "M3ID", "PAI", "DoLa", "DeCo", "Nullu + VDD"]
    assert titles[5:] == switched_on
    assert all(state.startswith("done") for state in visit.states())
    assert all(visit.texts())
    page.locator(".panel[data-method='vcd'] .seg").first.click()
    assert "noised photo" in page.inner_text(".facts")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert visit.errors == []


def test_grounded_words_light_their_box(visit, photo):
    visit.upload(photo)
    visit.ask("List the objects in the image.")
    visit.run()
    grounded = visit.page.locator(".seg.grounded[tabindex='0']")
    if grounded.count() == 0:  # the texts belong to the model; without a grounded word no box may light up
        visit.page.locator(".seg").first.click()
        assert visit.page.locator(".box.lit").count() == 0
    else:
        grounded.first.click()
        assert visit.page.locator(".box.lit").count() == 1


def test_stop_stops_and_run_works_again(visit, photo, monkeypatch):
    monkeypatch.setattr(LVLM, "end_tokens", frozenset())  # or the answers end before anyone can click
    visit.upload(photo)
    visit.ask("Describe this image in detail.")
    visit.page.evaluate("() => document.querySelector('.sidebar .toggle-button, .toggle-button')?.click()")
    visit.page.get_by_role("button", name="Sampling").click()
    visit.page.fill("#temperature input[type=number]", "2")
    visit.page.fill("#max-tokens input[type=number]", "512")
    visit.page.keyboard.press("Tab")
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
    visit.page.fill("#max-tokens input[type=number]", "4")
    visit.page.keyboard.press("Tab")
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


def test_preset_fills_the_prompt_and_an_example_runs(visit):
    visit.page.get_by_role("button", name="List the objects in the image.").click()
    visit.page.wait_for_function("() => document.querySelector('#prompt textarea').value.startsWith('List')")
    visit.page.locator("#request .gallery-item").first.click()
    visit.wait_done()
    assert len(visit.texts()) == 5


def test_the_sureness_judges_again_without_decoding(visit, photo):
    visit.upload(photo)
    visit.ask("Describe this image in detail.")
    visit.run()
    run, before = visit.page.evaluate("() => document.querySelector('[data-run]').dataset.run"), visit.texts()
    visit.page.evaluate("() => document.querySelector('.sidebar .toggle-button, .toggle-button')?.click()")
    slider = visit.page.locator("#sure input[type=range]")
    slider.focus()
    slider.press("End")
    slider.dispatch_event("pointerup")
    visit.page.wait_for_function("() => document.querySelectorAll('.seg.grounded').length === 0", timeout=15_000)
    assert visit.texts() == before
    assert visit.page.evaluate("() => document.querySelector('[data-run]').dataset.run") == run


@pytest.mark.parametrize("name", ["text.jpg", "empty.jpg"])
def test_a_bad_photo_is_one_sentence_and_nothing_typed_is_lost(visit, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"" if name.startswith("empty") else b"no photo")
    visit.page.set_input_files("#photo input[type=file]", str(path))
    visit.page.wait_for_timeout(1500)
    visit.ask("My long question about this photo")
    visit.page.click("#run")
    visit.page.wait_for_selector("#panels .error:not([hidden])", timeout=30_000)
    sentence = visit.page.inner_text("#panels .error")
    assert sentence.endswith(".")
    assert "\n" not in sentence
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
    lefts = visit.page.eval_on_selector_all(
        ".panel", "nodes => nodes.map((n) => Math.round(n.getBoundingClientRect().x))"
    )
    assert len(set(lefts)) == 1
    visit.page.close()


CONTRAST = """() => {
  const rgb = (c) => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (c) => rgb(c).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  return [...document.querySelectorAll('.panel .text, .panel .why, .panel h3')].map((node) => {
    const panel = node.closest('.panel');
    const [a, b] = [light(getComputedStyle(node).color), light(getComputedStyle(panel).backgroundColor)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }); }"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_in_both_themes(browser, address, photo, dark):
    visit = Visit(browser, address, dark=dark)
    visit.upload(photo)
    visit.ask("Describe this image.")
    visit.run()
    assert visit.page.evaluate("() => document.body.classList.contains('dark')") is dark
    assert min(visit.page.evaluate(CONTRAST)) >= 4.5
    visit.page.close()
