"""Another model by the list in the header: progress, equal answers on the way back, and the old one after a failure."""

from __future__ import annotations

import shutil

import pytest
from page import Visit
from served import app
from tiny import folder

LINE = "(part) => document.querySelector('#model .line').textContent.includes(part)"
NOTE = "(part) => document.querySelector('#model-note').textContent.includes(part)"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(browser, tmp_path_factory):
    """A server whose model nobody else needs."""
    with app(runs=tmp_path_factory.mktemp("runs")) as url:
        yield url


def load(visit: Visit, text: str) -> None:
    """Types a folder into the list and presses Enter."""
    page = visit.page
    if not page.evaluate("() => document.querySelector('#model details').open"):
        page.locator("#model summary").press("Enter")
    page.select_option("#model .quantization", "none")
    page.fill("#model .another .text", text)
    page.press("#model .another .text", "Enter")


def test_there_and_back_with_a_failure_between(visit, tmp_path):
    page = visit.page
    visit.run()
    first = visit.texts()
    load(visit, str(folder("llava")))
    page.wait_for_function(LINE, arg="llava: ", timeout=60_000)  # it says what it does
    assert page.is_visible("#model progress")
    page.wait_for_function(LINE, arg="llava · not quantized", timeout=60_000)
    assert page.is_hidden("#model progress")
    page.wait_for_function(NOTE, arg="llava follows free instructions")
    page.keyboard.press("Escape")
    assert page.is_hidden("#model .sheet")
    visit.run()
    second = visit.texts()
    assert second != first
    assert page.inner_text(".eyes").startswith("Answered by llava, not quantized")
    broken = tmp_path / "broken"
    shutil.copytree(folder("llava"), broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    load(visit, str(broken))
    page.wait_for_function("() => document.querySelector('#model .error').textContent", timeout=60_000)
    assert page.inner_text("#model .error").startswith("broken could not be loaded")
    assert page.is_visible("#model .sheet")
    visit.run()
    assert visit.texts() == second
    page.get_by_role("tab", name="Train").click()
    page.wait_for_function("() => document.querySelector('#train-memory').textContent.includes('llava in its own')")
    assert str(folder("llava")) in page.input_value("#train-command textarea")
    page.get_by_role("tab", name="Compare").click()
    page.locator("#model summary").press("Enter")
    page.select_option("#model .quantization", "nf4")
    page.get_by_role("button", name="Load halluapp-pocket").click()
    page.wait_for_function(LINE, arg="halluapp-pocket · NF4", timeout=60_000)
    page.keyboard.press("Escape")
    visit.run()
    assert visit.texts() == first
    assert visit.errors == []
    assert visit.outside == []


def test_the_note_follows_the_prompt(visit):
    visit.ask("How many dogs are there?")
    visit.page.wait_for_function(NOTE, arg="counts to four at most")
    visit.page.locator("#presets button").first.click()
    visit.page.wait_for_function(NOTE, arg="answers in English")


@pytest.mark.parametrize("width", [1400, 390])
def test_the_list_fits_the_page_and_can_be_read(browser, address, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    visit = Visit(browser, address, width=width)
    visit.page.locator("#model summary").press("Enter")
    visit.page.wait_for_selector("#model .one")
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") <= width
    box = visit.page.locator("#model .sheet").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    violations = axe.run(visit.page, context="#model").response["violations"]
    assert not [one["id"] for one in violations if one["impact"] in ("serious", "critical")]
    visit.page.close()
