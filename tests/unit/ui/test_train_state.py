"""What the training tab shows, read from real run folders: curves, list, time left, tables, what can be done."""

from __future__ import annotations

import base64
import json
import math
import os

import pytest
import torch
from training_runs import SHORT, fresh, losses, pairs_in, start

from halluapp.data.pairs import read_pairs, split
from halluapp.data.photos import read_photo
from halluapp.errors import InputError
from halluapp.methods.registry import create
from halluapp.serving.models import Models
from halluapp.serving.visitors import OWNER_OF_ALL
from halluapp.settings import Settings
from halluapp.training import library, loop, recipes, runs
from halluapp.training.measure import before_after
from halluapp.training.methods.chip_loss import preferred_share
from halluapp.ui.train import data, form, live, run_actions, state, texts
from halluapp.ui.train import start as start_controls


def row(board: dict, name: str) -> dict:
    return next(one for one in board["list"] if one["name"] == name)


@pytest.fixture(scope="module")
def measured_root(tmp_path_factory):
    """The folder of runs with a finished one, measured."""
    home = tmp_path_factory.mktemp("state")
    run, model = start(home, "hacl", "mine", train="adapter", rate=1e-2), fresh()
    loop.train(run, model)
    model.adapters["run"] = library._load_adapter(model, run) or model.adapters["mine"]
    measurement = before_after.measure_effect(
        model, read_pairs(home / "pairs"), create("adapter:run"), log=lambda line: None
    )
    (run.folder / "measured.json").write_text(json.dumps(measurement))
    return home / "runs"


def test_an_empty_folder_is_an_empty_board(tmp_path):
    board = state.snapshot(tmp_path / "runs", None, [])
    assert board["list"] == []
    assert board["run"] is None
    assert board["chosen"] is None
    assert board["possible"] == []


def test_a_run_in_full(measured_root):
    board = state.snapshot(measured_root, None, [])
    assert board["chosen"] == "mine"
    assert board["run"]["status"] == "finished"
    line = row(board, "mine")
    assert line["step"] == line["steps"] == 4
    assert line["loss"] > 0
    assert line["held"] > 0
    assert line["memory"] > 0
    keys = board["curves"][0]["keys"]
    assert [step for step, _ in keys["loss"]["train"]] == [1, 2, 3, 4]
    assert [step for step, _ in keys["loss"]["held"]] == [0, 2, 4]
    for part in ("photo_to_text", "text_to_photo", "generation"):  # every component, training and held-out
        assert len(keys[part]["train"]) == 4
        assert len(keys[part]["held"]) == 3
    assert "seconds" not in keys
    assert [step for step, _ in keys["rate"]["train"]] == [1, 2, 3, 4]
    assert [one["step"] for one in board["run"]["samples"]] == [0, 4]
    assert set(board["possible"]) == {"add", "lengthen", "download", "use", "rename", "measure", "delete"}
    json.dumps(board, allow_nan=False)


def test_the_table_and_the_map_are_what_was_measured(measured_root):
    board = state.snapshot(measured_root, "mine", [])["run"]
    stored = json.loads((measured_root / "mine" / "measured.json").read_text())
    cells = {one["key"]: one for one in board["measured"]}
    assert cells["margin"]["after"] == stored["after"]["margin"]
    assert cells["chair_i"]["better"] == -1
    assert {"distance", "separability"} <= set(cells)
    assert set(cells) <= set(texts.MEASURES)
    for side in ("before", "after"):
        assert {len(points) for points in board["map"][side].values()} == {5}  # a photo counts once
    assert board["map"]["before"] != board["map"]["after"]
    low, value, high = (stored["after"]["separability"][k] for k in (1, 0, 2))
    assert low <= value <= high


DAMAGED = (
    "", "[1]", "{}", '{"before": 1, "after": {"x": 1}, "difference": {}}',
    '{"before": {}, "after": {"x": [null]}, "difference": {}, "map": {"before": 3}}',
)  # fmt: skip


def test_a_damaged_measurement_is_no_reason_to_show_nothing(tmp_path):
    run = start(tmp_path, "chip")
    for content in DAMAGED:
        (run.folder / "measured.json").write_text(content)
        board = state.snapshot(tmp_path / "runs", None, [])
        assert board["run"]["map"] is None, content
        assert board["chosen"] == "run", content


def test_a_half_written_line_and_numbers_that_are_none_are_left_out(tmp_path):
    run = start(tmp_path, "chip")
    run.append_row("metrics.jsonl", {"step": 1, "loss": 2.0, "seconds": 1.0})
    run.append_row("metrics.jsonl", {"step": 2, "loss": math.nan, "seconds": 2.0})
    with open(run.folder / "metrics.jsonl", "a") as out:
        out.write('{"step": 3, "lo')
    board = state.snapshot(tmp_path / "runs", None, [])
    assert board["curves"][0]["keys"]["loss"]["train"] == [[1, 2.0]]
    json.dumps(board, allow_nan=False)


def test_time_left_is_by_the_pace_of_the_steps(tmp_path):
    run = start(tmp_path, "chip", steps=10)
    for step in (1, 2, 3):
        run.append_row("metrics.jsonl", {"step": step, "loss": 1.0, "seconds": 5.0 + 2 * step})
    run.write_status("running", 3)
    assert state.snapshot(tmp_path / "runs", None, [])["run"]["left"] == pytest.approx(14)


def test_long_curves_are_thinned_and_keep_their_ends(tmp_path):
    run = start(tmp_path, "chip")
    for step in range(1, 2001):
        run.append_row("metrics.jsonl", {"step": step, "loss": 1 / step, "seconds": step})
    points = state.snapshot(tmp_path / "runs", None, [])["curves"][0]["keys"]["loss"]["train"]
    assert len(points) <= state.MOST_POINTS + 1
    assert points[0][0] == 1
    assert points[-1][0] == 2000


def test_the_queue_is_shown(tmp_path):
    for name, since in (("b", 2.0), ("a", 1.0)):
        run = start(tmp_path, "chip", name)
        status = json.loads((run.folder / "status.json").read_text())
        (run.folder / "status.json").write_text(json.dumps({**status, "since": since}))
    root = tmp_path / "runs"
    assert [run.name for run in state.live_runs(root)] == ["a", "b"]
    board = state.snapshot(root, None, [])
    assert (row(board, "a")["state"], row(board, "b")["state"]) == ("starting", "waiting")
    state.live_runs(root)[0].write_status("running", 1)
    board = state.snapshot(root, None, [])
    assert (row(board, "a")["state"], row(board, "b")["state"]) == ("training", "waiting")
    assert board["chosen"] == "a"
    assert set(board["possible"]) == {"download", "use"}


def test_what_cannot_be_done_is_not_offered(tmp_path):
    run = start(tmp_path, "chip")
    status = {"stopped": {"resume"}, "failed": {"resume"}, "finished": set(), "interrupted": {"resume"}}
    for name, more in status.items():
        run.write_status(name, 2)
        assert set(state.snapshot(tmp_path / "runs", None, [])["possible"]) == {
            "download", "use", "rename", "delete"
        } | more  # fmt: skip


def test_runs_are_overlaid_and_gone_ones_forgotten(measured_root, tmp_path):
    start(tmp_path, "chip", "one").append_row("metrics.jsonl", {"step": 1, "loss": 1.0})
    start(tmp_path, "chip", "two").append_row("metrics.jsonl", {"step": 1, "loss": 2.0})
    board = state.snapshot(tmp_path / "runs", "one", ["two", "gone", "one"])
    assert [curve["name"] for curve in board["curves"]] == ["one", "two"]
    assert "gone" not in board["overlay"]


def test_nothing_is_sent_twice_and_a_late_look_does_not_undo_a_choice(measured_root):
    settings = Settings(runs=measured_root)
    first = live.refresh(settings, OWNER_OF_ALL, None, [])
    assert first[0]["chosen"] == "mine"
    assert first[4] == "mine"
    again = live.refresh(settings, OWNER_OF_ALL, "mine", [], first[1], keep=True)
    assert len(again) == len(first)
    assert all(part == again[0] for part in again)
    changed = live.refresh(settings, OWNER_OF_ALL, "mine", ["mine"], "another", keep=True)
    assert changed[0]["list"]
    assert changed[4] == again[0]
    overlay, board, *_ = live.select_run(settings, OWNER_OF_ALL, "mine", "plot", "mine", [])
    assert overlay == ["mine"]
    assert board["overlay"] == ["mine"]
    assert live.select_run(settings, OWNER_OF_ALL, "mine", "plot", "mine", ["mine"])[0] == []


def test_the_log_tells_what_happened_before_the_end(tmp_path):
    run = start(tmp_path, "chip")
    (run.folder / "log.txt").write_text("looked at 3 of 5 photos\n  warnings.warn(\nUserWarning: x\n")
    run.write_status("preparing")
    note = state.snapshot(tmp_path / "runs", None, [])["run"]["note"]
    assert note.startswith(texts.STAGES["photos"].format(done=3, total=5) + " (")
    assert note.endswith(" s)")
    run.write_status("running", 1)
    assert state.snapshot(tmp_path / "runs", None, [])["run"]["note"] == ""
    run.write_status("failed", 1, "Memory ran out at step 1; lower batch (now 2).")
    board = state.snapshot(tmp_path / "runs", None, [])["run"]
    assert "looked at" in board["log"]
    assert board["error"].startswith("Memory ran out")


def test_settings_go_to_a_file_and_back(tmp_path):
    chosen = {"kind": "chip", "settings": {"steps": 7, "visual": 0.0}, "source": texts.PAIRS_PATH, "path": "some/pairs"}
    path = tmp_path / "settings.json"
    path.write_text(form.as_json(chosen))
    kind, settings, pairs = form.read(path)
    assert kind == "chip"
    assert pairs == "some/pairs"
    assert recipes.create(kind, **settings) == recipes.create("chip", steps=7, visual=0.0)
    run = start(tmp_path, "adavib")
    assert form.read(run.folder / "config.json")[0] == "adavib"


NO_SETTINGS = (
    "", "[]", "{}", "null", '{"kind": "chip"}', '{"kind": "chip", "recipe": 3}', "x" * 200_000,
    '{"kind": "magic", "recipe": {}}', '{"kind": "chip", "recipe": {"steps": -1}}',
)  # fmt: skip


def test_what_is_no_settings_file_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "settings.json"
    for content in NO_SETTINGS:
        path.write_text(content)
        with pytest.raises(InputError) as caught:
            form.read(path)
        assert "\n" not in str(caught.value), content[:80]
        assert str(caught.value).endswith("."), content[:80]


def test_uploads_are_kept_and_may_not_name_files_of_this_machine(tmp_path):
    source = pairs_in(tmp_path / "pairs", 2)
    table = data.store_upload(tmp_path / "runs", [str(path) for path in source.iterdir()])
    assert "4 pairs of 2 photos" in data.check(table)
    assert data.store_upload(tmp_path / "runs", [str(path) for path in source.iterdir()]) == table
    lines = [json.loads(line) for line in (source / "pairs.jsonl").read_text().splitlines()]
    lines[1]["image"] = str(source / "0.jpg")
    (source / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(InputError, match="was not uploaded"):
        data.store_upload(tmp_path / "runs", [str(source / "pairs.jsonl"), str(source / "0.jpg")])
    for files, sentence in (([], "No pairs"), ([str(source / "0.jpg")], "not 0")):
        with pytest.raises(InputError, match=sentence):
            data.store_upload(tmp_path / "runs", files)


def test_the_pairs_of_a_run_by_source(tmp_path):
    settings = Settings(runs=tmp_path)
    assert data.pairs_path(settings, texts.SHIPPED_PAIRS, "", None).endswith(os.path.join("assets", "pairs"))
    assert data.pairs_path(settings, texts.PAIRS_PATH, "someone/a-set", None) == "someone/a-set"
    for which, path, where, sentence in (
        (texts.PAIRS_PATH, "  ", settings, "Say which pairs"),
        (texts.UPLOADED_PAIRS, "", settings, "No pairs are uploaded"),
        (texts.PAIRS_PATH, "/etc", Settings(space=True), "Paths of the server"),
    ):
        with pytest.raises(InputError, match=sentence):
            data.pairs_path(where, which, path, None)


def test_the_photo_stands_beside_its_captions(measured_root):
    run = state.snapshot(measured_root, "mine", [])["run"]
    assert [sample["step"] for sample in run["samples"]] == [0, 4]
    shown = read_photo(base64.b64decode(run["photo"].partition(",")[2]))
    held_out = split(read_pairs(measured_root.parent / "pairs"), SHORT.get("held_out", 0.1), 0)[1]
    assert shown.size == read_pairs(measured_root.parent / "pairs")[held_out[0]].open().size
    assert state._sample_photo(measured_root / "none.jpg") == ""


def entries(**changes) -> dict:
    base = {"kind": "chip", "name": "", "source": texts.SHIPPED_PAIRS, "path": "", "uploaded": None, "photo": ""}
    return {**base, "settings": {}, **changes}


def test_what_start_refuses_the_preview_refuses(tmp_path):
    settings = Settings(runs=tmp_path / "runs")
    (settings.runs / "taken").mkdir(parents=True)
    assert "--out" in form.command(settings, entries(name="mine"))
    for name, reason in (("vdd", "name of a method"), ("taken", "already"), ("a/b", "cannot name a run")):
        assert reason in form.command(settings, entries(name=name))
    assert "whole number" in form.command(settings, entries(settings={"steps": 2.5}))
    assert "--steps 7" in form.command(settings, entries(settings={"steps": 7.0}))


def test_a_finished_run_is_lengthened_and_nothing_else_is(tmp_path, monkeypatch):
    """From its last step on: the same run with a later last step, started as any other (here not for real)."""
    run = start(tmp_path, "hacl", "mine", train="adapter")
    loop.train(run, fresh())
    models, launches = Models(Settings(runs=tmp_path / "runs")), []
    monkeypatch.setattr(runs, "launch", lambda out, config, resume: launches.append((out, config.recipe.steps, resume)))
    for steps, reason in ((4, "has done 4 steps"), (2, "has done 4 steps"), (7.5, "whole number")):
        with pytest.raises(InputError, match=reason):
            run_actions.lengthen(models, OWNER_OF_ALL, "mine", "mine", steps)
    assert run_actions.lengthen(models, OWNER_OF_ALL, "mine", "mine", 6.0).sentence == "mine goes on to step 6."
    assert [(out.name, steps, resume) for out, steps, resume in launches] == [("mine", 6, True)]
    loop.train(run, fresh())
    assert [step for step, _ in losses(run)] == [1, 2, 3, 4, 5, 6]
    (run.folder / "state.pt").unlink()
    with pytest.raises(InputError, match="no state to go on from"):
        run_actions.lengthen(models, OWNER_OF_ALL, "mine", "mine", 9)


def test_before_the_first_step_no_answer_is_preferred(tmp_path):
    """All margins are 0 there: a tie counts half, so that the curve begins at chance and not at 0."""
    assert preferred_share(torch.tensor([0.0, 0.0])) == 0.5
    assert preferred_share(torch.tensor([0.1, -0.2, 0.0, 3.0])) == 0.625


def test_pairs_are_shown_beside_their_photos_before_a_run(tmp_path):
    settings = Settings(runs=tmp_path / "runs")
    folder = pairs_in(tmp_path / "pairs")
    sentence, gallery = start_controls.check_pairs(settings, texts.PAIRS_PATH, str(folder), None)
    assert sentence.startswith("10 pairs of 5 photos")
    assert len(gallery["value"]) == data.SHOWN_PAIRS
    pair = read_pairs(folder)[0]
    image, caption = gallery["value"][0]
    assert image.tobytes() == pair.open().tobytes()
    assert caption.index(pair.chosen) < caption.index(pair.rejected)
    refusal, gallery = start_controls.check_pairs(settings, texts.PAIRS_PATH, str(tmp_path / "none"), None)
    assert "none" in refusal
    assert gallery["visible"] is False


def test_presets_set_what_they_name_and_put_back_what_others_named():
    assert form.preset("chip", "without photos")["visual"] == 0.0
    assert form.preset("chip", "CHiP")["visual"] == 1.0


def test_on_zero_gpu_the_tab_is_one_sentence():
    import gradio as gr

    from halluapp.ui.train import tab

    with gr.Blocks() as blocks:
        assert tab.build(Models(Settings(zero_gpu=True)), gr.Image, gr.CheckboxGroup()) is None
    paragraphs = [part["props"].get("value") for part in blocks.config["components"] if part["type"] == "markdown"]
    assert paragraphs == [texts.ZERO_GPU]
