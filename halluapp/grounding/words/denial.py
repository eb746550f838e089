"""Which objects a text names without saying that they are there: denied, compared with, or only pictured.

A denial ("no", "without", "doesn't appear to be") is followed word by word to the noun phrases that it covers and no
further (`scope`): "a man without a shirt riding a horse" denies the shirt alone. What denies the object before it ("the
dog is nowhere to be seen", "Dog: no") is found here. The kinds come from public reports on tools of the NegEx family.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from halluapp.grounding.words.scope import covered_before
from halluapp.grounding.words.triggers import Scene, Span

ABSENT = "the text says it is absent"
COMPARED = "the text only compares with it"
PICTURED = "the text speaks of a picture of it"

_PRESENT = (
    r"(?:visible|present|there|shown|seen|found|depicted|in\s+(?:the|this|sight|view)|among|anywhere|around|pictured|"
    r"included)"
)
_PLACE = r"(?:\s+(?:in|of|from|on)\s+(?:(?:the|this|a|any)\s+)?[\w-]+)?"
_NEGATED = r"(?:(?:is|are|was|were)n['’]?t|not|ca(?:n['’]?t|nnot)|could\s?n['’]?t)"
_ITS_OWN = r"(?!\s+(?:a|an|its|his|her|their|one|some|the|two)\b)"  # "is missing a leg": what is missing comes behind
GONE = re.compile(
    rf"^{_PLACE}\s*,?\s+(?:(?:is|are|was|were|can|could|do|does|has|have)\s+)?(?:"
    rf"nowhere\b|{_NEGATED}\s+(?:\w+\s+){{0,2}}?{_PRESENT}\b"
    r"|(?:does|do|did)(?:n['’]?t|\s+not)\s+(?:appear(?!\s+to)|exist|show\s+up|feature)"
    r"|not\s+(?:appear(?!\s+to)|exist)\b|(?:disappeared|vanished|absent|gone|lacking|(?:been\s+)?removed)\b"
    rf"|missing{_ITS_OWN}\b|out\s+of\s+(?:sight|frame|view)\b)",
    re.IGNORECASE,
)
# "Cats are present, dogs are not."
SO_ARE_NOT = re.compile(r"^\s+(?:is|are|was|were)(?:n['’]?t|\s+not)\s*(?=[.,;!?]|$)", re.IGNORECASE)
ARE_PRESENT = re.compile(r"\b(?:present|visible|there|seen|shown|in\s+the\s+\w+)\b[^.!?]*$", re.IGNORECASE)
ANSWER = re.compile(
    r"^[\s*_]*(?:in\s+(?:the|this)\s+\w+\s*)?(?:[:=|→]|\s[-–—]\s|\s*\(|\?)[\s*_\"']*"
    r"(?:no\b(?![ \t]+[^\W\d_])|no,|none\b|nope\b|zero\b|0\b(?!\.\d)|absent\b|false\b|missing\b|n/a\b|✗|❌|✘"
    r"|not\s+(?:visible|present|seen|found|there|in\b))",
    re.IGNORECASE,
)
# "Is a cat visible? No."
ASKED = re.compile(r"(?:^|[.!?\n])\s*(?:is|are|was|were|do|does|can|could)\b[^.!?\n]*$", re.IGNORECASE)
PRESENCE = re.compile(
    r"^\s+(?:visible|present|shown|seen|there|here)\b[^.!?;\n]{0,50}\?[\s*_\"']*(?:no|none|nope)\b(?![ \t]+[^\W\d_])",
    re.IGNORECASE,
)
NONE_OF = re.compile(
    r"\b(?:none|neither|not\s+one)\s+of\s+(?:the|these|those|his|her|their|its)\s+(?:[\w-]+\s+){0,2}$", re.IGNORECASE
)
THERE = re.compile(
    r"^\s+(?:is|are|was|were|can\s+be|appears?|shows?)?\s*(?:\w+ly\s+)?(?:present|visible|seen|shown|found|there|appear|"
    r"depicted|in\s+the\s+(?:image|photo|picture|scene|frame))\b",
    re.IGNORECASE,
)
LISTED = re.compile(
    r"^\s*(?:,|,?\s*(?:and|or|nor)|/)\s*(?:(?:the|a|an|any|other|no)\s+)*(?:[\w-]+\s+)?$", re.IGNORECASE
)
_UP_TO = r"(?:[\w-]+\s+){0,2}$"
_SOME = rf"(?:(?:a|an|the|some|two|several|his|her)\s+)?{_UP_TO}"
LIKENESS = re.compile(
    r"(?<!what\s)\b(?:looks?|looked|looking|shaped|acts?|acting|runs?|running|jumps?|jumping|sounds?|feels?|moves?|dressed|"
    r"styled|behaves?|swims?|barks?)\s+(?:(?:almost|just|more|somewhat)\s+)?like\s+" + _SOME + "|"
    r"\b(?:in\s+the\s+(?:shape|form|style)\s+of|(?:dressed|disguised|posing)(?:\s+up)?\s+as|resembl(?:es?|ing)|"
    r"reminiscent\s+of)\s+" + _SOME + "|"
    r"(?:\b(?:similar\s+to|as\s+(?:big|small|large|tall|fast|strong|tiny)\s+as|(?:bigger|smaller|larger|taller|faster)"
    r"\s+than)|,\s+like)\s+an?\s+" + _UP_TO,
    re.IGNORECASE,
)
DRAWN = re.compile(
    r"\b(?:paintings?|drawings?|posters?|portraits?|murals?|statues?|sculptures?|figurines?|tattoos?|stickers?|cartoons?|"
    r"illustrations?|carvings?|silhouettes?|logos?|emblems?|sketch(?:es)?|decals?|images?\s+printed)\s+of\s+" + _SOME,
    re.IGNORECASE,
)
# "A picture of a cat" is the photo itself where a text begins; "there is a picture of a cat on the wall" is none.
PHOTO_OF = re.compile(
    r"\S\s+(?:a|the|one|framed|\w+)\s+(?:pictures?|photos?|photographs?|images?)\s+of\s+" + _SOME, re.IGNORECASE
)
# So is "A drawing of a boat", about a photo that is one; a statue or a tattoo is a thing in it wherever it is named.
DRAWN_ITSELF = re.compile(
    r"^\s*(?:(?:an?|this|the)\s+)?(?:\w+\s+)?(?:paintings?|drawings?|cartoons?|illustrations?|sketch(?:es)?)\s+of\s+"
    + _SOME,
    re.IGNORECASE,
)
ON_A_WALL = re.compile(
    r"^[^.;!?]*\b(?:on|hang(?:s|ing)?)\b[^.;!?]*\b(?:wall|shirt|screen|box|sign|side|cover|frame|t-shirt)\b",
    re.IGNORECASE,
)
NEAR = 80  # letters before a mention in which a comparison or a picture of it may be named


def denied(mentions: Sequence[Span], text: str) -> list[bool]:
    """For each mention (in reading order), whether the text does not say that it is there; see `denial_reasons`."""
    return [reason is not None for reason in denial_reasons(mentions, text)]


def denial_reasons(mentions: Sequence[Span], text: str) -> list[str | None]:
    """For each mention (in reading order) why the text does not assert it, as a clause for people, or None."""
    if not mentions:
        return []
    scene = Scene(mentions, text)
    absent = covered_before(scene) | _denied_behind(scene)
    return [ABSENT if index in absent else _unreal(text, mention) for index, mention in enumerate(mentions)]


def _denied_behind(scene: Scene) -> set[int]:
    """Mentions that the words behind them deny: "the dog is not visible", "Dog: no", "dogs and cats are absent"."""
    absent: set[int] = set()
    text, mentions = scene.text, scene.mentions
    for index in range(len(mentions) - 1, -1, -1):
        mention, rest = mentions[index], text[mentions[index].end :]
        gone = GONE.match(rest) or ANSWER.match(rest)
        gone = gone or (THERE.match(rest) and NONE_OF.search(text[: mention.start]))
        gone = gone or (PRESENCE.match(rest) and ASKED.search(text[: mention.start]))
        gone = gone or (SO_ARE_NOT.match(rest) and ARE_PRESENT.search(text[: mention.start]))
        if not gone and index + 1 in absent:
            between = text[mention.end : mentions[index + 1].start]
            gone = LISTED.match(between) and GONE.match(text[mentions[index + 1].end :])
        if gone:
            absent.add(index)
    return absent


def _unreal(text: str, mention: Span) -> str | None:
    """Why a mention names nothing real: it is compared with, or pictured."""
    before = text[max(0, mention.start - NEAR) : mention.start]
    if LIKENESS.search(before):
        return COMPARED
    hangs = ON_A_WALL.match(text[mention.end :])
    is_photo = DRAWN_ITSELF.match(text[: mention.start]) and not hangs
    if (DRAWN.search(before) and not is_photo) or (PHOTO_OF.search(before) and hangs):
        return PICTURED
    return None
