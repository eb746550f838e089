"""What the compare tab shows, from events of a tiny model and from refusals: no browser, no server."""

from __future__ import annotations

import hashlib
import itertools
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from tiny import OPEN, folder, photo
from tiny_sessions import tiny_session

from halluapp import comparison
from halluapp import report as reports
from halluapp.data.photos import read_photo
from halluapp.methods.registry import METHODS
from halluapp.request import make_request
from halluapp.serving.models import Models
from halluapp.serving.uploads import NOT_UPLOADED
from halluapp.settings import ASSETS, Settings
from halluapp.ui import app, texts
from halluapp.ui.compare import examples, exports, opened, run, sidebar, state


def event(**data: Any) -> gr.EventData:
    """What the page's script sends."""
    return gr.EventData(None, data)


@pytest.fixture(scope="module")
def comparison_state() -> tuple[state.ComparisonState, list[dict]]:
    """A comparison of two methods that is over, and the states on its way."""
    current = current_state()
    return current, list(states_of(current))


def current_state() -> state.ComparisonState:
    return state.ComparisonState(photo(), OPEN, 0.9, "my photo.png")


def states_of(current: state.ComparisonState) -> Iterator[dict]:
    request = make_request(photo(), OPEN, ["baseline", "vdd"], max_new_tokens=6)
    for event in comparison.stream(request, tiny_session()):
        current.add(event)
        snapshot = current.snapshot()
        json.dumps(snapshot, allow_nan=False)
        yield snapshot


@pytest.fixture
def states(comparison_state) -> list[dict]:
    return comparison_state[1]


@pytest.fixture
def final(states) -> dict:
    return states[-1]


@pytest.fixture
def saved(comparison_state) -> str:
    """The report of the same comparison as the page saves it."""
    return reports.dumps(comparison_state[0].report)


def test_tokens_cover_the_text_in_order(final):
    for panel in final["panels"]:
        tokens = [json.loads(token) for token in panel["tokens"]]
        assert tokens[0]["s"] == 0
        assert tokens[-1]["e"] <= len(panel["text"])
        for token, following in itertools.pairwise(tokens):
            assert token["e"] == following["s"]
        assert panel["seconds"] is not None
    assert final["busy"] is False
    assert final["photo"].startswith("data:image/jpeg;base64,")


def test_every_comparison_has_a_number_of_its_own():
    first, second = current_state(), current_state()
    assert first.data["run"] != second.data["run"]


def test_the_end_is_the_last_streamed_state_but_for_what_the_end_adds(states):
    before, after = states[-2], states[-1]
    assert after["run"] == before["run"]
    for one, two in zip(before["panels"], after["panels"], strict=True):
        assert one == two
    assert {key for key in after if after[key] != before[key]} == {"busy", "model", "status"}


def test_a_saved_report_shows_the_same_page_without_a_model(final, saved):
    stage, result, path, prompt, *files = opened.reopen(None, event(text=saved))
    different = {key for key in final if stage[key] != final[key]}
    assert different <= {"run", "status", "photo", "link", "files"}  # the photo is encoded anew
    assert stage["status"].startswith("A saved report of 20")
    assert stage["photo"].startswith(state.URL)
    assert prompt == OPEN
    assert list(read_photo(path).size) == stage["size"]
    assert all(update["interactive"] for update in files)
    assert opened.reopen(result, event(text=reports.dumps(result["report"])))[0]["panels"] == stage["panels"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 2}', "x" * 100, None])
def test_a_file_that_is_no_report_is_one_sentence_and_the_last_result_stays(final, text):
    last = {"stage": final, "report": None}
    stage, *others = opened.reopen(last, event(text=text))
    assert stage["error"].endswith(".")
    assert stage["panels"] == final["panels"]
    assert all(value == gr.skip() for value in others)


def test_a_photo_inside_a_report_is_decoded_or_refused(saved):
    for preview in ("no base64!", "bm8gcGhvdG8=", "data:text/html,x"):
        report = json.loads(saved)
        report["photo"]["preview"] = preview
        assert opened.reopen(None, event(text=json.dumps(report)))[0]["error"].endswith(".")
    del report["photo"]["preview"]
    stage, _, path, *_ = opened.reopen(None, event(text=json.dumps(report)))
    assert (stage["error"], stage["photo"], path) == ("", "", None)


def test_only_uploaded_files_are_taken_as_photos(final, tmp_path):
    scene = tmp_path / "scene.png"
    photo().save(scene)
    for path in (str(scene), "/etc/passwd", "", None, {"path": str(scene)}):
        stage, *others = opened.take({"stage": final, "report": None}, event(path=path))
        assert stage["error"] == NOT_UPLOADED
        assert stage["panels"] == final["panels"]
        assert all(value == gr.skip() for value in others)


def test_a_flag_is_kept_with_the_report_and_taken_back(saved):
    _, result, *_ = opened.reopen(None, event(text=saved))
    panel = {**result["report"]["panels"][0], "text": "There is a dog."}
    report = state.judge_again({**result["report"], "panels": [panel]}, 0.9)
    result = {"stage": state.of_report(report), "report": report}
    click = event(method="baseline", start=report["panels"][0]["mentions"][0]["start"])
    stage, result, *_ = opened.flag(result, click)
    assert [flag["text"] for flag in stage["flags"]] == ["dog"]
    assert reports.parse(result["report"]).flags[0].verdict == "grounded"
    assert opened.flag(result, click)[0]["flags"] == []
    for wrong in (event(method="baseline", start=1000), event(method="nobody", start=0), event(), None):
        assert opened.flag(result, wrong or gr.EventData(None, None))[0] == gr.skip()


def test_every_example_opens_finished_without_a_model():
    for number, example in enumerate(examples.examples(ASSETS)):
        stage, result, photo_path, prompt, *_ = opened.example(ASSETS, number)
        assert photo_path == str(example.photo)
        assert len(stage["panels"]) == 5, f"{example.name}: run python -m halluapp.ui.compare.examples"
        assert "," in example.credit
        assert example.credit in stage["status"]
        assert prompt == result["report"]["prompt"] == texts.PROMPTS[0]
        digest = hashlib.sha256(read_photo(example.photo).tobytes()).hexdigest()
        assert result["report"]["photo"]["sha256"] == digest
    assert opened.example(ASSETS, 100)[1]["report"] is None
    assert opened.chosen_example(ASSETS, event(number="0"))[1]["report"] is None


def test_an_example_is_decoded_by_the_command(tmp_path):
    photo().save(tmp_path / "scene.png")
    settings = Settings(model=str(folder("llava")), device="cpu", quantization="none", max_new_tokens=4)
    path, *photographs = examples.write(tmp_path, settings)
    (scene,) = examples.scenes(tmp_path)
    assert examples.report_of(scene) == json.loads(path.read_text())
    assert state.of_report(json.loads(path.read_text()))["name"] == "scene.png"
    assert [file.name for file in photographs] == [name + ".report.json" for name in examples.PHOTOGRAPHS]
    assert not any(json.loads(file.read_text())["photo"]["preview"] for file in photographs)  # no copy of a photo
    cat = examples.photographs(tmp_path)[0]
    assert examples.report_of(cat)["photo"]["preview"]


def test_a_link_leads_to_its_report_and_a_wrong_one_nowhere(saved):
    stage, result, *_ = opened.reopen(None, event(text=saved))
    again, *_ = opened.follow(result, stage["link"])
    assert again["panels"] == stage["panels"]
    for link in ("", "..", "x" * 22, "../" + stage["link"], "a" * 10_000):
        wrong, *others = opened.follow(result, link)
        assert wrong["error"].endswith(".")
        assert all(value == gr.skip() for value in others)


def test_files_of_a_report_are_named_by_date_and_photo(saved):
    paths = [Path(path) for path in exports.write(json.loads(saved))]
    assert [path.suffix for path in paths] == [".html", ".zip", ".json"]
    assert {path.stem for path in paths} == {f"halluapp-{json.loads(saved)['date'][:10]}-my-photo"}
    with zipfile.ZipFile(paths[1]) as archive:
        names = archive.namelist()
        assert [Path(name).suffix for name in names] == [".json", ".html", ".md", ".jpeg"]
        assert f"]({names[3]})" in archive.read(names[2]).decode()
        assert archive.read(names[0]) == paths[2].read_bytes()


def test_another_sureness_judges_the_same_text(saved):
    report = json.loads(saved)
    report["panels"] = [{**report["panels"][0], "text": "There is a dog."}]
    result = {"stage": state.of_report(report), "report": report}
    verdicts = {}
    for sure in (0.9, 0.99):
        *_, (stage, again, *files) = run.judge_again(result, sure)
        verdicts[sure] = [mention["verdict"] for mention in stage["panels"][0]["mentions"]]
        assert stage["run"] == result["stage"]["run"]
        assert again["report"]["sure"] == sure == json.loads(Path(files[2]["value"]).read_text())["sure"]
    assert verdicts[0.9] == ["grounded"]
    assert verdicts[0.99] != ["grounded"]
    assert next(run.judge_again(None, 0.9))[:2] == (gr.skip(), gr.skip())


def test_a_refused_request_is_one_sentence_frees_the_buttons_and_leaves_the_last_result(final):
    models = Models(Settings(model="nowhere/nothing"))
    sampling = (0.5, 0, 1, 0, 1, 8, 0, "")
    last = {"stage": final, "report": None}
    inputs = (models, [], "me", last, None, "What?", ["baseline"], [])
    stage, result, *files, start, stop = list(run.run(*inputs, *sampling))[-1]
    assert stage["error"].endswith(".")
    assert stage["panels"] == final["panels"]
    assert result == gr.skip()
    assert [update["interactive"] for update in files] == [False] * 3  # there is no report
    assert start["interactive"] is True
    assert stop["interactive"] is False
    assert run.announce(last)["status"] == texts.CHECKING  # nobody runs any more
    assert run.announce(last)["panels"] == final["panels"]


def test_a_run_ends_with_files_and_a_result():
    models = Models(Settings(model=str(folder("llava")), device="cpu", quantization="none"))
    inputs = (["baseline"], [], 0.5, 0, 1, 0, 1, 4, 0, "")
    *_, (stage, result, *files, start, stop) = run.run(models, [], "me", None, photo(), OPEN, *inputs)
    assert stage == result["stage"]
    assert [update["value"].rpartition(".")[2] for update in files] == ["html", "zip", "json"]
    assert reports.parse(result["report"]).panels[0].method == "baseline"
    assert (start["interactive"], stop["interactive"]) == (True, False)


def test_widgets_give_the_methods_their_parameters():
    values = {("vdd", "alpha"): 0.25, ("nullu", "rank"): 3}
    vdd, stack = sidebar.methods_from(["nullu+vdd", "vdd"], values)
    assert vdd.alpha == 0.25
    assert (stack.name, vdd.name) == ("nullu+vdd", "vdd")


def test_the_whole_page_has_five_public_endpoints_and_one_names_all_methods(tmp_path):
    info = app.build(Settings(runs=tmp_path)).get_api_info()
    assert set(info["named_endpoints"]) == {"/compare", "/judge", "/methods", "/models", "/report"}
    description = info["named_endpoints"]["/compare"]["description"]
    for name in METHODS:
        assert name in description, name
