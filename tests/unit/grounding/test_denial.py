"""Denials: reasons, lists, and what must hold for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.denial import ABSENT, COMPARED, PICTURED, denial_reasons, denied
from halluapp.grounding.words.mentions import Mention, find_mentions


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("A dog and no cat.", [None, ABSENT]),
        ("A cloud like a dog? It looks like a dog.", [None, None, COMPARED]),
        ("A statue of a horse beside a horse.", [None, PICTURED, None]),
        ("There is no car, bus or truck, but a bicycle.", [ABSENT, ABSENT, ABSENT, None]),
        ("", []),
    ],
)
def test_reasons(text: str, reasons: list) -> None:
    assert denial_reasons(find_mentions(text), text) == reasons


_WORDS = st.sampled_from(
    [
        "no",
        "not",
        "without",
        "neither",
        "nor",
        "never",
        "isn't",
        "doesn't",
        "appear",
        "to",
        "be",
        "there",
        "is",
        "are",
        "a",
        "the",
        "of",
        "any",
        "sign",
        "see",
        "contain",
        ",",
        ".",
        ":",
        ";",
        "?",
        "or",
        "and",
        "but",
        "instead",
        "rather",
        "than",
        "only",
        "dog",
        "cat",
        "man",
        "car",
        "bus",
        "stop",
    ]
)
_TEXTS = st.one_of(st.text(max_size=40), st.lists(_WORDS, max_size=16).map(" ".join))


@given(_TEXTS)
def test_one_answer_for_every_mention(text: str) -> None:
    mentions = find_mentions(text)
    reasons = denial_reasons(mentions, text)
    assert len(reasons) == len(mentions)
    assert denied(mentions, text) == [r is not None for r in reasons]


@given(_TEXTS, st.sampled_from(sorted(vocabulary.coco_names())))
def test_a_sentence_before_is_not_denied(text: str, name: str) -> None:
    whole = f"Here is one {name}. {text}"
    mentions = find_mentions(whole)
    if mentions and mentions[0].object == name and not text.lstrip().startswith((":", "?", "=", "(", "|")):
        assert denial_reasons(mentions, whole)[0] is None


def test_without_mentions_or_text() -> None:
    assert denial_reasons([], "no dog") == []
    assert denial_reasons([Mention("dog", 0, 3, "dog")], "") == [None]
