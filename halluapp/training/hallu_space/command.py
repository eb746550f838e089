"""The `halluspace` command: preference pairs on disk -> a HalluSpace file."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from halluapp.data.pairs import iter_pairs
from halluapp.errors import InputError
from halluapp.session import load_session
from halluapp.settings import Settings

if TYPE_CHECKING:
    from halluapp.lvlm.base import HalluSpace


def parse_layers(text: str, count: int) -> list[int]:
    """ "A-B" -> zero-based layers, both included; "" -> the upper half of `count`. Raises InputError."""
    if not text:
        return list(range(count // 2, count))
    first, _, last = text.partition("-")
    if not (first.isdigit() and (last or first).isdigit()) or not int(first) <= int(last or first) < count:
        raise InputError(f"Layers must be A-B with 0 <= A <= B < {count}, not {text!r}.")
    return list(range(int(first), int(last or first) + 1))


def compute_from_file(
    pairs_file: Path, out: Path | None, settings: Settings, rank: int, layers: str, pooling: str, limit: int = 0
) -> tuple[HalluSpace, Path]:
    """Computes and writes the HalluSpace -> (it, its file); its `about` is in the file's metadata.

    out: None: where the model looks for it. limit: first pairs only. Raises InputError.
    """
    from halluapp.lvlm.sidecar_files import SPACE, save_space, writable_folder
    from halluapp.training.hallu_space import compute
    from halluapp.training.pairs.lengths import check_lengths

    # A bad file is refused before a model is loaded for nothing; photos of a parquet file are read a few at a time.
    in_file = pairs_file.suffix == ".parquet"
    rows = iter_pairs(pairs_file, check_photos=not in_file, limit=limit)
    rows = chain([next(rows)], rows) if in_file else list(rows)
    if not in_file:
        check_lengths(rows, settings.model, settings.assets)
    lvlm = load_session(settings).lvlm
    file = out or writable_folder(lvlm, settings.assets) / SPACE  # refused before the pairs are read, not after
    each = ((lvlm.encode_image(row.open()), row.question, row.chosen, row.rejected) for row in rows)
    space = compute.compute_hallu_space(lvlm, each, parse_layers(layers, len(lvlm.layers)), rank, pooling)
    save_space(space, file)
    if out is None:
        lvlm.spaces["default"] = space
    return space, file
