"""What the compare tab shows, from events of a tiny model and from refusals: no browser, no server."""

from __future__ import annotations

import itertools
import json

import gradio as gr
import pytest
from tiny import OPEN, folder, photo
from tiny_sessions import tiny_session

from halluapp import comparison
from halluapp.methods.registry import METHODS
from halluapp.request import make_request
from halluapp.serving.models import Models
from halluapp.settings import Settings
from halluapp.ui import app, texts
from halluapp.ui.compare import run, sidebar, state


@pytest.fixture(scope="module")
def final() -> dict:
    """The last state of a comparison of two methods."""
    request = make_request(photo(), OPEN, ["baseline", "vdd"], max_new_tokens=6)
    current = state.ComparisonState(request.photo, request.prompt, request.sure)
    for event in comparison.stream(request, tiny_session()):
        current.add(event)
        json.dumps(current.snapshot(), allow_nan=False)
    return current.snapshot()


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
    first, second = (state.ComparisonState(photo(), OPEN, 0.9) for _ in range(2))
    assert first.data["run"] != second.data["run"]


def test_another_sureness_judges_the_same_text(final):
    text = "There is a dog."
    stage = {**final, "panels": [{**final["panels"][0], "text": text}]}
    verdicts = {
        sure: [mention["verdict"] for mention in state.judge_again(stage, sure)["panels"][0]["mentions"]]
        for sure in (0.9, 0.99)
    }
    assert verdicts[0.9] == ["grounded"]
    assert verdicts[0.99] != ["grounded"]
    assert run.judge_again(None, 0.9) == (gr.skip(), gr.skip())


def test_a_refused_request_is_one_sentence_and_frees_the_buttons():
    models = Models(Settings(model="nowhere/nothing"))
    sampling = (0.5, 0, 1, 0, 8, 0, "")
    stage, result, files, start, stop = list(run.run(models, [], "me", None, "What?", ["baseline"], [], *sampling))[-1]
    assert stage["error"].endswith(".")
    assert result is None
    assert files["visible"] is False
    assert start["interactive"] is True
    assert stop["interactive"] is False
    assert run.announce()["status"] == texts.CHECKING  # nobody runs any more


def test_a_run_ends_with_files_and_a_result():
    models = Models(Settings(model=str(folder("llava")), device="cpu", quantization="none"))
    inputs = (["baseline"], [], 0.5, 0, 1, 0, 4, 0, "")
    *_, (stage, result, files, start, stop) = run.run(models, [], "me", photo(), OPEN, *inputs)
    assert stage == result
    assert [path.rpartition(".")[2] for path in files["value"]] == ["json", "html", "md"]
    assert (start["interactive"], stop["interactive"]) == (True, False)


def test_widgets_give_the_methods_their_parameters():
    values = {("vdd", "alpha"): 0.25, ("nullu", "rank"): 3}
    vdd, stack = sidebar.methods_from(["nullu+vdd", "vdd"], values)
    assert vdd.alpha == 0.25
    assert (stack.name, vdd.name) == ("nullu+vdd", "vdd")


def test_the_whole_page_has_one_public_endpoint_that_names_all_methods(tmp_path):
    info = app.build(Settings(runs=tmp_path)).get_api_info()
    assert set(info["named_endpoints"]) == {"/compare"}
    description = info["named_endpoints"]["/compare"]["description"]
    for name in METHODS:
        assert name in description, name
