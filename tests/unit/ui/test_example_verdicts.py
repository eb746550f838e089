"""What the shipped examples show is true: every green and every red word, held against what people see."""

from __future__ import annotations

import json

import pytest

from halluapp.grounding.words import vocabulary
from halluapp.recipes.pocket.drawings import UNLISTED
from halluapp.settings import ASSETS
from halluapp.ui.compare import examples

# Written down by looking at the photographs: everything in them that our vocabulary has a name for.
SEEN = {
    "cat": {"cat"},
    "astronaut": {"woman", "flag", "suit", "uniform", "hair", "helmet", "airplane", "picture"},
    "cameraman": {"man", "camera", "grass", "field", "building", "jacket", "sky", "hair", "glove", "hand", "suit"},
}
SCENES = json.loads((ASSETS / "examples" / "scenes.json").read_text(encoding="utf-8"))
ALL = examples.examples(ASSETS)


def truth(name: str) -> set[str]:
    """What is in an example."""
    return SEEN[name] if name in SEEN else {item["label"] for item in SCENES[name]["objects"]} | UNLISTED


@pytest.mark.parametrize("example", ALL, ids=[example.name for example in ALL])
def test_every_verdict_of_an_example_is_true(example):
    there = truth(example.name)
    for panel in examples.report_of(example)["panels"]:
        for mention in panel["mentions"]:
            checked = mention.get("checked_as") or mention["object"]  # a man as a person, and no further
            is_there = any(vocabulary.same_or_kind(checked, name) for name in there)
            what = f"{mention['text']!r} in the {panel['method']} panel of {example.name}"
            assert not (mention["verdict"] == "grounded" and not is_there), f"green, and not there: {what}"
            assert not (mention["verdict"] == "contradicted" and is_there), f"red, and there: {what}"


def test_photographs_come_first_and_each_has_a_story():
    """Where no words at all were judged, an example would explain nothing."""
    kinds = [example.name in SEEN for example in ALL]
    assert kinds == sorted(kinds, reverse=True)
    assert any(kinds)
    for example in ALL:
        verdicts = {m["verdict"] for panel in examples.report_of(example)["panels"] for m in panel["mentions"]}
        assert verdicts & {"grounded", "contradicted"}, example.name
