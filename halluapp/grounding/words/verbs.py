"""Tells whether a word that is also a noun of the table is a verb where it stands ("the boat sinks", "to book a room").

Rules on the words around it: what must follow "to" or "can", agreement with the subject, and what only a verb may have
behind it. A parser was tried and was worse (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.language import (
    ADVERBS,
    ARTICLES,
    AUXILIARIES,
    BE,
    COLOURS,
    DETERMINERS,
    DO,
    ING_NOUNS,
    MODALS,
    PERCEPTION,
    POSSESSIVES,
    PREPOSITIONS,
    QUANTITIES,
    RELATIVES,
    SINGULAR,
    SUBJECTS,
    Token,
    is_function,
    word_at,
    word_before,
)

# Base forms of verbs that are also words of the table.
VERBS = frozenset(
    "bag balloon bat bear bench bike boat book bottle bowl box branch bridge bubble bucket bus cage cart chair "
    "clock cloud coach coat cow crow cup cycle dish dock dog dress drink drum duck fence ferry field fire fish "
    "flag floor flower fork fountain freeze garden hawk hedge horse hound house hurdle ice jet keyboard kite "
    "knife leash leave light log man mask microwave mirror monitor mug net outfit paper park parrot pedal phone "
    "photograph picture pilot pitch plant plate pool post purse raft rail ramp ride rock rope row sack sail sand "
    "sandwich scoot scooter seat shelf ship shop sign sink skate skateboard ski slide slope sled snack snow "
    "snowboard stage star step stick stone store stream suit surf swan swing table taxi tee telephone tie tire "
    "toast toy track trail train tunnel umbrella wall water wave wheel trolley truck barge canoe kayak wagon cab "
    "crane bush cushion pillow blanket towel drape".split()
)
# Beside a noun these are things: "the bus seats", "the boat lights", "the dog bowls".
THINGS = frozenset(
    "wave bench bowl ice leaf seat wheel light toy trail track bed sign box table store shop park rail house mask "
    "coat dish ramp bag balloon book bottle branch bucket cart chair clock cup drum fence flag flower garden "
    "glove jet kite knife log mirror mug net paper phone photograph picture plate pool post purse rope row "
    "sandwich shelf step stick stone tee tie tire truck tunnel umbrella wall wagon boot heel cushion "
    "pillow blanket towel drape cap keyboard field floor".split()
)
PLURAL_THINGS = frozenset(word + ending for word in THINGS for ending in ("s", "es")) - {"parks"}
# After "watched her": verbs, for nobody says "her ski".
LIKELY = frozenset("ski skate surf fish sail park row cycle sled".split())
DONE_BY_MANY = frozenset("kite trail wave park step pool row rope drum log tie cart table plate".split())
JOINED_BY_TO = frozenset("next close tied attached connected leading thanks similar down up over back home on".split())
# People words that stand before another noun: "police cars", "baby ducks".
MODIFIERS = frozenset(
    "police baby adult young male female twin passenger child kid team mother father toddler infant people".split()
)
# One word for several people: "the couple dress up", "the crew fishes".
COLLECTIVES = frozenset("couple family team crew group band pair class".split())
AGENTS = frozenset(
    "captain crew family team king queen boss owner friend bird animal herd boss student crowd group class band guest "
    "neighbor boss hero wolf lion tiger fox monkey deer kangaroo turtle whale dolphin shark snake squirrel".split()
)
NO_AGENTS = frozenset(
    "other under over paper water silver leather winter summer flower tower counter corner computer copper rubber "
    "power number letter butter timber upper lower outer inner former larger smaller bigger taller older younger "
    "newer nicer color harbor tractor motor door floor monitor trailer river finger shoulder ladder feather "
    "weather bumper container poster sticker razor indoor outdoor mirror boulder roller cluster better faster "
    "slower darker lighter colder plaster holder danger border shower lumber amber cedar sugar collar cellar "
    "solar polar regular circular popular similar".split()
)
MASSES = frozenset("water sand snow ice fire food paper light rope fish wave".split())
OPENS_OBJECT = ARTICLES | POSSESSIVES | frozenset("it them him us me some this these those".split())
BEFORE_VERBS = frozenset("often always never here there outside".split())
# Ends in -s without being a plural noun.
NO_PLURALS = frozenset(
    "various numerous famous sports goods ladies mens glass grass dress bus class always perhaps across kids' this his "
    "its is was has does yes us plus less various gas canvas cross express business wireless endless christmas tennis "
    "swiss texas james jesus paris ships cruise fitness princess process mass brass boss moss loss press".split()
)


def third_person(word: str) -> bool:
    """Whether the word may be "he ...s" of a verb of VERBS."""
    if word == "leaves":
        return True
    if word in ("fathers", "mothers", "nurses", "planes", "kids"):
        return True
    stems = (word[:-1], word[:-2] if word.endswith("es") else "", word[:-3] + "y" if word.endswith("ies") else "")
    return word.endswith("s") and any(stem in VERBS for stem in stems)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word that may be a verb: word `index`, `at` the word before it (adverbs skipped), and the forms it may be.

    head(i): "people", "thing" (animals and vehicles), "object" or None, for a noun of the table that ends at word i.
    """

    tokens: list[Token]
    index: int
    at: int
    base: bool  # may be a base form: "to ski"
    third: bool  # may be "he ...s"
    head: Callable[[int], str | None]

    @property
    def word(self) -> str:
        return self.tokens[self.index].word

    @property
    def before(self) -> str:
        """The word before it, adverbs skipped; "" behind punctuation."""
        return word_before(self.tokens, self.at + 1) if self.at == self.index - 1 else self.tokens[self.at].word

    @property
    def after(self) -> str:
        return word_at(self.tokens, self.index + 1)

    @property
    def has_object(self) -> bool:
        """Whether "the", "his", "them" ... follow: no noun has these behind it, a verb has."""
        return self.after in OPENS_OBJECT


def is_verb(tokens: list[Token], index: int, head: Callable[[int], str | None]) -> bool:
    """Whether the word at `index` is what somebody does. head: see `_Word`."""
    at = index - 1
    while at > 0 and not tokens[at + 1].gap and (tokens[at].word in ADVERBS or tokens[at].word.endswith("ly")):
        at -= 1
    word = _Word(tokens, index, at, tokens[index].word in VERBS, third_person(tokens[index].word), head)
    before, previous = word.before, word_before(tokens, at)
    if word.after.endswith("ing") and word.after not in ING_NOUNS:
        return False  # "people bird watching"
    if not before:
        return word.base and ((index > 0 and tokens[index - 1].word == "let") or _is_command(word))
    if before == "to":
        joined = previous in JOINED_BY_TO | {word.word} or (previous in PREPOSITIONS and previous != "about")
        return word.base and (not joined or (word.word, previous) == ("bat", "up"))
    negated = tokens[index - 1].word == "not" and word_before(tokens, index - 1) in MODALS | DO
    if negated or before in MODALS | DO | {"please"}:
        return word.base
    if word.base and at != index - 1 and tokens[index - 1].word in BEFORE_VERBS:
        return not word.third and word_before(tokens, index - 1) not in BE | PREPOSITIONS
    if before in SUBJECTS | RELATIVES or (before == "it" and word.third):
        return _after_pronoun(word)
    if before in ("him", "them", "me", "us", "her"):
        return word.base and previous in PERCEPTION and (before != "her" or word.word in LIKELY)
    if before in ("and", "or", "then"):
        return _is_coordinated(word)
    return not is_function(before) and _after_noun(word)


def says_what_one_does(tokens: list[Token], index: int) -> bool:
    """Whether "...s" at `index` is the verb of the noun before it, not a plural: "a bus passes", "the bus stops"."""
    opener = tokens[_phrase_start(tokens, index - 1)].word
    return opener in SINGULAR or (opener in DETERMINERS and not _another_verb(tokens, index + 1))


def _is_command(word: _Word) -> bool:
    """As in "Park the car."; only where a sentence begins."""
    begins = word.index == 0 or any(mark in word.tokens[word.index].gap for mark in ".!?:;\n")
    return begins and word.has_object and word_at(word.tokens, word.index + 2) not in ("same", "size")


def _after_pronoun(word: _Word) -> bool:
    if word.before in ("it", "someone", "somebody", "everyone", "everybody", "nobody"):
        return word.third
    if word.before in ("which", "that"):
        previous = word_before(word.tokens, word.at)
        noun = bool(previous) and not is_function(previous)
        return noun and (word.third or (word.base and previous.endswith("s")))
    return word.base or word.third


def _is_coordinated(word: _Word) -> bool:
    """As in "parks his truck and phones a friend", "runs and ducks under a rope"."""
    if (word.base or word.third) and word.has_object:
        return True
    first = word_before(word.tokens, word.at)
    if word.head(word.at - 1):
        return False
    if (word.base and first in VERBS) or (word.third and third_person(first)):
        return True  # "they skate and ski": the first was a verb
    if not word.third or not first.endswith("s") or word.at < 2:
        return False
    return word_before(word.tokens, word.at - 1) in SUBJECTS or word.head(word.at - 2) in ("people", "thing")


def _phrase_start(tokens: list[Token], at: int) -> int:
    """Where the noun phrase that ends at word `at` begins (its determiner, if it has one)."""
    start = at
    while start > 0 and at - start < 5 and word_before(tokens, start):
        word = tokens[start - 1].word
        if (is_function(word) and word not in DETERMINERS) or (word.endswith("ing") and word not in ING_NOUNS):
            break
        start -= 1
        if word in DETERMINERS:
            break
    return start


def _after_noun(word: _Word) -> bool:
    """Whether the word is the verb of the noun before it."""
    tokens, at, noun, kind = word.tokens, word.at, word.tokens[word.at].word, word.head(word.at)
    if kind is None and (noun.endswith(("ing", "ed")) or word.head(at - 1) or word_before(tokens, at) in SUBJECTS):
        return False  # "wearing gloves", "a boy flings sand": the word before is a verb itself
    if noun in COLOURS:
        dressed = word_before(tokens, at) in ("in", "wearing")
        return word.third and dressed and word.word not in PLURAL_THINGS and word.after in PREPOSITIONS
    if _is_plural(noun, kind):
        return _they_do(word, kind)
    if noun in COLLECTIVES and at == word.index - 1:
        return (word.base and (word.word not in THINGS or word.has_object)) or (
            word.third and word.word not in PLURAL_THINGS
        )
    start = _phrase_start(tokens, at)
    if word.third and not any(tokens[k].word in QUANTITIES for k in range(start, at + 1)):
        return _one_does(word, kind, tokens[start].word)
    if not word.base or (noun == "police" and word.has_object):
        return word.base
    if kind not in ("people", "thing") or noun in MODIFIERS:
        return False
    perceived = start > 0 and word_before(tokens, start) in PERCEPTION and tokens[start].word in DETERMINERS
    return perceived or (kind == "people" and "and" in (word_before(tokens, start), word_before(tokens, at)))


def _is_plural(noun: str, kind: str | None) -> bool:
    if noun in ("people", "men", "women", "children"):
        return True
    ends = noun.endswith("s") and len(noun) > 3 and noun not in NO_PLURALS and not noun.endswith(("ss", "us", "is"))
    return ends and (kind is not None or not noun.endswith("ous"))


def _they_do(word: _Word, kind: str | None) -> bool:
    """Several before the word: "two men fish"; "a boy in shorts slides down"."""
    if word.base and word.has_object:
        return True
    if word.third and word.word not in ("fish", "skis"):
        return word.at == word.index - 1 and word.after in PREPOSITIONS - {"of", "with", "in", "on"}
    return word.base and word.word not in THINGS - DONE_BY_MANY and (kind is not None or word.word not in MASSES)


def _one_does(word: _Word, kind: str | None, opener: str) -> bool:
    """One somebody or something before "...s": its verb, or a plural that it describes?"""
    noun = word.tokens[word.at].word
    if word.at == word.index - 1 and opener in (SINGULAR if kind else ("a", "an")):
        return kind is not None or noun[-1] not in "yd" or word.has_object
    if word.has_object or word.after in vocabulary.plurals():
        return True
    if kind == "thing" and (word.word, word.after) in (("toys", "with"), ("trails", "behind"), ("trails", "after")):
        return True
    if kind == "people":
        return noun not in MODIFIERS
    agent = noun in AGENTS or (len(noun) > 4 and noun.endswith(("er", "or", "ist", "man")) and noun not in NO_AGENTS)
    if (kind is None and not agent) or word.word in PLURAL_THINGS:
        return False
    return not _another_verb(word.tokens, word.index + 1)


def _another_verb(tokens: list[Token], index: int) -> bool:
    """Whether the clause goes on to a verb that must be its own: "the boat sails are white"."""
    while index < len(tokens) and not tokens[index].gap:
        word = tokens[index].word
        if word in ("while", "as", "because", "and", "but", "that", "who", "which", "when", "where"):
            return False
        if word in AUXILIARIES:
            return True
        index += 1
    return False
