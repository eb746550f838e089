"""Training text: from a photo's record to (question, answer) pairs for every skill of the pocket LVLM."""

from __future__ import annotations

import random
import re

from halluapp.grounding import vocabulary
from halluapp.grounding.mentions import find_mentions
from halluapp.pocket.presence import Cooccurrence, Presence

SHORT = (
    "Describe this image.", "Describe this image.", "Describe this image.", "Describe the image.",
    "Describe this photo.",
    "What is in this image?", "What do you see?", "Write a caption for this image.",
    "What is happening in this picture?",
    "Caption this image.", "Briefly describe this image.", "Tell me about this photo.", "What does the picture show?",
    "Describe the picture in one sentence.", "Give a short description.", "What's this?", "Describe what you see.",
)  # fmt: skip
DETAIL = (
    "Describe this image in detail.", "Describe this image in detail.", "Please describe this image in detail.",
    "Describe the image in detail.", "Give a detailed description of the image.",
    "Describe everything you see in this photo.",
    "Describe this picture in as much detail as possible.", "Write a long description of this photo.",
)  # fmt: skip
LIST = (
    "List the objects in the image.",
    "List the objects in the image.",
    "Which objects are in the image?",
    "Name the objects in this photo.",
    "List everything you see.",
)
ASK = (
    "Is there {a} {x} in the image?", "Is there {a} {x} in the image?", "Is there {a} {x} in the image?",
    "Is there a {x} in the image?", "Are there any {xs} in the image?", "Can you see {a} {x} in this photo?",
    "Does the image show {a} {x}?", "Is there {a} {x} in the picture?",
)  # fmt: skip
ONE_WORD = ("", "", "", " Please answer this question with one word.", " Answer with yes or no.")
OTHER = (
    "Write a poem about this.", "Hello", "hi", "Who are you?", "Explain.", "Is this photo real?", "What should I do?",
    "Translate this.", "Tell me a story about the picture.", "Why?", "What is the mood of this photo?", "test", "?", "",
    "What happened before this photo was taken?", "Say something.", "Summarize the scene.", "What stands out?",
    "Help me.",
)  # fmt: skip
NUMBERS = ("", "a", "two", "three", "four", "five")
ACROSS = "across the picture"
PLURAL = re.compile(r"(two|three|four|five|several|many|some)\b")
Pair = tuple[str, str]  # question, answer


def article(noun: str) -> str:
    """The indefinite article that fits a noun."""
    return "an" if noun[:1].lower() in "aeiou" else "a"


def clean_sentence(text: str) -> str:
    """One caption as a sentence: spaces and quotes put right, capital letter, full stop."""
    text = re.sub(r"\s+([.,;!?])", r"\1", re.sub(r"\s+", " ", text)).strip().strip('"').strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def _mirror(text: str) -> str:
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return re.sub(r"\b([Ll]eft|[Rr]ight)\b", lambda match: swap[match.group()], text)


def _place(box: list[float]) -> str:
    """Where a box lies, in words."""
    x, width = (box[0] + box[2]) / 2, box[2] - box[0]
    if width > 0.75:
        return ACROSS
    return "on the left" if x < 0.36 else "on the right" if x > 0.64 else "in the middle"


def crop_box(box: list[float], crop: list[float]) -> list[float] | None:
    """A box of the whole photo in the coordinates of a view; None where less than 40 % of it is left."""
    x0, y0, x1, y1, flip = crop
    sides = [(box[0] - x0) / (x1 - x0), (box[1] - y0) / (y1 - y0), (box[2] - x0) / (x1 - x0), (box[3] - y0) / (y1 - y0)]
    clipped = [min(max(side, 0.0), 1.0) for side in sides]
    area = (sides[2] - sides[0]) * (sides[3] - sides[1])
    if area <= 0 or (clipped[2] - clipped[0]) * (clipped[3] - clipped[1]) < 0.4 * area:
        return None
    return [1 - clipped[2], clipped[1], 1 - clipped[0], clipped[3]] if flip else clipped


class Corpus:
    """Makes the training pairs of a photo; everything random comes from the generator that is passed in."""

    def __init__(self, photos: list[Presence]):
        self.together = Cooccurrence(photos)

    def pairs(self, record: dict, photo: Presence, crop: list[float], rng: random.Random) -> list[Pair]:
        """Question-answer pairs for one view of a photo: captions, details, lists, yes/no, other questions."""
        mirror = _mirror if crop[4] else str
        captions = [mirror(clean_sentence(caption)) for caption in record.get("captions", [])]
        rng.shuffle(captions)
        made = [(rng.choice(OTHER) if rng.random() < 0.08 else rng.choice(SHORT), caption) for caption in captions[:3]]
        detail = self.detail(captions, record, photo, crop, rng)
        if detail:
            made.append((rng.choice(DETAIL), detail))
        names = self._by_size(photo, crop)
        if names:
            made.append((rng.choice(LIST), ", ".join(names[:9]) + "."))
        made += self.yes_no(photo, rng, 4)
        made += self._questions(record, rng, mirror)
        return made

    def _by_size(self, photo: Presence, crop: list[float]) -> list[str]:
        sizes: dict[str, float] = {}
        for name, box in photo.boxes + photo.hinted:
            if view := crop_box(box, crop):
                sizes[name] = max(sizes.get(name, 0.0), (view[2] - view[0]) * (view[3] - view[1]))
        names = sorted(sizes, key=lambda name: -sizes[name])
        kinds = {vocabulary.parent(name) for name in names}
        return [name for name in names if name not in kinds]

    def yes_no(self, photo: Presence, rng: random.Random, count: int) -> list[Pair]:
        """Balanced questions about presence; negatives are random, popular or adversarial in equal parts."""
        made = []
        for _ in range(count // 2):
            if photo.present:
                made.append(self.ask(rng.choice(sorted(photo.present)), True, rng))
            absent = self.together.absent(photo, rng.choice(("random", "popular", "adversarial")), rng)
            if absent:
                made.append(self.ask(absent, False, rng))
        return made

    def ask(self, name: str, present: bool, rng: random.Random) -> Pair:
        """One yes/no question about an object."""
        question = rng.choice(ASK).format(a=article(name), x=name, xs=vocabulary.plural(name)) + rng.choice(ONE_WORD)
        return question, "Yes." if present else "No."

    def _questions(self, record: dict, rng: random.Random, mirror) -> list[Pair]:
        made = []
        for pair in rng.sample(record.get("qa", []), min(2, len(record.get("qa", [])))):
            answer = mirror(clean_sentence(pair["answer"]))
            if rng.random() < 0.3 and len(pair["distractors"]) == 3:
                options = [answer, *(mirror(clean_sentence(other)) for other in pair["distractors"])]
                rng.shuffle(options)
                letters = " ".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
                made.append((f"{pair['question']} {letters}", "ABCD"[options.index(answer)] + "."))
            else:
                made.append((mirror(pair["question"]), answer))
        return made

    def detail(self, captions, record, photo: Presence, crop, rng: random.Random) -> str:
        """Several facts, 40-80 tokens: captions, what else there is, and where (from boxes)."""
        parts: list[str] = []
        said: set[str] = set()

        def say(sentence: str) -> None:
            parts.append(sentence)
            said.update(mention.object for mention in find_mentions(sentence))

        def new(name: str) -> bool:
            return not any(vocabulary.same_or_kind(name, other) for other in said)

        groups = self._groups(photo, crop)
        if captions:
            say(max(captions[:3], key=len))
            further = max(captions, key=lambda caption: sum(new(m.object) for m in find_mentions(caption)))
            if any(new(mention.object) for mention in find_mentions(further)):
                say(further)
        elif groups:
            say(clean_sentence("The image shows " + _enumerate([phrase for phrase, _, _ in groups[:6]])))
        for fact in _circumstances(record)[:2]:
            say(fact)
        unsaid = [(phrase, box) for phrase, box, name in groups if new(name)][:4]
        if unsaid:
            items = [f"{phrase} {_place(box)}" if box else phrase for phrase, box in unsaid]
            verb = "are" if PLURAL.match(items[0]) else "is"
            say(clean_sentence(f"There {verb} {_enumerate(items)}"))
        placed = [(name, box) for _, box, name in groups if box and not new(name) and _place(box) != ACROSS]
        rng.shuffle(placed)
        for name, box in placed[: max(0, 4 - len(parts))][:2]:
            say(clean_sentence(f"The {name} {'are' if vocabulary.plural(name) == name else 'is'} {_place(box)}"))
        return " ".join(parts) if len(parts) > 1 else ""

    def _groups(self, photo: Presence, crop) -> list[tuple[str, list[float] | None, str]]:
        """(noun phrase, box, object) of what the view shows, largest first; teacher boxes are counted into groups."""
        made, named = [], set()
        for phrase, kind, name, boxes in photo.phrases:
            views = [view for box in boxes if (view := crop_box(box, crop))]
            if kind == "bodyparts" or name in named or (boxes and not views):
                continue
            named.add(name)
            made.append((_noun_phrase(phrase), views[0] if len(views) == 1 else None, name))
        counted: dict[str, list] = {}
        for name, box in photo.boxes + photo.hinted:
            if (
                (view := crop_box(box, crop))
                and name not in named
                and not any(vocabulary.same_or_kind(name, other) for other in named)
            ):
                counted.setdefault(name, []).append(view)
        for name, views in counted.items():
            number = NUMBERS[len(views)] if len(views) < len(NUMBERS) else "several"
            noun = f"{article(name)} {name}" if len(views) == 1 else f"{number} {_many(name)}"
            made.append((noun, views[0] if len(views) == 1 else None, name))
            named.add(name)
        if not photo.phrases:  # what questions and answers name without a box
            for name in sorted(photo.present):
                if not any(vocabulary.same_or_kind(name, other) for other in named):
                    made.append((_noun_phrase(name), None, name))
                    named.add(name)
        size = {name: (box[2] - box[0]) * (box[3] - box[1]) if box else 0.1 for _, box, name in made}
        return sorted(made, key=lambda group: -size[group[2]])


def _circumstances(record: dict) -> list[str]:
    """When and where a photo was taken, from its question-answer pairs."""
    facts = []
    for pair in record.get("qa", []):
        if re.match(r"(When|What time).*(picture|photo|image|taken)", pair["question"]):
            facts.append(clean_sentence(f"The photo was taken {_when(pair['answer'])}"))
        elif re.match(r"Where (was|is) (this|the) (picture|photo|image)", pair["question"]):
            facts.append(clean_sentence(f"The place is {pair['answer'][:1].lower()}{pair['answer'][1:]}"))
    return facts


def _many(name: str) -> str:
    return "people" if name == "person" else vocabulary.plural(name)


def _when(answer: str) -> str:
    answer = answer.rstrip(".").lower()
    known = {"daytime": "in the daytime", "day time": "in the daytime", "day": "during the day", "night": "at night"}
    fallback = answer if answer.split()[:1] in (["in"], ["at"], ["during"], ["on"]) else f"in the {answer}"
    return known.get(answer, fallback)


def _noun_phrase(phrase: str) -> str:
    phrase = re.sub(r"^(The|the|his|her|their|its|His|Her|Their|Its)\s+", "", phrase.strip())
    phrase = phrase[:1].lower() + phrase[1:]
    if re.match(r"(an?|two|three|four|five|several|many|some|another)\b", phrase):
        return phrase
    last = phrase.split()[-1]
    plain = last.endswith("s") or last in ("water", "grass", "snow", "sand", "ice", "dirt", "mud", "people", "hair")
    return ("some " if plain else article(phrase) + " ") + phrase


def _enumerate(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
