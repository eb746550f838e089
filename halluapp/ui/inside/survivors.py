"""What of an answer is still said once a part of the photo is covered: things first, then words that say something."""

from __future__ import annotations

from typing import Any

from halluapp.grounding.evidence import Evidence
from halluapp.grounding.verdicts import judge_text
from halluapp.grounding.words.denial import ABSENT
from halluapp.grounding.words.language import is_function


def survivors(before: str, after: str, words: list[list[Any]]) -> dict[str, Any]:
    """The counterfactual of an answer for the page -> {"things": [[object, survives]], "words": [[word, survives or
    None]]}.

    before, after: the answer to the whole photo and to the covered one. words: [[word, survives]] of `before`, all of
    them. Articles and the like survive in any answer and say nothing of the photo: None.
    """
    left = set(_things(after))
    return {
        "things": [[thing, thing in left] for thing in _things(before)],
        "words": [[word, None if _joins(word) else survives] for word, survives in words],
    }


def _things(text: str) -> list[str]:
    """What a text says is there, each once, in order."""
    mentions = judge_text(text, Evidence())
    return list(dict.fromkeys(mention["object"] for mention in mentions if mention["reason"] != ABSENT))


def _joins(word: str) -> bool:
    return is_function(word.lower().replace("’", "'"))
