"""Where a denial begins in a text: "no", "without", "doesn't" ...; and what only looks like one ("not only")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from halluapp.grounding.words.language import BE, DETERMINERS, DO, HAVE, MODALS, tokenize

NEGATIVES = re.compile(
    r"^(?:\w+n't|(?:is|are|was|were|does|do|did|ca|could|has|have|had|wo|would|should|must|ai)nt|cannot|not|never)$"
)
FINITE = BE | HAVE | DO | MODALS
# "no doubt", "no longer": no denial of what follows.
NO_DENIAL = frozenset(
    "doubt wonder matter question surprise problem problems sooner later longer time hurry trouble difficulty "
    "difficulties issue idea need use way fewer less more ordinary mere regular typical stranger better worse "
    "different shortage lack end limit denying mistaking hiding stopping avoiding ignoring escaping secret joke "
    "exception intention fear mistake one".split()
)
# "not only", "not far": likewise.
NOT_DENIAL = frozenset(
    "all every each both many much just only merely simply necessarily surprisingly far too very unlike until quite "
    "mention long alone unusual uncommon everyone everything always exactly".split()
)
# "cannot miss", "can't help but notice"
DOUBLE = frozenset("miss help ignore overlook avoid mistake resist".split())
FORBIDDEN = frozenset("enter walk park pass disturb litter feed touch cross swim block stop smoke".split())
EMPTY_OF = frozenset("devoid free empty bare void clear absence lack bereft stripped".split())
LACKING = frozenset("lacks lack lacking excludes excluding omits sans minus".split())
HEADINGS = frozenset("absent missing no lacking".split())
# Two words that deny a noun phrase behind them.
PAIRS = frozenset(
    [("instead", "of"), ("rather", "than"), ("opposed", "to"), ("nothing", "like"), ("nothing", "resembling")]
    + [(word, "of") for word in EMPTY_OF]
)


class Span(Protocol):
    """Where a mention stands in its text: text[start:end]."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


class Scene:
    """The words of a text and, for each, the number of the mention that it belongs to (or None)."""

    def __init__(self, mentions: Sequence[Span], text: str):
        self.text, self.mentions, self.tokens = text, mentions, tokenize(text)
        self.owner: list[int | None] = [None] * len(self.tokens)
        spot = 0
        for index, mention in enumerate(mentions):
            while spot < len(self.tokens) and self.tokens[spot].start < mention.start:
                spot += 1
            while spot < len(self.tokens) and self.tokens[spot].end <= mention.end:
                self.owner[spot] = index
                spot += 1

    def word(self, index: int) -> str:
        """The word at `index`; "" outside the text."""
        return self.tokens[index].word if 0 <= index < len(self.tokens) else ""

    def gap(self, index: int) -> str:
        """What stands before word `index`, "." outside the text."""
        return self.tokens[index].gap if 0 <= index < len(self.tokens) else "."

    def last(self, spot: int) -> int:
        """The last word of the mention that word `spot` belongs to."""
        while spot + 1 < len(self.tokens) and self.owner[spot + 1] == self.owner[spot]:
            spot += 1
        return spot


def phrase_trigger(scene: Scene, index: int) -> int | None:
    """Where the scope of a denial at word `index` begins that denies a noun phrase ("no dog", "without a dog")."""
    word, after = scene.word(index), scene.word(index + 1)
    if scene.gap(index) == "0":
        return index
    if not _goes_on(scene, index):
        negative = word in HEADINGS or scene.word(index - 1) == "not"
        heading = negative and word in HEADINGS | {"visible", "present"} and scene.gap(index + 1)[:1] == ":"
        return index + 1 if heading else None
    if word in ("no", "zero"):
        return None if _is_no_denial(scene, index) else index + 1
    if (word, after) in PAIRS or (word, after, scene.word(index - 1)) == ("place", "of", "in"):
        return None if scene.word(index - 1) == "no" else index + 2
    if word in ("without", "neither", "nor") or word in LACKING:
        return _lacking(scene, index)
    if word == "missing" and scene.word(index - 1) in BE and after in DETERMINERS:
        return index + 1
    return index + 2 if word == "lieu" and after == "of" else None


def clause_trigger(scene: Scene, index: int) -> int | None:
    """Where the scope of a denial at word `index` begins that denies a clause ("doesn't show", "unable to see")."""
    word, after = scene.word(index), scene.word(index + 1)
    if not _goes_on(scene, index):
        return None
    if word in ("nowhere", "nor", "nobody", "nothing") and after in FINITE:
        return index + 1
    if word == "unable" or (word in ("fail", "fails", "failed") and after == "to"):
        return index + 1
    return index + 1 if NEGATIVES.match(word) and not _is_not_denial(scene, index) else None


def _goes_on(scene: Scene, index: int) -> bool:
    """Whether only blanks (or marks of emphasis) stand behind word `index`: "No, there is a dog" denies no dog."""
    return scene.gap(index + 1) in ("", '"', "*", "**", "_")


def _lacking(scene: Scene, index: int) -> int | None:
    word, before, after = scene.word(index), scene.word(index - 1), scene.word(index + 1)
    if (word == "neither" and after == "of") or (word == "nor" and after in FINITE):
        return None
    if after in ("doubt", "question") or scene.word(index + 2) == "doubt" or before == "no":
        return None
    return None if word in ("without", "lack") and NEGATIVES.match(before) else index + 1


def _is_no_denial(scene: Scene, index: int) -> bool:
    """As in "no doubt", "no fewer than", "a no smoking sign"."""
    after = scene.word(index + 1)
    if after in NO_DENIAL or ((after == "other" or after.endswith("er")) and scene.word(index + 2) == "than"):
        return True
    sign = next((k for k in range(index + 2, index + 5) if scene.word(k) in ("sign", "signs", "zone", "area")), 0)
    if not sign or any(scene.gap(k) for k in range(index + 2, sign + 1)):
        return False
    owned = scene.word(index - 1) in DETERMINERS
    rule = after.endswith("ing") and after not in ("warning", "crossing", "building")
    return owned or rule or after in ("trespassing", "entry", "exit", "access") or scene.word(index + 2) == "allowed"


def _is_not_denial(scene: Scene, index: int) -> bool:
    """As in "not only", "cannot miss", "not one but two", "a do not enter sign"."""
    before, after, second = scene.word(index - 1), scene.word(index + 1), scene.word(index + 2)
    do = index - (before == "do")
    ordered = scene.word(do) in ("do", "don't", "dont") and scene.word(do - 1) in DETERMINERS | {"says", "reads", ""}
    if (ordered and after in FORBIDDEN) or after in NOT_DENIAL | DOUBLE or (after, second) == ("to", "mention"):
        return True
    if before in ("hard", "impossible", "difficult") and after == "to":
        return True
    if after in ("one", "two", "three") and any(scene.word(k) == "but" for k in range(index + 2, index + 5)):
        return True
    return after in ("be", "been") and second in ("missed", "ignored", "overlooked")
