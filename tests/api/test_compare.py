"""The endpoint `compare` of a really launched app on the embedded model."""

from __future__ import annotations

import io

import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from halluapp import report
from halluapp.data import scenes
from halluapp.methods.registry import METHODS, defaults


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "park.png"
    scenes.render("park")[0].save(path)
    return path


def ask(client, photo, prompt="Describe this image.", methods="", tokens=12, temperature=0, seed=0, **further):
    inputs = (handle_file(str(photo)), prompt, methods, tokens, temperature, seed)
    return client.predict(*inputs, **further, api_name="/compare")


def test_report_of_all_methods(client, photo):
    result = report.validate(ask(client, photo))
    assert [panel["method"] for panel in result["panels"]] == defaults()
    for panel in result["panels"]:
        assert panel["error"] is None, panel["method"]
        assert panel["text"], panel["method"]
        assert panel["tokens"], panel["method"]
    assert result["model"]["quantization"] == "nf4"


def test_twelve_panels_stacked_ones_among_them(client, photo):
    names = [*(name for name in METHODS if name not in ("chip", "hacl")), "nullu+vdd"]  # those are made by runs
    result = report.validate(ask(client, photo, methods=", ".join(names), tokens=4))
    assert [panel["method"] for panel in result["panels"]] == names
    assert len(names) == 12
    for panel in result["panels"]:
        assert panel["error"] is None, panel["method"]
        assert panel["tokens"], panel["method"]
    assert "nullu.rank" in result["panels"][11]["parameters"]


@pytest.mark.parametrize(
    "parameters",
    [{"vdd": {"alpha": 0.0}, "nullu+vdd": {"nullu.rank": 3}}, ["vdd.alpha=0", "nullu+vdd.nullu.rank = 3"]],
    ids=["object", "list"],
)
def test_parameters_of_each_method(client, photo, parameters):
    result = ask(client, photo, methods="baseline,vdd,nullu+vdd", tokens=4, parameters=parameters)
    baseline, vdd, stack = report.validate(result)["panels"]
    assert vdd["parameters"]["alpha"] == 0
    assert vdd["text"] == baseline["text"]
    assert stack["parameters"]["nullu.rank"] == 3


def test_all_sampling_of_the_command_line_is_there(client, photo):
    """After the arguments that were there before, with defaults that change nothing."""
    plain = ask(client, photo, methods="baseline", tokens=8)
    same = ask(client, photo, methods="baseline", tokens=8, top_p=1, top_k=0, repetition_penalty=0, stop=[])
    assert same["panels"][0]["text"] == plain["panels"][0]["text"]
    sampled = ask(client, photo, methods="baseline", tokens=8, temperature=2, seed=3, top_k=1)
    assert sampled["panels"][0]["text"] == plain["panels"][0]["text"]
    word = plain["panels"][0]["text"].split()[1]
    short = ask(client, photo, methods="baseline", tokens=8, stop=[word], repetition_penalty=1, sure=0.8)
    assert word not in short["panels"][0]["text"].split()
    assert short["sure"] == 0.8
    assert short["sampling"]["stop"] == [word]
    assert short["sampling"]["repetition_penalty"] == 1
    for wrong, words in (({"top_p": 3}, "top_p"), ({"top_k": -1}, "top_k"), ({"repetition_penalty": 9}, "penalty")):
        with pytest.raises(AppError) as caught:
            ask(client, photo, methods="baseline", tokens=2, **wrong)
        assert words in str(caught.value)


WRONG_PARAMETERS = (
    ({"vdd": 0.5}, "Parameters are an object"),
    ([{"vdd": 0.5}], "Parameters are an object"),
    (["vdd.alpha"], "not METHOD.PARAMETER=VALUE"),
    ({"vcd": {"alpha": 1}}, "not among the methods"),
    ({"vdd": {"gamma": 1}}, "no parameter"),
    ({"vdd": {"alpha": "much"}}, "must be a number"),
    ({"vdd": {"alpha": 1e9}}, "must be a number"),
)


def test_wrong_parameters_get_one_sentence(client, photo):
    for parameters, words in WRONG_PARAMETERS:
        with pytest.raises(AppError) as caught:
            ask(client, photo, methods="vdd", tokens=2, parameters=parameters)
        assert words in str(caught.value), parameters
        _is_one_sentence(str(caught.value))


def test_same_request_same_texts_and_the_seed_matters(client, photo):
    texts = [
        [panel["text"] for panel in ask(client, photo, temperature=1.5, seed=seed)["panels"]] for seed in (3, 3, 4)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_several_samples_are_the_runs_of_their_seeds(client, photo):
    settings = {"methods": "baseline,vdd", "tokens": 8, "temperature": 1.2}
    together = report.validate(ask(client, photo, seed=3, samples=2, **settings))
    for panel, other in zip(together["panels"], ask(client, photo, seed=4, **settings)["panels"], strict=True):
        assert panel["samples"][0]["seed"] == 4
        assert panel["samples"][0]["text"] == other["text"]
        assert panel["spread"]["n"] == 2
    with pytest.raises(AppError, match="temperature 0"):
        ask(client, photo, samples=2)


def test_label_probabilities_are_shown_before_and_after(client, photo):
    result = ask(client, photo, "Is there a dog in the image?", "baseline,calibration", 4)
    labels = result["panels"][1]["tokens"][0]["notes"]["labels"]
    assert labels["labels"] == ["yes", "no"]
    for part in ("before", "prior", "after"):
        assert sum(labels[part]) == pytest.approx(1, abs=1e-3)


def _broken() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "JPEG")
    return buffer.getvalue()[:200]


def _huge() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (20000, 20000)).save(buffer, "PNG")
    return buffer.getvalue()


BAD_PHOTOS = (
    ("broken.jpg", _broken()), ("text.jpg", b"not a photo at all"), ("empty.jpg", b""), ("huge.png", _huge()),
)  # fmt: skip


def test_a_bad_photo_gets_one_sentence_and_the_app_lives_on(client, photo, tmp_path):
    for name, content in BAD_PHOTOS:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AppError) as caught:
            ask(client, tmp_path / name)
        _is_one_sentence(str(caught.value))
        assert ask(client, photo, methods="baseline", tokens=2)["panels"][0]["text"], name


WRONG_REQUESTS = (
    {"prompt": " "}, {"prompt": "x" * 40_000}, {"methods": "magic"}, {"tokens": 0}, {"temperature": 9}, {"seed": -1},
)  # fmt: skip


def test_a_bad_request_gets_one_sentence(client, photo):
    for wrong in WRONG_REQUESTS:
        with pytest.raises(AppError) as caught:
            ask(client, photo, **wrong)
        _is_one_sentence(str(caught.value))


def _is_one_sentence(text: str) -> None:
    assert "\n" not in text, text
    assert text.endswith("."), text
    assert 20 < len(text) < 220, text
    assert "Traceback" not in text
    assert "verbose" not in text


def test_five_endpoints_are_public(client):
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {
        "/compare",
        "/judge",
        "/methods",
        "/models",
        "/report",
    }
