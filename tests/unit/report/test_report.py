"""The report: a round trip through JSON, and refusal of what is not one."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import torch
from conformity import undescribed
from example_reports import example, panel
from hypothesis import given, settings
from hypothesis import strategies as st

from halluapp import report
from halluapp.decoding.events import Token
from halluapp.errors import InputError
from halluapp.report import schema


def test_round_trip_is_exact():
    made = example()
    assert report.loads(report.dumps(made)) == made
    assert report.validate(made) is made


def test_a_file_is_read_as_a_report(tmp_path):
    made = example(labels=["dog"], sure=0.9)
    path = tmp_path / "report.json"
    path.write_text(report.dumps(made), encoding="utf-8")
    read = report.load(path)
    assert read.panels[0].tokens[0].top == [("A", 0.9), ("The", 0.05)]
    assert read.panels[0].mentions[0].verdict == "grounded"
    assert (read.schema_number, read.photo.width, read.labels) == (1, 4, ["dog"])
    assert report.dumps(read) == report.dumps(made)  # no key is lost, and their order stays
    assert report.html(read) == report.html(made)
    for wrong in (tmp_path, tmp_path / "nowhere.json"):
        with pytest.raises(InputError, match=r"cannot be read: .+[.]$"):
            report.load(wrong)


def test_keys_of_a_newer_version_are_kept():
    made = example()
    made["place"] = {"city": "Oslo"}
    made["panels"][0]["tokens"][0]["entropy"] = 0.25
    read = report.parse(made)
    assert read.panels[0].tokens[0].entropy == 0.25
    assert json.loads(report.dumps(read)) == made
    assert undescribed(read) == [".place", ".panels[0].tokens[0].entropy"]


FINITE = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TOKENS = st.lists(
    st.builds(
        Token, id=st.integers(0, 2**31 - 1), text=st.text(), p=FINITE, p_main=FINITE, p_reference=FINITE,
        top=st.lists(st.tuples(st.text(), FINITE)).map(tuple), instead=st.none() | st.text(),
        notes=st.dictionaries(st.text(), FINITE), branches=st.lists(FINITE).map(tuple),
    ), max_size=3,
)  # fmt: skip


@st.composite
def panels(draw):
    text = draw(st.text())
    spans = draw(st.lists(st.tuples(*[st.integers(0, len(text))] * 2).map(sorted), max_size=3))
    box = st.none() | st.lists(st.floats(0, 1), min_size=4, max_size=4)
    mentions = [
        {"text": text[start:end], "start": start, "end": end, "object": draw(st.text()), "box": draw(box),
         "verdict": draw(st.sampled_from(sorted(report.MARKS))), "score": draw(FINITE), "label": None, "reason": ""}
        for start, end in spans
    ]  # fmt: skip
    return panel(
        method=draw(st.text()), text=text, tokens=draw(TOKENS), mentions=mentions, seconds=draw(FINITE),
        forward_passes=draw(st.none() | st.integers(0)), error=draw(st.none() | st.text()),
    )  # fmt: skip


@settings(max_examples=40)
@given(st.lists(panels(), max_size=2), st.text(), st.integers(), FINITE, st.none() | st.lists(st.text()))
def test_report_to_json_to_report(those, prompt, seed, sure, labels):
    made = example(panels=those, prompt=prompt, seed=seed, sure=sure, labels=labels)
    read = report.parse(made)
    again = report.parse(json.loads(report.dumps(read)))
    assert again == read
    assert report.loads(report.dumps(again)) == made
    assert report.html(again) == report.html(made)
    assert report.markdown(again) == report.markdown(made)


def test_names_of_the_schema():
    made = example()
    assert made["schema"] == 1
    assert {"model", "prompt", "seed", "photo", "versions", "detections", "panels"} <= set(made)
    first = made["panels"][0]
    assert {"method", "parameters", "text", "error", "tokens", "mentions", "seconds", "forward_passes"} <= set(first)
    assert {"id", "text", "p", "p_reference", "top"} <= set(first["tokens"][0])
    assert first["tokens"][0]["top"] == [["A", 0.9], ["The", 0.05]]


def test_numbers_that_json_lacks_become_null():
    token = Token(1, "x", math.nan, 0.1, math.inf, (("x", -math.inf),), notes={"scores": torch.tensor([1.0, math.inf])})
    made = example(panels=[panel(tokens=[token], seconds=float("nan"), parameters={"a": np.float32(0.5)})])
    text = report.dumps(made)
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    first = report.loads(text)["panels"][0]
    assert first["tokens"][0]["p"] is None
    assert first["tokens"][0]["notes"] == {"scores": [1.0, None]}
    assert first["seconds"] is None
    assert first["parameters"] == {"a": 0.5}


def test_undecodable_command_line_bytes_can_be_written():
    made = example(prompt="caf\udce9")
    assert report.loads(report.dumps(made).encode("utf-8")) == made


def test_a_failed_panel_is_a_valid_one():
    failed = panel(
        text="", tokens=[], mentions=[], seconds=None, forward_passes=None, reason=None, error="No weights <here>."
    )
    made = report.validate(example(panels=[failed]))
    assert "Failed: No weights \\<here\\>." in report.markdown(made)
    assert "No weights &lt;here&gt;." in report.html(made)


def _set(path: tuple, value):
    def change(made: dict) -> None:
        for key in path[:-1]:
            made = made[key]
        made[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda made: made.pop("schema"), "schema"),
        (_set(("schema",), 2), "schema 2"),
        (_set(("schema",), True), "schema True"),
        (_set(("schema",), "1"), "schema '1'"),
        (lambda made: made.pop("panels"), "report.panels is missing"),
        (_set(("panels",), {}), "report.panels must be a list"),
        (_set(("panels", 0), None), "report.panels[0] must be an object"),
        (_set(("panels", 0, "text"), 3), "report.panels[0].text must be text"),
        (_set(("panels", 0, "tokens", 1, "p"), math.nan), "tokens[1].p must be"),
        (_set(("panels", 0, "tokens", 0, "top"), [["A"]]), "tokens[0].top must hold"),
        (_set(("panels", 0, "mentions", 0, "verdict"), "true"), "must be one of grounded"),
        (_set(("panels", 0, "mentions", 0, "end"), 999), "points outside"),
        (_set(("panels", 0, "mentions", 0, "start"), True), "must be a whole number"),
        (_set(("panels", 0, "mentions", 0, "box"), [0, 1]), "four numbers"),
        (_set(("detections", 0, "box"), None), "four numbers"),
        (_set(("photo", "width"), "4"), "report.photo.width"),
        (_set(("panels", 0, "seconds"), 10**400), "seconds must be"),
    ],
)
def test_wrong_shapes_are_refused_in_one_sentence(change, says):
    made = copy.deepcopy(example())
    change(made)
    with pytest.raises(InputError) as caught:
        report.validate(made)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "[]", '"x"', b"\xff\xfe\x00", b"\x89PNG\r\n"])
def test_text_that_is_no_report_is_refused(text):
    with pytest.raises(InputError):
        report.loads(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["method", "text", "box"]), inner),
    max_leaves=8,
)


@given(st.sampled_from(["model", "prompt", "seed", "photo", "versions", "detections", "panels"]), JSON)
def test_any_part_is_accepted_or_refused_but_never_a_crash(key, value):
    try:
        report.validate({**example(), key: value})
    except InputError as error:
        assert "\n" not in str(error)


def test_verdict_names_are_those_of_the_judge():
    from halluapp.grounding import verdicts

    assert set(report.MARKS) == set(get_args(schema.Verdict))
    assert tuple(report.MARKS) == verdicts.VERDICTS


def test_versions_without_imports():
    code = "import sys; from halluapp import report; v = report.versions(); assert v['torch'] and v['halluapp'];"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'gradio', 'bitsandbytes')))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_help_needs_neither_pydantic_nor_jinja():
    code = "import sys, halluapp.cli.main as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(any(name in sys.modules for name in ('pydantic', 'jinja2')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0
