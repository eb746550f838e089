"""Finds the objects that a text names: longest match on words, with the traps that caption metrics know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from halluapp.grounding.words import senses, vocabulary
from halluapp.grounding.words.language import ARTICLES, ING_NOUNS, Token, is_function, tokenize, word_at, word_before
from halluapp.grounding.words.verbs import VERBS, is_verb, says_what_one_does, third_person

LONGEST = 4
ANIMALS = frozenset("bird cat dog horse sheep cow elephant bear zebra giraffe goat monkey rabbit".split())
# "baby elephant", "male performer": beside an animal or a person these words describe it; alone they are people.
DESCRIBING = frozenset("baby adult young mother father male female human twin".split())
# "a couple of dogs": the words count what follows and name nobody.
COUNTING = frozenset("couple crowd audience".split())
VEHICLES = frozenset("car bus train truck boat airplane motorcycle bicycle helicopter tractor".split())
# These people are never the first half of a compound: "man kite surfing", "a man woman and child".
STRONG = frozenset(
    "man woman guy lady person someone somebody gentleman fellow couple dude boy girl human cyclist".split()
)
FAMILY = frozenset(
    "grandmother grandfather grandma grandpa brother sister mother father mom dad parent parents husband wife son "
    "daughter bride groom".split()
)
# "a stuffed giraffe", "a bronze horse": an animal of these is none.
MATERIALS = {
    **dict.fromkeys("stuffed plush".split(), "teddy bear"),
    **dict.fromkeys("toy rubber plastic inflatable lego origami crocheted knitted wind-up".split(), "toy"),
    **dict.fromkeys("bronze stone marble ceramic porcelain carved metal".split(), "statue"),
}
# What shows a thing and is none: "a man statue".
LIKENESSES = frozenset("statue toy picture sign costume mask".split())
# "the bus stops here", "a bus passes by": compounds that end in one of these may be a noun and its verb.
SENTENCE_ENDS = frozenset("stops passes crashes stands lifts shows runs treats walks lands launches tows".split())
BASEBALL = frozenset(
    "baseball mound ball batter catcher umpire base pitch pitches pitching throw throws throwing game glove "
    "player plate field team bat softball mitt".split()
)


@dataclass(frozen=True)
class Mention:
    """An object named in a text: the words text[start:end] and the object's name."""

    text: str
    start: int
    end: int
    object: str


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

    A mention is a whole compound ("desk lamp" names a lamp, no desk). Words outside the vocabulary are never mentions
    (`other_nouns` finds them).
    """
    tokens = tokenize(text)
    matches: list[_Match] = []
    index = 0
    while index < len(tokens):
        match = _longest(tokens, index)
        if match.object is not None and not _means_something_else(tokens, match, matches):
            _append(matches, match, tokens)
        index = match.last + 1
    mentions = [_mention(tokens, match, text) for match in matches if match.object]
    quoted = senses.quotations(text)
    if quoted:
        mentions = [m for m in mentions if not any(start <= m.start < end for start, end in quoted)]
    return _without_toilet_seats(mentions)


def without_object(tokens: list[Token]) -> list[tuple[int, int]]:
    """Compounds of several words that the lexicon knows as no object ("bus stop") -> first and last word of each."""
    spans, index = [], 0
    while index < len(tokens):
        match = _longest(tokens, index)
        if match.object is None and match.last > match.first:
            spans.append((match.first, match.last))
        index = match.last + 1
    return spans


def _mention(tokens: list[Token], match: _Match, text: str) -> Mention:
    start, end = tokens[match.first].start, tokens[match.last].end
    return Mention(text[start:end], start, end, match.object or "")


def _longest(tokens: list[Token], index: int) -> _Match:
    """The longest entry of the lexicon that starts at `index`; object None if there is none or it names no object."""
    lexicon, first = _lexicon(), tokens[index].word
    key, keys = first, []
    for last in range(index, min(index + LONGEST, len(tokens))):
        if last > index:
            if tokens[last].gap:
                break
            key += ("'s " if tokens[last - 1].possessive else " ") + tokens[last].word
        keys.append(key)
    for last in range(len(keys) - 1, -1, -1):
        for form in (keys[last], keys[last].replace("-", " ")):
            if form in lexicon and not _is_a_sentence(tokens, index, index + last):
                return _Match(index, index + last, lexicon[form])
    return _Match(index, index, None)


def _is_a_sentence(tokens: list[Token], first: int, last: int) -> bool:
    """A compound that is a noun and its verb here: "a zebra crossing the road", "the bus stops"."""
    word = tokens[last].word
    if first == last:
        return False
    if word == "crossing":
        return word_at(tokens, last + 1) in ARTICLES
    return word in SENTENCE_ENDS and says_what_one_does(tokens, last)


def _append(mentions: list[_Match], match: _Match, tokens: list[Token]) -> None:
    """Adds a match; nouns side by side are one thing, named by the last: "desk lamp", "baby elephant"."""
    while mentions and mentions[-1].last == match.first - 1 and word_before(tokens, match.first):
        first = mentions[-1]
        if not _one_thing(first, match, tokens):
            break
        mentions.pop()
        toy = tokens[first.first].word == "toy" and match.object in ANIMALS | VEHICLES | set(vocabulary.PEOPLE)
        match = replace(match, first=first.first, object="toy" if toy else match.object)
    mentions.append(replace(match, object=_likeness(tokens, match) or match.object))


def _likeness(tokens: list[Token], match: _Match) -> str | None:
    """What "a stuffed giraffe", "a toy plane" or "a bronze horse" is instead of the animal or vehicle, or None."""
    before = word_before(tokens, match.first)
    further = word_before(tokens, match.first - 1) if before and not is_function(before) else ""
    for word in (before, further):
        if match.object in ANIMALS | {"bear"} and word in MATERIALS:
            return MATERIALS[word]
        if match.object in VEHICLES and word in ("toy", "lego", "cardboard", "origami", "plush"):
            return "toy"
    return None


def _one_thing(first: _Match, second: _Match, tokens: list[Token]) -> bool:
    """Whether two neighbouring nouns are one compound."""
    ends, word = tokens[first.last].word, tokens[second.last].word
    if "drawn" in ends:
        return False  # "a horse-drawn carriage" is a horse and a carriage
    if first.object == second.object and first.object not in vocabulary.PEOPLE:
        return True
    if first.object not in vocabulary.PEOPLE:
        doubtful = word in vocabulary.plurals() and third_person(word) and word not in ("cars", "trucks")
        return ends not in vocabulary.plurals() and not (doubtful and first.object in ANIMALS | VEHICLES)
    if second.object in vocabulary.PEOPLE:
        return _one_person(second, ends, word)
    if ends in DESCRIBING and second.object in ANIMALS:
        return True
    after = word_at(tokens, second.last + 1)
    if ends not in DESCRIBING | {"police"} and after.endswith("ing") and after not in ING_NOUNS:
        return False  # "a man kite surfing": somebody and what he does
    if second.object in LIKENESSES:
        return True
    return ends not in STRONG and (ends not in vocabulary.plurals() or ends == "police")


def _one_person(second: _Match, ends: str, word: str) -> bool:
    """Whether two neighbouring words for people are one: "woman doctor", "toddler boy", but not "man woman"."""
    if ends in FAMILY or word in ("people", "couple", "crowd"):
        return False
    if ends in vocabulary.plurals():
        return second.object == "person" and word in vocabulary.plurals()
    if second.object in ("man", "woman") and ends in ("child", "kid", "toddler", "baby", "infant"):
        return False
    return second.object == "person" or ends not in STRONG


def _means_something_else(tokens: list[Token], match: _Match, mentions: list[_Match]) -> bool:
    """A colour, a game, a verb or a counting word that looks like an object."""
    if match.first != match.last:
        return False
    index, word = match.first, tokens[match.first].word
    if word in COUNTING and word_at(tokens, index + 1) == "of":
        return True
    if (
        word == "crowd"
        and word_before(tokens, index) in ("in", "a")
        and word_before(tokens, index - 1) in ("in", "together")
    ):
        return any(item.object in ANIMALS for item in mentions[-1:])
    if word in senses.GAMES and senses.is_game(tokens, index):
        return True
    if word == "bed" and word_at(tokens, index + 1) == "of":
        return True
    if word in ("orange", "rose") and senses.is_colour(tokens, index):
        return True
    if word == "remote" and senses.is_adjective(tokens, index):
        return True
    if word in senses.MEAT and senses.is_meat(tokens, index):
        return True
    if word in ("plant", "plants") and senses.is_works(tokens, index):
        return True
    goods = senses.VEHICLE_PARTS if match.object in VEHICLES else senses.ANIMAL_GOODS
    if match.object in VEHICLES | ANIMALS and senses.is_owner(tokens, index, goods):
        return True
    if word in ("pitcher", "pitchers") and not any(token.word in BASEBALL for token in tokens):
        return True
    if senses.is_shade(tokens, index) or senses.is_brand(tokens, index) or senses.is_only_a_name(tokens, index):
        return True
    if word in DESCRIBING | {"babies"} and _is_animal(tokens, match, mentions):
        return True
    return (word in VERBS or third_person(word) or word in vocabulary.plurals()) and _is_verb(tokens, match, mentions)


def _is_animal(tokens: list[Token], match: _Match, mentions: list[_Match]) -> bool:
    """As in "a mother and baby elephant", "a zebra and its baby": the words for people stand for animals."""
    before = word_before(tokens, match.first)
    if word_at(tokens, match.last + 1) == "and" and word_at(tokens, match.last + 2) in DESCRIBING:
        head = match.last + 3
        return head < len(tokens) and _longest(tokens, head).object in ANIMALS
    kinds = {item.object for item in mentions}
    only_animals = bool(kinds & ANIMALS) and not kinds & set(vocabulary.PEOPLE)
    return before == "its" or (before in ("her", "their") and only_animals)


def _is_verb(tokens: list[Token], match: _Match, mentions: list[_Match]) -> bool:
    """As in "a man waves", "dogs that fish", "to park": the word is what somebody does."""
    word, at = tokens[match.first].word, match.first - 1

    def head(index: int) -> str | None:
        name = next((item.object for item in reversed(mentions) if item.last == index), None)
        kind = "people" if name in vocabulary.PEOPLE else "thing" if name in ANIMALS | VEHICLES else "object"
        return kind if name else None

    if is_verb(tokens, match.first, head):
        return True
    # "a man glasses": a plural right behind one person is what he does, or else a slip of the pen
    if at < 0 or head(at) != "people" or not word_before(tokens, match.first):
        return False
    one = tokens[at].word not in vocabulary.plurals() and tokens[at].word not in DESCRIBING | {"police"}
    return one and word in vocabulary.plurals() and match.object not in ANIMALS | set(vocabulary.PEOPLE)


def _without_toilet_seats(mentions: list[Mention]) -> list[Mention]:
    """A "seat" beside a toilet is the toilet's, not a chair (CHAIR's rule)."""
    if not any(mention.object == "toilet" for mention in mentions):
        return mentions
    return [mention for mention in mentions if mention.text.lower() not in ("seat", "seats")]
