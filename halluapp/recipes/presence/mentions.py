"""What the LVLM says about photos, as questions to the detector: which label of which photo, by how many methods."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halluapp.data import shards
from halluapp.evaluation.detection import truth_of
from halluapp.grounding.words.mentions import find_mentions
from halluapp.recipes.presence.labels import LABELS, label_of

ANSWERED = {"coco-dev": 0, "flickr8k-dev": 400}  # how many photos of a set are described (0: all)


@dataclass(frozen=True)
class Named:
    """A label that at least one method named on a photo, whether it is there, and which methods named it."""

    data: str
    photo: str
    label: str
    present: bool
    methods: tuple[str, ...]


def answers(data: Path, file: Path, limit: int = 0, log=print) -> None:
    """Writes what the default panels of the embedded LVLM say about the dev photos, a line a photo; resumable."""
    from halluapp.data.photos import read_photo
    from halluapp.evaluation import harness

    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    done = {json.loads(line)["key"] for line in lines}
    todo = [
        (name, sample)
        for name, most in ANSWERED.items()
        for _, sample in zip(range(min(limit or 10**9, most or 10**9)), _shard(data, name), strict=False)
        if sample.key not in done
    ]
    answer = _panels() if todo else None
    with open(file, "a", encoding="utf-8") as out:
        for number, (name, sample) in enumerate(todo, 1):
            texts = answer(read_photo(sample.jpeg), [harness.CAPTION_PROMPT], harness.CAPTION_TOKENS).texts[0]
            out.write(json.dumps({"data": name, "key": sample.key, "texts": texts}) + "\n")
            out.flush()
            if number % 50 == 0:
                log(f"answers: {number} of {len(todo)}", flush=True)


def _panels():
    """The default panels of the embedded LVLM, greedy."""
    from halluapp.evaluation import harness
    from halluapp.methods import registry
    from halluapp.session import load_session
    from halluapp.settings import Settings

    panels = [registry.create(name) for name in registry.defaults()]
    return harness.decoder(load_session(Settings()), panels, {})


def _shard(data: Path, name: str) -> Iterable[shards.Sample]:
    return shards.read(data, f"{name}-*") if list(data.glob(f"{name}-*.tar")) else ()


def named(file: Path, records: Callable[[str, str], Mapping[str, Any] | None]) -> list[Named]:
    """The checkable labels of all answers whose truth is certain. records: by data name and key, None: not wanted."""
    named_labels = []
    for line in file.read_text(encoding="utf-8").splitlines():
        answer = json.loads(line)
        record = records(answer["data"], answer["key"])
        if record is not None:
            named_labels += _of_photo(answer, record)
    return named_labels


def _of_photo(answer: Mapping[str, Any], record: Mapping[str, Any]) -> list[Named]:
    truth, methods = truth_of(record), {}
    for method, text in answer["texts"].items():
        for label in {label_of(mention.object) for mention in find_mentions(text)} & set(LABELS):
            if label in truth.present or label not in truth.uncertain:
                methods.setdefault(label, []).append(method)
    return [
        Named(answer["data"], answer["key"], label, label in truth.present, tuple(by))
        for label, by in sorted(methods.items())
    ]
