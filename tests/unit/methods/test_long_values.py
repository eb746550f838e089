"""Values of a megabyte are refused in a sentence that repeats 80 characters of them at most."""

from __future__ import annotations

import json

import pytest
from tiny import OPEN, photo

from halluapp import report as reports
from halluapp.data import scenes
from halluapp.errors import LONGEST, InputError
from halluapp.evaluation.search import parse_grid
from halluapp.methods import assignments
from halluapp.methods.registry import create
from halluapp.request import make_request
from halluapp.settings import ASSETS
from halluapp.ui import arguments

LONG, LARGE = "x" * 1_000_000, 10**4000
REPORT = json.loads((ASSETS / "examples" / "street.report.json").read_text(encoding="utf-8"))
REFUSED = {
    "a method": lambda: create(LONG), "a part of a stack": lambda: create("nullu+" + LONG),
    "a parameter": lambda: create("vdd", **{LONG: 1}), "of a stack": lambda: create("nullu+vdd", **{LONG: 1}),
    "a text for a number": lambda: create("vdd", alpha=LONG), "a list": lambda: create("vdd", alpha=[LONG]),
    "a number": lambda: create("vdd", alpha=LARGE),
    "an assignment": lambda: assignments.read([LONG], ["vdd"]),
    "an assignment made twice": lambda: assignments.read([f"vdd.{LONG}=1"] * 2, ["vdd"]),
    "no object": lambda: assignments.read({"vdd": LONG}, ["vdd"]),
    "parameters of nobody": lambda: assignments.create_methods(["vdd"], {LONG: {}}),
    "a prompt": lambda: make_request(photo(), LONG, ["vdd"]), "many": lambda: make_request(photo(), OPEN, [LONG] * 50),
    "a stop": lambda: make_request(photo(), OPEN, ["vdd"], stop=LONG),
    "a photo": lambda: make_request(LONG, OPEN, None),
    "a seed": lambda: make_request(photo(), OPEN, ["vdd"], seed=LONG),
    "a temperature": lambda: make_request(photo(), OPEN, ["vdd"], temperature=LARGE),
    "an argument": lambda: arguments.check_number("seed", LONG), "no text": lambda: arguments.check_text("a", [LONG]),
    "a schema": lambda: reports.validate({**REPORT, "schema": LONG}),
    "a report's prompt": lambda: reports.validate({**REPORT, "prompt": [LONG]}),
    "a report's key": lambda: reports.validate({**REPORT, "detections": [{LONG: LONG}]}),
    "a scene": lambda: scenes.render(LONG), "a grid": lambda: parse_grid([LONG]),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_long_value_is_not_repeated(kind):
    with pytest.raises(InputError) as caught:
        REFUSED[kind]()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.count("x") <= 2 * LONGEST
    assert len(sentence) <= 180 + 2 * LONGEST, sentence[:400]
