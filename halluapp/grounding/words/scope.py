"""How far a denial reaches: from its first word to one noun phrase and what is listed with it, word by word."""

from __future__ import annotations

import re

from halluapp.grounding.words.language import (
    ADVERBS,
    ARTICLES,
    BE,
    CONJUNCTIONS,
    DETERMINERS,
    POSSESSIVES,
    PREPOSITIONS,
    SUBJECTS,
)
from halluapp.grounding.words.triggers import FINITE, Scene, clause_trigger, phrase_trigger

# Passed through: "no sign of a dog".
SIGNS = frozenset(
    "sign signs trace traces evidence indication indications hint hints presence kind kinds sort sorts type types "
    "number glimpse view mention picture photo image depiction any instances instance single visible".split()
)
EXCEPT = frozenset("but except besides apart aside save than excluding only".split())
DEFINITE = POSSESSIVES | frozenset("the these those this that".split())
STOPS = (
    (PREPOSITIONS - {"of", "to", "like"})
    | (CONJUNCTIONS - {"and", "or", "nor"})
    | frozenset("that who which there".split())
)
# Verbs that say what is there: when a viewer or the photo is their subject, "the dog" is denied as well as "a dog".
SHOWING = re.compile(
    r"^(?:show|contain|include|feature|depict|display|see|find|spot|detect|identify|notice|have|has|wear|wearing|exist|"
    r"shown|visible|seen|having|observe|locate|recognize|discern|reveal|portray|present|seeing)s?$"
)
VIEWERS = frozenset("image photo picture scene photograph i we you it one there frame view shot".split())
THINKING = frozenset("think believe suppose guess say sure".split())
AFTER_TO = frozenset("be have see show contain include find detect spot wear".split())
LONGEST_PHRASE, LONGEST_CLAUSE, LONGEST_ITEM = 6, 9, 5


def covered_before(scene: Scene) -> set[int]:
    """Numbers of the mentions that a denial before them covers."""
    absent: set[int] = set()
    for index in range(len(scene.tokens)):
        start, clausal = phrase_trigger(scene, index), False
        if start is None:
            start, clausal = clause_trigger(scene, index), True
        if start is not None:
            absent |= _covered(scene, start, clausal)
    return absent


def _covered(scene: Scene, start: int, clausal: bool) -> set[int]:
    """The mentions that a denial whose scope begins at word `start` denies."""
    spot, article, mention = _noun_phrase(scene, start, clausal)
    if mention is None:
        return set()
    covered = {mention}
    while (following := _next_in_list(scene, spot, article and clausal)) is not None:
        spot, mention = following
        covered.add(mention)
    return covered | _other_alternatives(scene, spot)


def _noun_phrase(scene: Scene, start: int, clausal: bool) -> tuple[int, bool, int | None]:
    """The first mention in scope -> (word behind it, whether it has an article, mention or None)."""
    article, shows, spot = False, False, start
    end = min(start + (LONGEST_CLAUSE if clausal else LONGEST_PHRASE), len(scene.tokens))
    while spot < end:
        word, owner, example = scene.word(spot), scene.owner[spot], _example(scene, spot)
        if spot > start and scene.gap(spot) and not example and not _joins_adjectives(scene, spot):
            break
        if owner is not None:
            last = scene.last(spot)
            return last + 1, article, None if scene.tokens[last].possessive else owner
        shows = shows or bool(SHOWING.match(word)) or bool(example)
        if word in DETERMINERS - {"any", "single", "no"} and (word, scene.word(spot + 1)) != ("that", "there"):
            if _ends_at_determiner(scene, spot, start, clausal, shows and _is_viewed(scene, start - 1)):
                break
            article = True
        elif not example and not _goes_on(scene, spot, start):
            break
        spot += max(example, 1)
    return spot, article, None


def _ends_at_determiner(scene: Scene, spot: int, start: int, clausal: bool, viewed: bool) -> bool:
    """Whether "the dog" or "a dog" at `spot` is out of scope: "does not see the bird" presupposes the bird."""
    definite, before = scene.word(spot) in DEFINITE, scene.word(spot - 1)
    if clausal:
        return definite and not viewed and before not in ("wearing", "wear")
    doing = before.endswith("ing")
    return spot > start and before != "of" and (not doing or (definite and before not in ("wearing", "having")))


def _example(scene: Scene, spot: int) -> int:
    """Words of "such as", "like" or "including" at `spot`, which go on with what is denied; else 0."""
    word = scene.word(spot)
    return 2 if word == "such" and scene.word(spot + 1) == "as" else int(word in ("like", "including"))


def _is_viewed(scene: Scene, index: int) -> bool:
    """Whether the subject of a denied clause is the photo or somebody who looks at it: "I can't see the dog"."""
    first = index
    while first > max(0, index - 5) and not scene.gap(first):
        first -= 1
    words = [scene.word(k) for k in range(first, index)]
    return not words or any(word in VIEWERS for word in words)


def _joins_adjectives(scene: Scene, spot: int) -> bool:
    """As in "no large, brown dog": a comma inside one noun phrase."""
    before, word = scene.word(spot - 1), scene.word(spot)
    if scene.gap(spot) != "," or scene.owner[spot - 1] is not None or before in DETERMINERS | ADVERBS | FINITE:
        return False
    return word not in DETERMINERS | SUBJECTS | CONJUNCTIONS | {"there"}


def _goes_on(scene: Scene, spot: int, start: int) -> bool:
    """Whether the scope goes on past the word at `spot`, which is neither a mention nor a determiner."""
    word, before, after = scene.word(spot), scene.word(spot - 1), scene.word(spot + 1)
    if (word == "there" and (before in BE | THINKING or after in BE)) or (word, after) == ("that", "there"):
        return True
    if word in STOPS | EXCEPT:
        return word == "out" and before in ("make", "made", "making")
    if word == "to":
        return after in AFTER_TO
    plain = scene.owner[spot - 1] is None and spot > start
    if word == "and":
        return plain and before.endswith(("y", "ed", "e", "k", "n"))
    if word in ("or", "nor"):
        return plain or spot == start
    if word in FINITE and spot > start and before not in FINITE | SUBJECTS | {"there", "to", "not"}:
        return word in ("be", "been") or before in ("that", "there")
    if word.endswith("ing") and spot > start:
        return before in BE | ADVERBS | SIGNS | {"not"} or after in DETERMINERS
    return True


def _next_in_list(scene: Scene, spot: int, articles: bool) -> tuple[int, int] | None:
    """The next mention of a list: (word behind it, mention), or None: ", a bus", "or boats", "and trucks".

    articles: whether the items of the list have articles, so that "a" does not begin another clause.
    """
    gap, word = scene.gap(spot), scene.word(spot)
    joined = int(word in ("or", "nor", "and")) or _example(scene, spot)
    if gap not in ("", ",", "/") or not (joined or gap):
        return None
    closed = _is_closed(scene, spot)
    begin = spot = spot + joined
    while spot < min(begin + LONGEST_ITEM, len(scene.tokens)) and (spot == begin or not scene.gap(spot)):
        word, owner = scene.word(spot), scene.owner[spot]
        if owner is not None:
            end = scene.last(spot) + 1
            another = scene.word(end) in FINITE and not scene.gap(end) and not closed  # ", a dog is asleep"
            return None if another or scene.tokens[end - 1].possessive else (end, owner)
        if word in ARTICLES | POSSESSIVES | {"one", "two"}:
            if spot > begin or not (closed or articles):
                return None
        elif word in STOPS | FINITE | SUBJECTS | {"of", "to"}:
            return None
        spot += 1
    return None


def _is_closed(scene: Scene, start: int) -> bool:
    """Whether a list goes on to "or" or "nor" in the same sentence."""
    for index in range(start, min(start + 12, len(scene.tokens))):
        if index > start and (set(scene.gap(index)) & set(".;:?!") or scene.word(index) == "but"):
            return False
        if scene.word(index) in ("or", "nor"):
            return True
    return False


def _other_alternatives(scene: Scene, spot: int) -> set[int]:
    """As in "no cars in the street or any people"."""
    absent: set[int] = set()
    for index in range(spot, min(spot + 10, len(scene.tokens) - 1)):
        word = scene.word(index)
        if set(scene.gap(index)) & set(".;:?!") or word in ("but", "while"):
            break
        if word == "any" or (word in ("or", "nor") and scene.word(index + 1) in ("any", "other")):
            at, _, owner = _noun_phrase(scene, index + 1, clausal=False)
            absent |= set() if owner is None or at > index + 5 else {owner}
    return absent
