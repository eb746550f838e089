"""The page while others are served: place and time are told, Stop leaves the lane, a full lane and a fault are said."""

from __future__ import annotations

import time

import pytest
from page import Visit

from halluapp.data import scenes
from halluapp.lvlm.base import LVLM
from halluapp.serving.lane import LANE
from halluapp.serving.models import Models
from halluapp.settings import Settings
from halluapp.ui import texts

QUEUE = Settings.queue
STATUS = "() => document.querySelector('#panels .status')?.textContent.includes({})"


@pytest.fixture
def visit(browser, address, tmp_path):
    path = tmp_path / "park.png"
    scenes.render("park")[0].save(path)
    visit = Visit(browser, address)
    visit.upload(path)
    yield visit
    visit.page.close()


@pytest.fixture
def tickets():
    """Comparisons of others."""
    tickets = []
    yield tickets
    for ticket in tickets:
        ticket.leave()


def wait_for_status(visit: Visit, text: str) -> None:
    visit.page.wait_for_function(STATUS.format(repr(text)), timeout=60_000)


def is_left(visit: Visit) -> None:
    """Nothing pulses, and another run can be started."""
    visit.page.wait_for_function("() => !document.querySelector('#run').disabled", timeout=30_000)
    assert visit.page.is_disabled("#stop")
    assert visit.page.locator("#panels [data-busy='yes']").count() == 0


def answers(visit: Visit) -> None:
    """The next run decodes."""
    visit.run(wait=False)
    visit.page.wait_for_function("() => document.querySelector('.panel .text')?.textContent.length > 5", timeout=90_000)
    visit.page.evaluate("() => document.querySelector('#stop').click()")
    wait_until(lambda: LANE.counts() == {"waiting": 0, "running": 0})


def wait_until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_who_waits_sees_the_place_and_can_leave(visit, tickets):
    """The kind: no position, no expected time, Stop disabled."""
    tickets += [LANE.join(QUEUE) for _ in range(2)]
    visit.page.click("#run")
    wait_for_status(visit, "2 comparisons are before this one, about")
    tickets.pop().leave()
    wait_for_status(visit, "one comparison is before this one, about")
    visit.page.wait_for_function("() => !document.querySelector('#stop').disabled")
    visit.page.click("#stop")
    wait_for_status(visit, texts.STOPPED)
    is_left(visit)
    assert LANE.counts() == {"waiting": 0, "running": 1}
    tickets.pop().leave()
    answers(visit)


def test_a_full_lane_is_a_sentence_that_stays(visit, tickets):
    """The kind: a toast that vanishes, and a page that pulses for ever."""
    tickets += [LANE.join(QUEUE) for _ in range(QUEUE + 1)]
    visit.page.click("#run")
    visit.page.wait_for_selector("#panels .error:not([hidden])", timeout=60_000)
    is_left(visit)
    visit.page.wait_for_timeout(1500)
    assert f"{QUEUE} comparisons wait for the model" in visit.page.inner_text("#panels .error")


def test_a_reload_during_a_run_brings_photo_prompt_and_settings_back(visit, monkeypatch):
    """The kind: the example again, the default prompt, and no word about it."""
    monkeypatch.setattr(LVLM, "end_tokens", frozenset())  # or the answers end before the page is left
    page = visit.page
    visit.ask("Describe this image.")
    page.locator("#methods").get_by_label("VCD", exact=True).check()
    page.click("#run")
    page.wait_for_function("() => document.querySelector('.panel .text')?.textContent.length > 5", timeout=60_000)
    page.reload()
    wait_for_status(visit, texts.RUN_LOST)
    page.wait_for_function("() => document.querySelector('.toggle-settings').textContent.includes('6 of')")
    assert page.input_value("#prompt textarea") == "Describe this image."
    assert page.get_attribute(".photo img", "alt").endswith("park.png")
    assert page.locator(".panel").count() == 0
    assert page.is_enabled("#run")
    wait_until(lambda: LANE.counts() == {"waiting": 0, "running": 0})
    page.click(".example")  # an answer: there is nothing to bring back any more
    page.wait_for_selector(".panel .own")
    page.reload()
    page.wait_for_selector(".panel .own")
    wait_for_status(visit, "An example")


def test_a_fault_of_the_server_leaves_the_page_usable(visit, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(Models, "stream", lambda *_: (_ for _ in ()).throw(RuntimeError("a fault")))
        visit.page.click("#run")
        visit.page.wait_for_selector("#panels .error:not([hidden])", timeout=60_000)
        assert visit.page.inner_text("#panels .error") == texts.FAILED
        is_left(visit)
    answers(visit)
