"""Arguments of the API that are wrong or missing: one sentence that names the argument, over every route."""

from __future__ import annotations

import json
import re

import pytest
from stranger import answer, post
from uploading import uploaded_photo

NAMES = ("photo", "prompt", "methods", "max_new_tokens", "temperature", "seed", "parameters", "top_p", "top_k",
         "repetition_penalty", "stop", "sure", "samples")  # fmt: skip
WHOLE = ("max_new_tokens", "seed", "top_k", "samples")
WRONG_NUMBERS = ("80", "much", float("nan"), float("inf"), float("-inf"), None, True, [1], {"a": 1}, "x" * 10_000, -5)
WRONG_TEXTS = {"prompt": (None, 5, ["a"], "", " \n"), "methods": (5, ["vdd"], {})}
NUMBERS = (*WHOLE, "temperature", "top_p", "repetition_penalty", "sure")


@pytest.fixture(scope="module")
def photo(address, tmp_path_factory) -> dict:
    return uploaded_photo(address, tmp_path_factory.mktemp("photos"))


def refusal(address: str, data: list, route: str = "run", name: str = "compare") -> str:
    """The sentence that a request is refused with."""
    if route == "run":
        status, text = post(address, f"run/{name}", {"data": data})
        assert status == 500, text[:300]
        return json.loads(text)["error"]
    _, text = post(address, f"call/{name}", {"data": data})
    stream = answer(address, json.loads(text)["event_id"], name)
    assert "event: error" in stream, stream[:300]
    return json.loads(stream.rpartition("data: ")[2])["error"]


def data_with(photo: dict, **changes) -> list:
    values = dict(zip(NAMES, [photo, "Describe.", "baseline", 1, 0, 0, {}, 1, 0, 0, [], 0.9, 1], strict=True))
    return list({**values, **changes}.values())


def check(sentence: str, name: str) -> None:
    assert sentence.startswith(f"{name} "), sentence
    assert sentence.endswith("."), sentence
    assert len(sentence) < 200, sentence
    assert not re.search("Traceback|Error|None|\n", sentence), sentence


@pytest.mark.parametrize("name", NUMBERS)
def test_a_wrong_number_gets_our_sentence_by_the_name_of_the_argument(address, photo, name):
    for value in (*WRONG_NUMBERS, *([1.5] if name in WHOLE else [])):
        check(refusal(address, data_with(photo, **{name: value})), name)
    check(refusal(address, data_with(photo, **{name: "80"}), "call"), name)


def test_a_wrong_text_too(address, photo):
    for name, values in WRONG_TEXTS.items():
        for value in values:
            check(refusal(address, data_with(photo, **{name: value})), name)


def test_missing_arguments_have_their_defaults_or_are_named(address, photo):
    status, text = post(address, "run/compare", {"data": [photo, "Describe.", "baseline", 1]})
    assert status == 200, text
    assert json.loads(text)["data"][0]["sampling"]["max_new_tokens"] == 1
    check(refusal(address, []), "photo")
    check(refusal(address, [photo]), "prompt")
    check(refusal(address, [], name="judge"), "photo")
    check(refusal(address, [photo], name="judge"), "text")
    check(refusal(address, [], name="report"), "report")
    check(refusal(address, [{"schema": 1}, "pdf"], name="report"), "form")


def test_judge_methods_and_report_answer(address, photo):
    result = json.loads(post(address, "run/judge", {"data": [photo, "A dog and a zebra."]})[1])["data"][0]
    assert [mention["object"] for mention in result["mentions"]] == ["dog", "zebra"]
    assert all(mention["verdict"] for mention in result["mentions"])
    methods = json.loads(post(address, "run/methods", {"data": []})[1])["data"][0]
    assert {"name": "alpha", "default": 1.0}.items() <= next(
        item for method in methods if method["name"] == "vdd" for item in method["parameters"]
    ).items()
    report = json.loads(post(address, "run/compare", {"data": [photo, "Describe.", "baseline", 2]})[1])["data"][0]
    pages = [json.loads(post(address, "run/report", {"data": [report, form]})[1])["data"][0] for form in
             ("markdown", "html", "json")]  # fmt: skip
    assert pages[0].startswith("# ")
    assert "<html" in pages[1]
    assert json.loads(pages[2]) == report
