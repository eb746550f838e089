"""Captions of a run's photo, judged as Compare judges answers: by the photo's certain labels, else by the detector."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from halluapp.data.files import write_text
from halluapp.data.photos import read_photo
from halluapp.errors import InputError
from halluapp.grounding.evidence import Evidence, evidence_of
from halluapp.grounding.verdicts import CONTRADICTED, NOT_CHECKABLE, judge_text
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import find_mentions
from halluapp.training.runs import SAMPLE_FACTS, SAMPLE_PHOTO, Run
from halluapp.ui.train import texts


def judged(run: Run, step: int | None) -> dict[str, Any]:
    """Every caption so far with its verdicts, as the board draws it.

    step: of the adapter. "samples": [{"step", "text", "parts": [[text, verdict, reason]], "count", "panel"}];
    "judge": whose eyes, in a sentence ("": nobody's yet).
    """
    facts = _facts(run)
    samples = [
        {"step": sample.get("step"), "text": str(sample.get("text", "")), "panel": sample.get("step") == step,
         **_verdicts(str(sample.get("text", "")), facts)}
        for sample in run.samples()
    ]  # fmt: skip
    content = json.loads(facts)
    judge = texts.BY_LABELS if "objects" in content else texts.BY_DETECTOR.format(**content) if content else ""
    return {"samples": samples, "judge": judge}


def is_judged(run: Run) -> bool:
    """Whether it is known what the photo of the captions shows."""
    return _facts(run) != "{}"


def look(run: Run, detector: Any) -> None:
    """Asks the detector what the photo of the captions shows, and keeps it with the run. Raises InputError."""
    try:
        photo = read_photo(run.folder / SAMPLE_PHOTO)
    except OSError as error:
        raise InputError(texts.NO_CAPTION.format(name=run.name)) from error
    if hasattr(detector, "find"):  # open vocabulary: it is asked for what the captions name
        names = dict.fromkeys(m.object for sample in run.samples() for m in find_mentions(str(sample.get("text", ""))))
        evidence = Evidence(tuple(detector.find(photo, tuple(names))), tuple(names))
    else:
        evidence = evidence_of(detector, photo)
    content = {"detector": detector.name, "evidence": evidence.plain()}
    write_text(run.folder / SAMPLE_FACTS, json.dumps(content, default=str))


def _facts(run: Run) -> str:
    """What is known of the photo, as JSON: objects and labels, or detector and evidence; "{}" while nothing is."""
    try:
        content = json.loads((run.folder / SAMPLE_FACTS).read_text(encoding="utf-8"))
        for names, kinds in ((("objects", "labels"), (list, list)), (("detector", "evidence"), (str, dict))):
            values = [content.get(name) for name in names]
            if "" not in values and all(map(isinstance, values, kinds)):
                return json.dumps({name: content[name] for name in names})
    except (OSError, ValueError, AttributeError):
        pass
    return "{}"


@lru_cache(maxsize=8)
def _evidence(facts: str) -> Evidence:
    content = json.loads(facts)
    if content.get("objects") is None:
        return Evidence.of(content["evidence"])
    objects, labels = content["objects"], content["labels"]
    presence = {name: float(any(vocabulary.same_or_kind(name, other) for other in objects)) for name in labels}
    return Evidence(labels=tuple(labels), presence=presence)


@lru_cache(maxsize=4096)
def _verdicts(text: str, facts: str) -> dict[str, Any]:
    """parts: the text in pieces with verdict and reason; count: how many things are named, and are not there."""
    if facts == "{}":
        return {"parts": [[text, "", ""]], "count": ""}
    mentions = judge_text(text, _evidence(facts))
    parts, end = [], 0
    by_labels = "objects" in json.loads(facts)
    for mention in mentions:
        reason = texts.LABEL_REASONS[mention["verdict"]] if by_labels else mention["reason"] or ""
        parts.append([text[end : mention["start"]], "", ""])
        parts.append([text[mention["start"] : mention["end"]], mention["verdict"], reason])
        end = mention["end"]
    checked = {m["object"]: m["verdict"] for m in mentions if m["verdict"] != NOT_CHECKABLE}
    wrong = sum(verdict == CONTRADICTED for verdict in checked.values())
    parts = [part for part in [*parts, [text[end:], "", ""]] if part[0]]
    return {"parts": parts, "count": texts.COUNT.format(named=len(checked), wrong=wrong) if checked else ""}
