"""Finds the nouns of a text that the table of objects lacks ("castle", "machine"), so that no thing is passed over.

Rules without a model, under a millisecond a caption; they rather miss a noun than call a verb or an adjective one.
"""

from __future__ import annotations

from collections.abc import Sequence

from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.language import (
    ADVERBS,
    ARTICLES,
    BE,
    COLOURS,
    DETERMINERS,
    HAVE,
    ING_NOUNS,
    MODALS,
    NUMBERS,
    POSSESSIVES,
    PREPOSITIONS,
    RELATIVES,
    SUBJECTS,
    Token,
    is_function,
    tokenize,
    word_at,
    word_before,
)
from halluapp.grounding.words.mentions import Mention, find_mentions, without_object
from halluapp.grounding.words.nouns_data import ABSTRACT, OTHER_WORDS, THINGS

OPENERS = ARTICLES | POSSESSIVES | NUMBERS | frozenset("another each every several many some".split())
# No unknown word that ends so is taken for a noun.
ADJECTIVE_ENDINGS = tuple(
    "y ful ous ive ish able ible al ic ant ent less est ed ing ary ular esque ese ward wards wide like ate ior some en "
    "er ure ness tion sion ity".split()
)


def other_nouns(text: str, mentions: Sequence[Mention] | None = None) -> list[Mention]:
    """Nouns outside the vocabulary, in reading order; `object` is the noun itself in small letters and the singular.

    mentions: those of `find_mentions(text)`, if they are known already. Spans are the bare noun or a fixed compound
    ("bus stop"), never overlap each other or a mention, and leave out what names no thing ("background", "day").
    """
    tokens = tokenize(text)
    objects = find_mentions(text) if mentions is None else mentions
    occupancy = _occupancy(tokens, objects)
    spans = []
    for first, last in without_object(tokens):
        if not any(occupancy[first : last + 1]) and _is_thing(tokens, first, last):
            spans.append((first, last))
            occupancy[first : last + 1] = [True] * (last + 1 - first)
    spans += [(index, index) for index in _heads(tokens, occupancy)]
    return [_noun(tokens, first, last, text) for first, last in sorted(spans)]


def _occupancy(tokens: list[Token], mentions: Sequence[Mention]) -> list[bool]:
    occupancy, spot = [False] * len(tokens), 0
    for mention in mentions:
        while spot < len(tokens) and tokens[spot].start < mention.start:
            spot += 1
        while spot < len(tokens) and tokens[spot].end <= mention.end:
            occupancy[spot] = True
            spot += 1
    return occupancy


def _noun(tokens: list[Token], first: int, last: int, text: str) -> Mention:
    start, end = tokens[first].start, tokens[last].end
    name = " ".join([*(token.word for token in tokens[first:last]), singular(tokens[last].word)])
    return Mention(text[start:end], start, end, name)


def singular(word: str) -> str:
    """The singular of a regular plural; words of the list that end in -s ("glass", "headphones") stay."""
    if word in ("wolves", "leopards", "calves", "leaves", "knives"):
        return {"wolves": "wolf", "leopards": "leopard"}.get(word, word[:-3] + "f")
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        stem = word.removesuffix(ending) + instead
        if word.endswith(ending) and stem in THINGS:
            return stem
    if word in THINGS or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses")) else word[:-1]


def _is_thing(tokens: list[Token], first: int, last: int) -> bool:
    """Whether a compound that names no object of the table is a thing: "bus stop" is, "bird's eye" is not."""
    words = [token.word for token in tokens[first : last + 1]]
    plain = not any(is_function(word) or token.possessive for word, token in zip(words, tokens[first:], strict=False))
    verbs = words[0] in OTHER_WORDS | {"take", "hello", "took", "light", "baby", "sky", "sea", "ice", "rose"} or words[
        -1
    ] in OTHER_WORDS - {"crossing"}
    return (
        plain and not verbs and words[-1] not in (ABSTRACT - {"stop"}) | COLOURS and word_at(tokens, last + 1) != "view"
    )


def _heads(tokens: list[Token], occupancy: list[bool]) -> list[int]:
    """The last nouns of all runs of noun-like words."""
    heads, index = [], 0
    while index < len(tokens):
        first = index
        while (
            index < len(tokens) and _may_be_noun(tokens, occupancy, index) and (index == first or not tokens[index].gap)
        ):
            index += 1
            if tokens[index - 1].possessive:
                break
        if index > first:
            head = _head(tokens, occupancy, first, index - 1)
            if head is not None:
                heads.append(head)
        else:
            index += 1
    return heads


def _may_be_noun(tokens: list[Token], occupancy: list[bool], index: int) -> bool:
    word = tokens[index].word
    if occupancy[index] or len(word) < 3 or is_function(word):
        return False
    if word in THINGS:
        return True
    if word in OTHER_WORDS or word in COLOURS or word in vocabulary.words() or word.endswith("ly"):
        return False
    return not word.endswith(("ing", "ed")) or word in ING_NOUNS


def _head(tokens: list[Token], occupancy: list[bool], first: int, last: int) -> int | None:
    """The noun that a run of noun-like words names, or None where it describes the next word or may be a verb."""
    after = word_at(tokens, last + 1)
    head = last
    if last > first and tokens[last].word.endswith("s") and word_before(tokens, first) in ("a", "an"):
        head = last - 1  # "a quokka nibbles": the plural is a verb
    elif after and occupancy[last + 1]:
        return None  # "a castle wall"
    word = tokens[head].word
    if word in ABSTRACT or singular(word) in ABSTRACT or tokens[head].possessive:
        return None
    if _is_known(word):
        return None if _is_done(tokens, occupancy, head) else head
    return head if _is_novel_noun(tokens, first, head) else None


def _is_known(word: str) -> bool:
    return word in THINGS or singular(word) in THINGS


def _is_done(tokens: list[Token], occupancy: list[bool], index: int) -> bool:
    """Whether a word of the list is a verb here: "he hammers", "to drill", "a man fans himself"."""
    before = word_before(tokens, index)
    if before in SUBJECTS - {"you", "it"} | {"others"} or (
        before in MODALS | {"to"} and tokens[index].word not in ("school", "town")
    ):
        return True
    after = word_at(tokens, index + 1)
    if after in ARTICLES | POSSESSIVES | {"him", "them", "himself", "herself", "itself"}:
        return True
    return (
        bool(before) and occupancy[index - 1] and not tokens[index - 1].possessive and tokens[index].word.endswith("s")
    )


def _is_novel_noun(tokens: list[Token], first: int, head: int) -> bool:
    """Whether a word of no list is a noun by its place: after a determiner, before a preposition, a verb or the end."""
    word = tokens[head].word
    if word.endswith(ADJECTIVE_ENDINGS) or tokens[head].capital or head - first > 1 or "'" in word or "-" in word:
        return False
    if word.endswith("s") and (head > first or word_before(tokens, first) == "other"):
        return False  # "his granddaughter draws", "the other scrolls"
    spot = first
    while word_before(tokens, spot) in OTHER_WORDS | COLOURS | ADVERBS and spot:
        spot -= 1
    if word_before(tokens, spot) not in OPENERS:
        return False
    if head + 1 == len(tokens):
        return True
    after, gap = tokens[head + 1].word, tokens[head + 1].gap
    if gap:
        return "," not in gap or after in DETERMINERS | RELATIVES | PREPOSITIONS | {"and"}
    if after in ("and", "or"):
        return word_at(tokens, head + 2) in DETERMINERS
    return (
        after in PREPOSITIONS | BE | HAVE | MODALS | RELATIVES
        or after.endswith("ing")
        or (
            head < len(tokens) - 1
            and (
                (after.endswith("s") and after in OTHER_WORDS)
                or (tokens[head + 1].word.endswith("s") and word_at(tokens, head + 2) in ARTICLES)
            )
        )
    )
