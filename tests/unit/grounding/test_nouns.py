"""Nouns outside the table: found by list and by place, never an adjective or a verb."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import find_mentions
from halluapp.grounding.words.nouns import other_nouns, singular
from halluapp.grounding.words.nouns_data import ABSTRACT, OTHER_WORDS, THINGS

FOUND = {
    "A quokka nibbles a samosa beside the astrolabe.": ["quokka", "samosa", "astrolabe"],
    "A dog by a castle and a washing machine": ["castle", "machine"],
    "A lion, two tigers and several foxes": ["lion", "tiger", "fox"],
    "A bus stop near a zebra crossing": ["bus stop", "zebra crossing"],
    "Her headphones and his eyeglasses": ["headphones"],
    "A man plays the trumpet on a balcony": ["trumpet", "balcony"],
    "A big shiny trombone leaning against the amplifier": ["trombone", "amplifier"],
    "The castle wall is old.": [],
    "A dog in the background on a sunny day": [],
    "The man is sturdy and tall.": [],
    "An orange glow, a remote village": ["village"],
    "He hammers and she drills; they want to ring him.": [],
    "A woman laughs while the other scrolls and his granddaughter draws.": [],
    "A couple of others watch a beautiful and large parade.": [],
    "The overcast and gloomy weather adds drama.": [],
    "A dog and a cat": [],
    "": [],
}


@pytest.mark.parametrize("text", FOUND)
def test_other_nouns(text: str) -> None:
    assert [noun.object for noun in other_nouns(text)] == FOUND[text]


def test_spans_are_the_bare_noun() -> None:
    text = "The old castle's gate and 2 TIGERS"
    assert [text[noun.start : noun.end] for noun in other_nouns(text)] == [noun.text for noun in other_nouns(text)]
    assert [(noun.text, noun.object) for noun in other_nouns(text)] == [("gate", "gate"), ("TIGERS", "tiger")]


_TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from([*sorted(THINGS)[:200], *list(vocabulary.words())[:200], "a", "the", "of", ",", "and"])
    ).map(" ".join),
)


@given(_TEXTS)
def test_spans_are_ordered_and_never_overlap_a_mention(text: str) -> None:
    spans = sorted((m.start, m.end) for m in [*find_mentions(text), *other_nouns(text)])
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans))
    nouns = other_nouns(text)
    assert nouns == sorted(nouns, key=lambda noun: noun.start) == other_nouns(text, find_mentions(text))


def test_no_adjective_and_no_verb_in_ordinary_captions() -> None:
    rows = json.loads((Path(__file__).parent / "hand_checked_captions.json").read_text(encoding="utf-8"))
    found = [noun.object for row in rows for noun in other_nouns(row["text"])]
    assert len(found) > 90
    assert not set(found) & (OTHER_WORDS | ABSTRACT)


def test_the_lists_do_not_overlap() -> None:
    assert not THINGS & (ABSTRACT | OTHER_WORDS)
    assert not THINGS & set(vocabulary.words())


def test_singulars() -> None:
    assert [singular(w) for w in ("tigers", "foxes", "cherries", "wolves", "glass", "bus", "castle")] == [
        "tiger", "fox", "cherry", "wolf", "glass", "bus", "castle",
    ]  # fmt: skip
