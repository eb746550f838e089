"""Truthful and hallucinated captions of the same photo: one object swapped for one that is absent but usually near."""

from __future__ import annotations

import random
from dataclasses import dataclass

from halluapp.data.wording import article
from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import ANIMALS, find_mentions
from halluapp.recipes.pocket.corpus import Corpus

# An object is swapped for one of its own kind, so that the hallucinated caption stays a plausible sentence.
KINDS = (
    ANIMALS,
    {"bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "tractor", "helicopter", "cart"},
    {"shirt", "jacket", "sweater", "vest", "dress", "skirt", "suit", "uniform", "swimsuit", "costume", "hat", "helmet",
     "scarf", "collar", "tie", "backpack"},
    {"pants", "jeans", "shorts", "sunglasses", "glasses"},
    {"ocean", "beach", "lake", "river", "pool", "field", "hill", "mountain", "forest", "street", "sidewalk", "path",
     "track", "building", "house", "store", "park", "yard", "playground", "bridge", "stage"},
    {"water", "sand", "snow", "grass", "mud", "ice"},
)  # fmt: skip


def _kind(name: str) -> int:
    return next((index for index, kind in enumerate(KINDS) if name in kind), -1)


@dataclass(frozen=True)
class CaptionPair:
    """key: the photo's; truthful and hallucinated have the same number of tokens and differ in one object."""

    key: str
    question: str
    truthful: str
    hallucinated: str
    swapped: tuple[str, str]


def swap_object(
    text: str, photo: AnnotatedObjects, corpus: Corpus, tokenizer, rng: random.Random
) -> tuple[str, tuple[str, str]] | None:
    """Replaces one named object by an absent, co-occurring one of equal token length -> (text, (old, new)) or None.

    Equal lengths matter: otherwise the first direction of the HalluSpace can encode caption length.
    """
    mentions = [m for m in find_mentions(text) if m.object not in vocabulary.PEOPLE]
    rng.shuffle(mentions)
    for mention in mentions:
        many = mention.text.lower() == vocabulary.plural(mention.object) != mention.object
        for _ in range(30):
            absent = corpus.cooccurrence.absent(photo, "adversarial", rng)
            if absent is None or absent in vocabulary.PEOPLE or _kind(absent) != _kind(mention.object):
                continue
            word = vocabulary.plural(absent) if many else absent
            changed_text = _replace(text, mention.start, mention.end, word)
            if len(tokenizer.encode(" " + changed_text)) == len(tokenizer.encode(" " + text)):
                return changed_text, (mention.object, absent)
    return None


def _replace(text: str, start: int, end: int, word: str) -> str:
    before = text[:start]
    for indefinite in ("a ", "an ", "A ", "An "):
        if before.endswith(" " + indefinite) or before == indefinite:
            fitting = article(word) + " "
            before = before[: -len(indefinite)] + (fitting.capitalize() if indefinite[0] == "A" else fitting)
            break
    return before + word + text[end:]


def make_pairs(keys, records, photos, corpus: Corpus, tokenizer, count: int, seed: int) -> list[CaptionPair]:
    """Up to `count` pairs from detailed descriptions and captions of the training photos, seeded."""
    rng = random.Random(f"pairs/{seed}")
    order = list(range(len(keys)))
    rng.shuffle(order)
    pairs: list[CaptionPair] = []
    for row in order:
        whole = [0.0, 0.0, 1.0, 1.0, 0.0]
        captions = list(records[row].get("captions", []))
        rng.shuffle(captions)
        detailed = len(pairs) % 2 == 0 or not captions
        text = corpus.detail(captions, records[row], photos[row], whole, rng) if detailed else (captions or [""])[0]
        swapped = swap_object(text, photos[row], corpus, tokenizer, rng) if text else None
        if swapped:
            question = "Describe this image in detail." if detailed else "Describe this image."
            pairs.append(CaptionPair(keys[row], question, text, *swapped))
        if len(pairs) == count:
            break
    return pairs
