"""Another model in the background: its progress, equal answers, one in memory, and the old one after a failure."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace

import pytest
from tiny import OPEN, folder, photo

from halluapp import session
from halluapp.decoding.events import Decoded, Done, Status
from halluapp.errors import InputError
from halluapp.request import make_request
from halluapp.serving.lane import LANE
from halluapp.serving.models import Models, choices
from halluapp.serving.models.switch import FAILED, Progress
from halluapp.settings import Settings

pytestmark = pytest.mark.slow  # weights are counted by processes of their own
LLAVA, POCKET = str(folder("llava")), str(folder("pocket"))


@pytest.fixture
def models():
    """A server of its own: whatever other tests have loaded is gone."""
    session.unload_all()
    yield Models(Settings(model=LLAVA, device="cpu", quantization="none", detector="pocket"))
    session.unload_all()


def ask(models: Models) -> tuple[str, list[str]]:
    """(the model that answered, its texts)."""
    request = make_request(photo(), OPEN, ["baseline", "vdd"], max_new_tokens=6)
    *_, done = models.stream(request)
    return done.report["model"]["name"], [panel["text"] for panel in done.report["panels"]]


def wait(models: Models) -> list[Progress]:
    """Everything that the switch reports until it ends."""
    reports: list[Progress] = []
    while progress := models.switch.progress:
        if progress not in reports[-1:]:
            reports.append(progress)
        time.sleep(0.001)
    return reports


def test_there_and_back_answers_as_fresh_sessions_and_one_model_stays(models):
    first = ask(models)
    models.change(POCKET, "none")
    reports = wait(models)
    assert models.switch.error == ""
    assert [stage for stage in ("files", "weights", "warm-up") if any(one.stage == stage for one in reports)]
    second = ask(models)
    assert second[0] == POCKET != first[0]
    assert list(session._sessions) == [models.current]  # the old one is gone
    models.change(LLAVA, "none")
    wait(models)
    assert ask(models) == first
    session.unload_all()
    fresh = Models(replace(models.settings, model=POCKET))
    assert ask(fresh) == second


def test_tensors_are_counted_while_they_are_read(models):
    progress = []
    models.switch._reporter = lambda title, stage: lambda done, total: progress.append((stage, done, total))
    models.change(POCKET, "none")
    wait(models)
    stages, done, totals = zip(*progress, strict=True)
    assert set(stages) == {"weights"}
    assert len(set(totals)) == 1
    assert list(done) == list(range(totals[0] + 1))


def test_a_comparison_ends_on_the_old_model_and_the_next_one_waits_for_the_new(models):
    ask(models)
    long = models.stream(make_request(photo(), OPEN, ["baseline"], max_new_tokens=40))
    assert isinstance(next(event for event in long if isinstance(event, Decoded)), Decoded)
    models.change(POCKET, "none")
    while not LANE.counts()["waiting"]:
        time.sleep(0.01)
    after: list = []
    request = make_request(photo(), OPEN, ["baseline"], max_new_tokens=2)
    behind = threading.Thread(target=lambda: after.extend(models.stream(request)))
    behind.start()
    while LANE.counts()["waiting"] < 2:
        time.sleep(0.01)
    *_, done = long
    assert done.report["model"]["name"] == LLAVA
    behind.join()
    assert after[-1].report["model"]["name"] == POCKET
    sentences = [event.text for event in after if isinstance(event, Status)]
    assert "Waiting for the model: pocket is being loaded." in sentences
    assert isinstance(after[-1], Done)


def test_a_failure_leaves_the_old_model_and_one_sentence(models, tmp_path):
    first = ask(models)
    broken = tmp_path / "broken"
    shutil.copytree(folder("llava"), broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    models.change(str(broken), "none")
    wait(models)
    assert models.switch.error.startswith("broken could not be loaded: ")
    assert models.switch.error.endswith(" llava goes on answering.")
    assert "\n" not in models.switch.error
    assert ask(models) == first
    models.change(LLAVA, "none")  # the one that answers: nothing to do, and nothing to say any more
    wait(models)
    assert models.switch.error == ""


def test_where_both_do_not_fit_the_old_one_goes_first_and_comes_back(models, tmp_path, monkeypatch):
    first, unloaded = ask(models), []
    need = choices.need(replace(models.settings, model=POCKET))
    room = choices.Room(free=need - 1, loaded=1, on_gpu=False)
    monkeypatch.setattr(choices.Room, "now", lambda device, loaded: room)
    unload = session.unload
    monkeypatch.setattr("halluapp.serving.models.switch.unload", lambda old: (unloaded.append(old.model), unload(old)))
    broken = tmp_path / "broken"
    shutil.copytree(folder("pocket"), broken)
    (broken / "tokenizer.json").write_text("{}")
    models.change(str(broken), "none")
    wait(models)
    assert unloaded == [LLAVA, str(broken)]
    assert models.switch.error.endswith("goes on answering.")
    assert session.loaded_session(models.current) is not None  # loaded again
    assert ask(models) == first
    monkeypatch.setattr(choices.Room, "now", lambda device, loaded: choices.Room(need - 2, 1, False))
    models.change(POCKET, "none")
    wait(models)
    assert "needs about" in models.switch.error
    assert "once the loaded model is gone" in models.switch.error
    assert ask(models) == first


def test_only_what_the_server_allows_is_loaded(models):
    public = Models(replace(models.settings, exposed=True))
    listed = Models(replace(public.settings, models=(POCKET,)))
    zero = Models(replace(models.settings, zero_gpu=True))
    for server, model in ((public, POCKET), (public, "pocket"), (zero, POCKET), (listed, "pocket"), (listed, "a/b")):
        with pytest.raises(InputError):
            server.change(model, "none")
        assert server.switch.progress is None
        assert server.current == server.settings
    with pytest.raises(InputError, match="nf5"):
        listed.change(POCKET, "nf5")
    assert [choice.model for choice in choices.choices(public.settings)] == [LLAVA]
    assert [choice.model for choice in choices.choices(listed.settings)] == [LLAVA, POCKET]
    listed.change(POCKET, "none")
    wait(listed)
    assert (listed.switch.error, listed.current.model) == ("", POCKET)


def test_what_cannot_be_had_is_refused_at_once(models, tmp_path):
    for model, reason in (
        ("/nowhere/at/all", "no folder here"), ("some/model", "switched off"), (str(tmp_path), "no config.json"),
        ("", "no folder here"), ("x" * 400, "no folder here"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=reason):
            models.change(model, "none")
    (tmp_path / "config.json").write_text('{"model_type": "bert", "text_config": {}}')
    models.change(str(tmp_path), "none")
    wait(models)
    assert "bert" in models.switch.error
    with models.switch.use("A HalluSpace is being computed"), pytest.raises(InputError, match="HalluSpace"):
        models.change(POCKET, "none")


def test_two_switches_do_not_meet(models):
    models.change(POCKET, "none")
    with pytest.raises(InputError, match="is being loaded"):
        models.change(LLAVA, "none")
    wait(models)
    assert models.current.model == POCKET
    assert FAILED.count("{") == 3
