"""The `calibrate` command: pairs on disk -> a HalluSpace file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from halluapp.errors import InputError
from halluapp.photos import read_photo
from halluapp.settings import Settings


def read_pairs(path: Path) -> list[dict]:
    """JSONL with image, question, chosen, rejected. Raises InputError that names the bad line."""
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"Line {number} of {path.name} is not JSON ({error}).") from error
        missing = [key for key in ("image", "question", "chosen", "rejected") if not isinstance(row.get(key), str)]
        if missing:
            raise InputError(f"Line {number} of {path.name} lacks {', '.join(missing)}.")
        pairs.append(row)
    if not pairs:
        raise InputError(f"{path.name} holds no pairs.")
    return pairs


def parse_layers(text: str, count: int) -> list[int]:
    """ "A-B" -> zero-based layers, both included; "" -> the upper half of `count`. Raises InputError."""
    if not text:
        return list(range(count // 2, count))
    first, _, last = text.partition("-")
    if not (first.isdigit() and (last or first).isdigit()) or not int(first) <= int(last or first) < count:
        raise InputError(f"Layers must be A-B with 0 <= A <= B < {count}, not {text!r}.")
    return list(range(int(first), int(last or first) + 1))


def run(pairs_file: Path, out: Path, settings: Settings, rank: int, layers: str, pooling: str) -> str:
    """Computes and writes the HalluSpace -> one line about it."""
    from halluapp import comparison
    from halluapp.lvlm.catalog import save_space
    from halluapp.training import hallu_space

    rows = read_pairs(pairs_file)
    lvlm = comparison.load(settings).lvlm

    def pairs() -> Iterator[tuple]:
        for row in rows:
            yield (
                lvlm.look(read_photo(pairs_file.parent / row["image"])),
                row["question"],
                row["chosen"],
                row["rejected"],
            )

    space = hallu_space.compute(lvlm, pairs(), parse_layers(layers, len(lvlm.layers)), rank, pooling)
    save_space(space, out)
    return f"wrote {out}: {space.about['pairs']} pairs, layers {sorted(space.layers)}, rank {rank}"
