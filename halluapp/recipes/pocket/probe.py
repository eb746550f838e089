"""What the embedded model can do, measured on photos and questions that it was not trained on.

`python -m halluapp.recipes.pocket probe --data DIR` prints one table: animals named right on the single-category photos
that are kept out (`sets.kept_out`), questions refused or answered as they should be, and the detailed descriptions of
one half of the development photos (halves as `evaluate --half`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from halluapp.data import shards
from halluapp.data.photos import read_photo
from halluapp.evaluation import chair, harness
from halluapp.evaluation.halves import of_half
from halluapp.grounding.words.mentions import find_mentions
from halluapp.recipes.pocket import sets
from halluapp.recipes.pocket.prompts import REFUSALS

DEV = {"coco-dev": "coco-dev-000.tar", "flickr8k-dev": "flickr8k-dev-000.tar"}
TOKENS, SHORT_TOKENS = 80, 24
ANIMAL_QUESTION = "What animal is this?"
# None of these is asked in training (`prompts`); a test holds that.
UNANSWERABLE = (
    "What does the poster say?", "Please read the letters on the wall.", "What is written on the truck?",
    "What does the text on the hat mean?", "What is the man's name?", "Do you recognise this person?",
    "Which actor is this?", "What happened five minutes earlier?", "What will he do afterwards?",
    "How much did this cost?", "What is the price?", "How old is this boy?", "Which year is it?",
    "Translate this into Spanish.", "Write a JavaScript function.", "What is 5 plus 8?", "Write a song.",
    "Who is the president?", "What is the model of the camera?", "Hi there",
)  # fmt: skip
ANSWERABLE = (
    "Describe the photo.", "Can you describe what is going on?", "Is there a person in this photo?",
    "Do you see a dog?", "Is there a car here?", "How many people are in this picture?",
    "What color is the shirt in the photo?", "Where was this photo taken?", "What are the people doing?",
    "What things are in the picture?", "Please describe the scene in a few sentences.", "What's in the photo?",
    "Which animals are in the picture?", "Is it outdoors?", "Where is the man?", "What is the person holding?",
    "Describe the background.", "What stands at the left edge?", "Is the photo taken at night?", "Who is in the photo?",
)  # fmt: skip
REFUSED = re.compile("|".join(re.escape(answer.rstrip(".")) for answer, _ in REFUSALS))


def measure(session, data: Path, half: str = "calibrated", limit: int = 0, log=print) -> dict[str, Any]:
    """All figures of one model. limit: photos of a development set (0: all of the half)."""
    answer = harness.decoder(session, harness.create_methods(["baseline"]))

    def say(photo, prompts, tokens: int) -> list[str]:
        return [texts["baseline"] for texts in answer(photo, prompts, tokens).texts]

    result: dict[str, Any] = {"animals": animals(say, data), "half": half}
    log(f"animals {result['animals']}")
    for name, shard in DEV.items():
        samples = of_half(harness.annotated_samples(data / shard), half)
        result[name] = descriptions(say, samples[:limit] if limit else samples)
        log(f"{name} {result[name]}")
        if name == "coco-dev":
            result["refusals"] = refusals(say, samples[:10])
            log(f"refusals {result['refusals']}")
    return result


def animals(say, data: Path) -> dict[str, Any]:
    """Share of the kept-out animal photos whose animal is named, in the answer to "What animal is this?" and in a
    description; the coarse or the fine name counts."""
    result = {}
    for name in sets.KEPT_OUT:
        samples = list(shards.read(data, name + "-*"))
        by_question = by_description = 0
        rows = sets.kept_out(name, [sample.record for sample in samples])
        for row in rows:
            category = sets.category_of(samples[row].record)
            texts = say(read_photo(samples[row].jpeg), [ANIMAL_QUESTION, "Describe this image."], SHORT_TOKENS)
            right = [any(names(text, word) for word in (category.name, category.fine)) for text in texts]
            by_question, by_description = by_question + right[0], by_description + right[1]
        result[name] = {"photos": len(rows), "asked": by_question, "described": by_description}
    return result


def names(text: str, name: str) -> bool:
    """Whether a text names a thing, in the singular or with an s, as a word or by our vocabulary's words for it."""
    word = re.search(rf"\b{re.escape(name)}(s|es)?\b", text, re.IGNORECASE)
    return bool(word) or any(mention.object == name for mention in find_mentions(text))


def refusals(say, samples) -> dict[str, Any]:
    """How many questions without an answer are refused, and how many with one are answered; empty answers."""
    counts: Counter[str] = Counter()
    for sample in samples:
        texts = say(read_photo(sample.jpeg), [*UNANSWERABLE, *ANSWERABLE], SHORT_TOKENS)
        refused = [bool(REFUSED.search(text)) for text in texts]
        counts["refused rightly"] += sum(refused[: len(UNANSWERABLE)])
        counts["refused wrongly"] += sum(refused[len(UNANSWERABLE) :])
        counts["empty"] += sum(not text.strip() for text in texts)
    return {
        **counts, "unanswerable": len(UNANSWERABLE) * len(samples), "answerable": len(ANSWERABLE) * len(samples),
    }  # fmt: skip


def descriptions(say, samples) -> dict[str, Any]:
    """CHAIR of detailed descriptions, and the share of them that name one object three times or more."""
    texts = [say(read_photo(sample.jpeg), [harness.CAPTION_PROMPT], TOKENS)[0] for sample in samples]
    vocabulary = chair.vocabulary_of([sample.record for sample in samples])
    mentions = [chair.object_mentions(text, vocabulary) for text in texts]
    score = chair.chair(
        mentions,
        [chair.truth_of(sample.record, vocabulary) for sample in samples],
        [chair.count_words(text) for text in texts],
        vocabulary,
    )
    return {
        "photos": len(samples), "chair_i": round(score.chair_i, 4), "chair_s": round(score.chair_s, 4),
        "recall": round(score.recall, 4), "correct_objects": round(score.correct_objects_per_caption, 4),
        "words": round(score.length, 2),
        "repeats": round(score.repetition, 4),
        "empty": sum(not text.strip() for text in texts), "examples": texts[:5],
    }  # fmt: skip


def run(session, data: Path, half: str, limit: int, log=print) -> None:
    """Measures and prints JSON."""
    print(json.dumps(measure(session, data, half, limit, log), indent=1))
