"""Finds the objects that a text names: longest match on words, with the traps that caption metrics know."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

from halluapp.grounding.words import vocabulary

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
LONGEST = 4
ANIMALS = frozenset("bird cat dog horse sheep cow elephant bear zebra giraffe goat monkey rabbit".split())
# "baby elephant", "male performer": beside an animal or a person these words describe it; alone they are people.
DESCRIBING = frozenset("baby adult young mother father male female human twin".split())
# "a couple of dogs": the words count what follows and name nobody.
COUNTING = frozenset("couple crowd audience".split())
GAMES = frozenset("basketball football baseball volleyball softball".split())
COLOURS = frozenset("red blue green yellow white black brown gray grey pink purple gold silver tan orange".split())
COLOUR_NOUNS = frozenset({"orange", "rose"})
COLOUR_SIGNS = frozenset("in wearing bright dark light is are was dressed".split())
# After these an object would need an article first, so a noun two words on belongs to somebody else.
FUNCTION = frozenset(
    "a an the on in at of to by near with and or is are was were beside next behind under over from for as".split()
)
SUBJECTS = frozenset("he she it who which that they we you".split())
MODALS = frozenset("can could will would may might must".split())
JOINED_BY_TO = frozenset("next close tied attached connected leading due thanks similar down up over".split())
# Nouns of the table that captions use as verbs.
VERBS = frozenset(
    "bike box bowl cycle dress drink fish leave light park picture rail raft rock row sail seat shop sign skate ski "
    "slide sled step stick store surf swing tie track trail train wave water wheel".split()
)
VEHICLES = frozenset("car bus train truck boat airplane motorcycle bicycle helicopter tractor".split())


@dataclass(frozen=True)
class Mention:
    """An object named in a text: the words text[start:end] and the object's name."""

    text: str
    start: int
    end: int
    object: str


@dataclass(frozen=True)
class _Token:
    word: str  # lower case, without a possessive ending
    start: int
    end: int  # of the word, before a possessive ending
    possessive: bool


@dataclass(frozen=True)
class _Match:
    first: int  # token numbers, both inclusive
    last: int
    object: str | None


@cache
def _lexicon() -> dict[str, str | None]:
    return {**vocabulary.words(), **vocabulary.phrases()}


def find_mentions(text: str) -> list[Mention]:
    """All object mentions in reading order, repetitions included, spans never overlapping.

    A mention is a whole compound ("desk lamp" names a lamp, no desk). Words outside the vocabulary are never mentions.
    """
    tokens = _tokens(text)
    found: list[_Match] = []
    index = 0
    while index < len(tokens):
        match = _longest(tokens, index, text)
        if match.object is not None and not _means_something_else(tokens, match, found, text):
            _append(found, match, tokens, text)
        index = match.last + 1
    mentions = [_mention(tokens, match, text) for match in found if match.object]
    return _without_toilet_seats(mentions)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    for match in WORD.finditer(text):
        word = match.group().lower().replace("’", "'")
        bare = word.removesuffix("'s")
        end = match.start() + len(bare)
        following = text[match.end() : match.end() + 1]
        tokens.append(_Token(bare, match.start(), end, bare != word or (bare[-1] == "s" and following in ("'", "’"))))
    return tokens


def _mention(tokens: list[_Token], match: _Match, text: str) -> Mention:
    start, end = tokens[match.first].start, tokens[match.last].end
    return Mention(text[start:end], start, end, match.object or "")


def _together(tokens: list[_Token], left: int, right: int, text: str) -> bool:
    """Whether nothing but blanks stands between two neighbouring tokens: "a hot, dog" is no hot dog."""
    return not tokens[left].possessive and not text[tokens[left].end : tokens[right].start].strip(" \t\n")


def _longest(tokens: list[_Token], index: int, text: str) -> _Match:
    """The longest entry of the lexicon that starts at `index`; object None if there is none or it names no object."""
    lexicon = _lexicon()
    for last in range(min(index + LONGEST, len(tokens)) - 1, index - 1, -1):
        if not all(_together(tokens, k, k + 1, text) for k in range(index, last)):
            continue
        key = " ".join(token.word for token in tokens[index : last + 1])
        for form in (key, key.replace("-", " ")):
            if form in lexicon:
                return _Match(index, last, lexicon[form])
    return _Match(index, index, None)


def _append(found: list[_Match], match: _Match, tokens: list[_Token], text: str) -> None:
    """Adds a match; two nouns side by side are one thing, named by the second: "desk lamp", "baby elephant"."""
    beside = found and found[-1].last == match.first - 1 and _together(tokens, found[-1].last, match.first, text)
    word = tokens[match.first].word
    doubtful = word in vocabulary.plurals() and _infinitives(word) & VERBS  # "with a cup swings": perhaps a verb
    if beside and not doubtful:
        first = found.pop()
        toy = tokens[first.first].word == "toy" and match.object in ANIMALS | VEHICLES | set(vocabulary.PEOPLE)
        match = replace(match, first=first.first, object="toy" if toy else match.object)
    found.append(match)


def _means_something_else(tokens: list[_Token], match: _Match, found: list[_Match], text: str) -> bool:
    """A colour, a game, a verb or a counting word that looks like an object."""
    if match.first != match.last:
        return False
    word = tokens[match.first].word
    before = tokens[match.first - 1].word if match.first else ""
    after = _next_word(tokens, match.last, text)
    if word in COUNTING and after == "of":
        return True
    if word in GAMES and before in ("play", "plays", "playing", "played", "game", "of", "watching"):
        return before != "of" or (match.first > 1 and tokens[match.first - 2].word in ("game", "games", "match"))
    if word in COLOUR_NOUNS and _is_colour(tokens, match, before, text):
        return True
    if word in DESCRIBING | {"babies"} and _is_animal(tokens, match, before, found, text):
        return True
    return _is_verb(tokens, match, found, text)


def _next_word(tokens: list[_Token], index: int, text: str) -> str:
    if index + 1 < len(tokens) and _together(tokens, index, index + 1, text):
        return tokens[index + 1].word
    return ""


def _is_colour(tokens: list[_Token], match: _Match, before: str, text: str) -> bool:
    """As in "an orange plastic slide", "orange and white": a noun it can colour, or another colour, is near."""
    after = _next_word(tokens, match.last, text)
    if before in COLOUR_SIGNS or before in COLOURS or after in ("colored", "coloured"):
        return True
    if after == "and":
        return _next_word(tokens, match.last + 1, text) in COLOURS
    for index in (match.last + 1, match.last + 2):
        if index >= len(tokens) or not _together(tokens, index - 1, index, text) or tokens[index].word in FUNCTION:
            return False
        if _longest(tokens, index, text).object is not None:
            return True
    return False


def _is_animal(tokens: list[_Token], match: _Match, before: str, found: list[_Match], text: str) -> bool:
    """As in "a mother and baby elephant", "a zebra and its baby": the words for people stand for animals."""
    if _next_word(tokens, match.last, text) == "and" and _next_word(tokens, match.last + 1, text) in DESCRIBING:
        head = match.last + 3
        return head < len(tokens) and _longest(tokens, head, text).object in ANIMALS
    kinds = {item.object for item in found}
    only_animals = bool(kinds & ANIMALS) and not kinds & set(vocabulary.PEOPLE)
    return before == "its" or (before in ("her", "their") and only_animals)


def _infinitives(word: str) -> set[str]:
    """What a word may be a form of, as a verb: "slides" -> slide."""
    forms = {word, word.removesuffix("s"), word.removesuffix("es")}
    return forms | {"leave"} if word == "leaves" else forms


def _is_verb(tokens: list[_Token], match: _Match, found: list[_Match], text: str) -> bool:
    """As in "a man waves", "dogs that fish", "to park": the word is what somebody does."""
    word, at = tokens[match.first].word, match.first - 1
    if at >= 0 and tokens[at].word.endswith("ly"):
        at -= 1
    if at < 0 or not _together(tokens, at, at + 1, text):
        return False
    before = tokens[at].word
    if before == "to":
        return word in VERBS and not (at > 0 and tokens[at - 1].word in JOINED_BY_TO | FUNCTION)
    if before in MODALS:
        return word in VERBS
    ends_in_s = word in vocabulary.plurals() or word in ("leaves", "skis")
    if before in SUBJECTS:
        return bool(_infinitives(word) & VERBS)
    if not found or found[-1].last != at:
        return False
    many, who = before in vocabulary.plurals(), found[-1].object
    if who in vocabulary.PEOPLE and not many:
        return ends_in_s and match.object not in ANIMALS | set(vocabulary.PEOPLE)
    if who in ANIMALS | VEHICLES | set(vocabulary.PEOPLE):
        return bool(_infinitives(word) & VERBS) and many != ends_in_s
    return False


def _without_toilet_seats(found: list[Mention]) -> list[Mention]:
    """A "seat" beside a toilet is the toilet's, not a chair (CHAIR's rule)."""
    if not any(mention.object == "toilet" for mention in found):
        return found
    return [mention for mention in found if mention.text.lower() not in ("seat", "seats")]
