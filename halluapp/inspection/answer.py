"""An answer that is there already: its token ids, its words, and which tokens a word is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM

WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True)
class Word:
    """A word of an answer. start, end: characters of the text; first, last: its tokens, the last one included."""

    text: str
    start: int
    end: int
    first: int
    last: int


def token_ends(lvlm: LVLM, ids: Sequence[int]) -> list[int]:
    """How many characters of the answer's text are there after each token."""
    return [len(lvlm.decode(list(ids[: index + 1]))) for index in range(len(ids))]


def words_of(lvlm: LVLM, ids: Sequence[int]) -> list[Word]:
    """The words of an answer, in order. A token that holds parts of two words belongs to both."""
    text, ends = lvlm.decode(list(ids)), token_ends(lvlm, ids)
    words = []
    for match in WORD.finditer(text):
        touching = [
            index
            for index, end in enumerate(ends)
            if (ends[index - 1] if index else 0) < match.end() and end > match.start()
        ]
        if touching:
            words.append(Word(match[0], match.start(), match.end(), touching[0], touching[-1]))
    return words


def word_at(lvlm: LVLM, ids: Sequence[int], number: int) -> Word:
    """Word `number` of an answer, the first is 1. Raises InputError where there is none."""
    words = words_of(lvlm, ids)
    if not words:
        raise InputError("The answer has no word to look at; ask for more tokens.")
    if not 1 <= number <= len(words):
        raise InputError(f"The answer has {len(words)} words; name one by its number, 1 to {len(words)}.")
    return words[number - 1]
