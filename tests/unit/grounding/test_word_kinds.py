"""Sentences of the kinds that public reports on tools like this one name, and captions that were checked by hand.

word_siblings.json, kind -> [[text, expected]]: the objects of the whole text ("colours", "verbs", "side by side"), an
object that is named ("activities", "still named"), that is not ("compounds"), that the text says is there ("asserted")
or is not ("denied"). hand_checked_captions.json: 150 captions of coco-dev and 150 of flickr8k-dev, drawn with seed 11.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from halluapp.evaluation.chair import object_mentions
from halluapp.grounding.verdicts import judge_text
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.denial import denial_reasons
from halluapp.grounding.words.mentions import find_mentions

HERE = Path(__file__).parent
SIBLINGS = json.loads((HERE / "word_siblings.json").read_text(encoding="utf-8"))
CAPTIONS = json.loads((HERE / "hand_checked_captions.json").read_text(encoding="utf-8"))
LABELS = tuple(vocabulary.objects())


def _cases(*kinds: str) -> Iterator[tuple[str, str | list[str]]]:
    for kind in kinds:
        yield from SIBLINGS[kind]


def _named(text: str) -> list[str]:
    return [mention.object for mention in find_mentions(text)]


def _absent(text: str, name: str) -> list[bool]:
    """For each mention of an object (or of a kind of it), whether the text does not say that it is there."""
    mentions = find_mentions(text)
    reasons = denial_reasons(mentions, text)
    wanted = [m.object == name or vocabulary.objects()[m.object].coco == name for m in mentions]
    return [reason is not None for reason, this in zip(reasons, wanted, strict=True) if this]


def test_the_objects_of_a_text() -> None:
    for text, objects in _cases("colours", "verbs", "side by side"):
        assert _named(text) == objects, text


def test_what_is_named() -> None:
    for text, name in _cases("activities", "still named"):
        assert name in [*_named(text), *object_mentions(text)], text


def test_what_only_sounds_like_an_object() -> None:
    for text, name in _cases("compounds"):
        assert name not in [*_named(text), *object_mentions(text)], text


def test_what_a_text_asserts_is_checked() -> None:
    for text, name in _cases("asserted"):
        absent = _absent(text, name)
        assert absent, text
        assert not any(absent), text
        found = [v["verdict"] for v in judge_text(text, [], LABELS) if v["object"] == name]
        assert "not checkable" not in found, text


def test_what_a_text_denies_is_not_held_against_it() -> None:
    for text, name in _cases("denied"):
        absent = _absent(text, name)
        assert absent, text
        assert all(absent), text


def test_every_kind_has_siblings() -> None:
    assert all(len(cases) >= 8 for cases in SIBLINGS.values())


def test_precision_and_recall_on_hand_checked_captions() -> None:
    right = said = there = 0
    for row in CAPTIONS:
        ours, truth = Counter(_named(row["text"])), Counter(row["objects"])
        right, said, there = right + (ours & truth).total(), said + ours.total(), there + truth.total()
    assert len(CAPTIONS) == 300
    assert right / said >= 0.97
    assert right / there >= 0.97


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('A sign that says "Dog" by a cat', ["sign", "cat"]),
        ("A dog named Bear and the word cat", ["dog"]),
        ("An Apple logo and a Chicago Bulls jersey", ["uniform"]),
        ("A stuffed giraffe, a toy plane, a bronze horse", ["teddy bear", "toy", "statue"]),
        ("A horse-drawn carriage", ["horse", "cart"]),
        ("The bus stops at the bus stop", ["bus"]),
        ("THE DOG'S BALL; the dogs' balls", ["dog", "sports ball", "dog", "sports ball"]),
        ("A pitcher of water; the pitcher throws a ball", ["water", "person", "sports ball"]),
    ],
)
def test_names_quotations_and_likenesses(text: str, names: list[str]) -> None:
    assert _named(text) == names
