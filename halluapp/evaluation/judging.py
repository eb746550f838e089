"""How right the judge is on annotated photos: decode, judge, compare with the truth (`evaluate --verdicts`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from halluapp.data import records, shards
from halluapp.data.photos import read_photo
from halluapp.data.shards import LeftOut
from halluapp.errors import InputError
from halluapp.evaluation import harness, verdicts
from halluapp.evaluation.halves import of_half
from halluapp.grounding.evidence import SURE, evidence_of
from halluapp.grounding.verdicts import judge_text


def evaluate_verdicts(
    data: str | Path | list[shards.Sample],
    methods: Sequence | None = None,
    limit: int = 0,
    seed: int = 0,
    session=None,
    half: str = "all",
    sure: float = SURE,
    answers: Mapping[str, Mapping[str, str]] | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Descriptions of annotated photos by all methods, judged by the session's detector -> `verdicts.report` of them.

    half: "reported" leaves out the photos that the embedded judge was calibrated on, "calibrated" the others (halves
    by the photo's key; of other data than the development sets, take "all"). answers: key -> method -> text, instead of
    decoding. Raises InputError in one sentence.
    """
    panels = harness.create_methods(methods)
    samples, left_out = (of_half(data, half), []) if isinstance(data, list) else harness.read_half(data, half, limit)
    for line in records.described(left_out):
        log(line)
    answer = None if answers is not None else harness.decoder(session, panels)
    rows: list[verdicts.Checked] = []
    photos = 0
    names = [method.name for method in panels]
    for number, sample in enumerate(samples, 1):
        try:
            image = read_photo(sample.jpeg)
        except InputError as error:
            left_out.append(LeftOut(sample.key, str(error)))
            log(f"{sample.key} is left out: {error}")
            continue
        photos += 1
        texts = answers.get(sample.key, {}) if answers is not None else _describe(answer, image)
        evidence = evidence_of(session.detector, image)
        judged = {name: judge_text(texts[name], evidence, sure=sure) for name in names if name in texts}
        rows += verdicts.checked(sample.key, sample.record, judged)
        if number % 20 == 0 or number == len(samples):
            log(f"{number} of {len(samples)} photos")
    return {
        "schema": 1, "data": harness.data_name(data), "half": half, "photos": photos,
        "left_out": [asdict(item) for item in left_out], "sure": sure, "detector": session.detector.name,
        **verdicts.report(rows, seed),
    }  # fmt: skip


def _describe(answer, image) -> dict[str, str]:
    answers = answer(image, [harness.CAPTION_PROMPT], harness.CAPTION_TOKENS)
    if answers.errors and not answers.texts[0]:
        raise InputError(next(iter(answers.errors.values())))
    return answers.texts[0]
