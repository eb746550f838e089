"""The board's later parts: judged captions, runs side by side, the live log, notices that are over."""

from __future__ import annotations

import json
from dataclasses import replace

import gradio as gr
import pytest
from training_runs import fresh, start

from halluapp.data.photos import small_jpeg
from halluapp.grounding.detectors.loading import load_detector
from halluapp.serving.visitors import OWNER_OF_ALL
from halluapp.settings import ASSETS, Settings
from halluapp.training import loop, runs
from halluapp.ui.train import captions, live, state, texts

SURE = {"grounded", "contradicted", "not sure", "not checkable"}


@pytest.fixture
def run(tmp_path):
    """A run's folder with two captions of a photo that is known to show a dog and a man."""
    run = start(tmp_path, "chip", "mine")
    run.append_row("samples.jsonl", {"step": 0, "text": "A man with a cat under ☂ a cloud."})
    run.append_row("samples.jsonl", {"step": 4, "text": "A person walks two puppies."})
    (run.folder / runs.SAMPLE_PHOTO).write_bytes(b"")
    (run.folder / runs.SAMPLE_FACTS).write_text(
        json.dumps({"objects": ["dog", "man"], "labels": ["cat", "dog", "man"]})
    )
    return run


def marks(sample: dict) -> dict[str, str]:
    return {words: verdict for words, verdict, _ in sample["parts"] if verdict}


def test_captions_are_judged_by_what_the_photo_is_known_to_show(run):
    board = captions.judged(run, 4)
    before, now = board["samples"]
    assert board["judge"] == texts.BY_LABELS
    assert "".join(words for words, *_ in before["parts"]) == before["text"]
    assert (marks(before)["man"], marks(before)["cat"]) == ("grounded", "contradicted")
    assert marks(before)["cloud"] == "not checkable"  # nobody said whether there is one
    assert before["count"] == "2 things named, 1 not in the photo"
    assert set(marks(now).values()) == {"grounded"}  # a kind, and the wider word, are the thing
    assert (before["panel"], now["panel"]) == (False, True)
    assert "judge" not in state.snapshot(run.folder.parent, "mine", [])["possible"]


@pytest.mark.parametrize(
    "content", ["", "[]", "3", '{"objects": null}', '{"detector": "", "evidence": {}}', "{}", '{"objects": ["dog"]}']
)
def test_what_is_not_known_is_not_judged(run, content):
    (run.folder / runs.SAMPLE_FACTS).write_text(content)
    board = captions.judged(run, 4)
    assert board["judge"] == ""
    assert [sample["parts"] for sample in board["samples"]] == [[[s["text"], "", ""]] for s in board["samples"]]
    assert "judge" in state.snapshot(run.folder.parent, "mine", [])["possible"]


def test_a_photo_without_labels_is_judged_by_the_detector(run):
    from halluapp.data import scenes

    (run.folder / runs.SAMPLE_FACTS).unlink()
    (run.folder / runs.SAMPLE_PHOTO).write_bytes(small_jpeg(scenes.render("park")[0]))
    captions.look(run, load_detector(Settings().detector, ASSETS, "cpu"))
    board = captions.judged(run, 4)
    assert board["judge"].startswith("Judged by ")
    assert set(marks(board["samples"][0]).values()) <= SURE
    assert "man" in marks(board["samples"][0])
    assert all("p(" in reason for words, _, reason in board["samples"][0]["parts"] if words == "man")


def test_a_real_run_keeps_what_its_photo_shows_and_captions_every_step_that_may_stay(tmp_path):
    run = start(tmp_path, "chip", steps=2, evaluate_every=1, sample_every=100, keep="best")
    loop.train(run, fresh())
    assert json.loads((run.folder / runs.SAMPLE_FACTS).read_text()) == {"objects": ["dog"], "labels": ["dog"]}
    assert [row["step"] for row in run.samples()] == [0, 1, 2]
    board = state.snapshot(tmp_path / "runs", None, [])["run"]
    assert sum(sample["panel"] for sample in board["samples"]) == 1
    own = start(tmp_path, "chip", "own", steps=1)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes((run.folder / runs.SAMPLE_PHOTO).read_bytes())
    loop.train(own, fresh(), replace(own.config(), photo=str(photo)))
    assert not (own.folder / runs.SAMPLE_FACTS).exists()


def test_measured_runs_stand_side_by_side_with_how_much_they_were_measured_on(tmp_path):
    for name, chair in (("one", -0.1), ("two", 0.2)):
        run = start(tmp_path, "chip", name)
        assert state.snapshot(tmp_path / "runs", name, ["one", "two"])["comparison"] is None
        cells = {"chair_i": [chair, -0.3, 0.3], "margin": [1.0, None, None]}
        content = {"before": cells, "after": cells, "difference": cells, "pairs": 12, "photos": 5, "step": 4}
        (run.folder / "measured.json").write_text(json.dumps(content))
        (run.folder / "measured-other.json").write_text(json.dumps(content))  # of other pairs: no fair column
    comparison = state.snapshot(tmp_path / "runs", "one", ["two"])["comparison"]
    assert comparison["runs"] == [{"name": name, "n": "12 pairs of 5 photos, after step 4"} for name in ("one", "two")]
    rows = {row["key"]: row for row in comparison["rows"]}
    assert rows["chair_i"]["cells"] == [[-0.1, -0.3, 0.3], [0.2, -0.3, 0.3]]
    assert rows["chair_i"]["better"] == -1
    assert state.snapshot(tmp_path / "runs", "one", ["two"])["run"]["measured"][0]["n"].startswith("12 pairs")


def test_the_log_is_there_while_a_run_lives_without_the_warnings_of_libraries(tmp_path):
    run = start(tmp_path, "chip")
    lines = [f"step {number} of 100, {number} s: held-out loss 1.5" for number in range(99)]
    (run.folder / "log.txt").write_text("\n".join(["x.py:1: FutureWarning: y", "  warnings.warn(", *lines]))
    run.write_status("running", 98)
    log = state.snapshot(tmp_path / "runs", None, [])["run"]["log"].splitlines()
    assert log == lines[-state.LOG_LINES :]


def test_a_notice_about_what_went_on_goes_when_it_is_over(tmp_path):
    run, settings = start(tmp_path, "chip", "mine"), Settings(runs=tmp_path / "runs")
    run.write_status("running", 1)
    digest = live.refresh(settings, OWNER_OF_ALL, "mine", [])[1]
    assert live.tick(settings, OWNER_OF_ALL, "mine", [], digest)[-1] == gr.skip()
    run.write_status("running", 2)
    outputs = live.tick(settings, OWNER_OF_ALL, "mine", [], digest)
    assert outputs[0]["list"][0]["step"] == 2
    assert outputs[-1] == gr.skip()
    run.write_status("finished", 4)
    assert live.tick(settings, OWNER_OF_ALL, "mine", [], outputs[1])[-1] == ""
