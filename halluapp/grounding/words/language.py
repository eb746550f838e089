"""Words of a text and the small closed classes of English that tell how a word is used."""

from __future__ import annotations

import re
from dataclasses import dataclass

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")

ARTICLES = frozenset("a an the".split())
POSSESSIVES = frozenset("my your his her its our their whose".split())
NUMBERS = frozenset("one two three four five six seven eight nine ten eleven twelve".split())
DETERMINERS = ARTICLES | POSSESSIVES | NUMBERS | frozenset(
    "this that these those some any no every each another both several many few all either neither various zero".split()
)  # fmt: skip
# Before a singular noun only: after them a noun that ends in -s is no plural.
SINGULAR = frozenset("a an one every each another this that".split())
QUANTITIES = frozenset("dozen few couple hundred thousand million lot number pair bunch handful score various".split())
SUBJECTS = frozenset("he she it they we you i who someone somebody everyone everybody nobody".split())
OBJECTS = frozenset("him them me us it her himself herself themselves itself you".split())
RELATIVES = frozenset("who which that".split())
PREPOSITIONS = frozenset(
    "in on at of to by near with from for over under behind beside besides between below above across along around "
    "through into onto off out up down toward towards against inside outside among amongst past upon underneath "
    "beneath without within during after before about like as next atop amid alongside via per than until since "
    "except despite aboard".split()
)
CONJUNCTIONS = frozenset("and or but nor while because if when where whether so though although then yet".split())
BE = frozenset("is are was were be been being am isn't aren't wasn't weren't it's there's".split())
HAVE = frozenset("has have had having hasn't haven't hadn't".split())
DO = frozenset("do does did don't doesn't didn't dont doesnt didnt".split())
MODALS = frozenset(
    "can could will would may might must shall should cannot can't couldn't won't wouldn't shouldn't mustn't "
    "cant couldnt wont wouldnt shouldnt".split()
)
AUXILIARIES = BE | HAVE | DO | MODALS
ADVERBS = frozenset(
    "also often always never just then now soon sometimes still even again already away back here there together "
    "today tomorrow hard fast first all both quickly not too very really quite rather almost".split()
)
PERCEPTION = frozenset(
    "see sees saw seen seeing watch watches watched watching hear hears heard hearing notice notices noticed let lets "
    "letting make makes made making help helps helped helping feel feels felt".split()
)
COLOURS = frozenset(
    "red blue green yellow white black brown gray grey pink purple gold silver tan orange beige maroon teal turquoise "
    "golden violet navy cream dark bright".split()
)
# Words in -ing that are nouns (or no form of a verb at all).
ING_NOUNS = frozenset(
    "ceiling building painting string spring wing king ring thing morning evening clothing earring railing wedding "
    "bedding swing sling pudding frosting icing dressing lightning wiring drawing carving awning opening crossing "
    "ending beginning living during evening something anything everything nothing ping duckling sibling".split()
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text: text[start:end] without a possessive ending, in small letters and with one kind of apostrophe.

    gap: what stands between the token before (its ending included) and this one, without blanks; "" inside a phrase.
    """

    word: str
    start: int
    end: int
    possessive: bool
    gap: str
    capital: bool


def tokenize(text: str) -> list[Token]:
    """The words of a text in order; numbers and punctuation are only in the gaps."""
    tokens, before = [], 0
    for match in WORD.finditer(text):
        word = match.group().lower().replace("’", "'")
        bare = word.removesuffix("'s")
        start = match.start()
        possessive = bare != word or (bare[-1] == "s" and text[match.end() : match.end() + 1] in ("'", "’"))
        gap = text[before:start].strip(" \t\n\r")
        tokens.append(Token(bare, start, start + len(bare), possessive, gap, text[start].isupper()))
        before = match.end()
    return tokens


def is_function(word: str) -> bool:
    """Whether a word only joins others: no noun, adjective or full verb."""
    return word in _FUNCTION


_FUNCTION = (
    DETERMINERS | SUBJECTS | OBJECTS | RELATIVES | PREPOSITIONS | CONJUNCTIONS | AUXILIARIES | ADVERBS
    | frozenset("there here not no yes what how why".split())
)  # fmt: skip


def word_at(tokens: list[Token], index: int, joined: bool = True) -> str:
    """The word at `index`, "" outside the text or (joined) behind punctuation."""
    if not 0 <= index < len(tokens) or (joined and index and tokens[index].gap):
        return ""
    return tokens[index].word


def word_before(tokens: list[Token], index: int) -> str:
    """The word before `index` unless punctuation or a possessive ending separates the two."""
    if index < 1 or tokens[index].gap or tokens[index - 1].possessive:
        return ""
    return tokens[index - 1].word
