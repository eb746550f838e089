"""Preference pairs on disk -> a HalluSpace file: what the command `halluspace` and the page's button do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from halluapp.data.pairs import Pair, iter_pairs
from halluapp.errors import InputError
from halluapp.session import load_session
from halluapp.settings import Settings

if TYPE_CHECKING:
    from halluapp.lvlm.base import LVLM, HalluSpace

LOG_EVERY = 20  # pairs
POOLING = "answer_mean"


@dataclass(frozen=True)
class Progress:
    """So many pairs are done, of so many (None: not counted yet); reused: of them, from a run that was ended."""

    done: int
    total: int | None
    reused: int


@dataclass(frozen=True)
class Computed:
    """The end: the HalluSpace and its file."""

    space: HalluSpace
    file: Path


def parse_layers(text: str, count: int) -> list[int]:
    """ "A-B" -> zero-based layers, both included; "" -> the upper half of `count`. Raises InputError."""
    if not text:
        return list(range(count // 2, count))
    first, _, last = text.partition("-")
    numbers = [part for part in (first, last or first) if part.isascii() and part.isdigit() and len(part) < 6]
    if len(numbers) < 2 or not int(numbers[0]) <= int(numbers[1]) < count:
        raise InputError(f"Layers must be A-B with 0 <= A <= B < {count}, not {text!r}.")
    return list(range(int(numbers[0]), int(numbers[1]) + 1))


def compute_from_file(
    pairs_file: Path, out: Path | None, settings: Settings, rank: int, layers: str, pooling: str, limit: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> tuple[HalluSpace, Path]:  # fmt: skip
    """Computes and writes the HalluSpace -> (it, its file); its `about` is in the file's metadata.

    out: None: where the model looks for it. limit: first pairs only. log: gets a line every LOG_EVERY pairs. Raises
    InputError.
    """
    from halluapp.training.hallu_space import compute
    from halluapp.training.pairs.lengths import check_lengths

    if limit < 0:
        raise InputError(f"The limit must be 0 (all pairs) or more, not {limit}.")
    # A bad file is refused before a model is loaded for nothing; photos of a parquet file are read a few at a time.
    in_file = pairs_file.suffix == ".parquet"
    pairs = iter_pairs(pairs_file, check_photos=not in_file, limit=limit)
    rows: Iterable[Pair]
    if in_file:
        rows = chain([next(pairs)], pairs)
        compute.check_rank(rank, None)
    else:
        rows = every_pair = list(pairs)
        compute.check_rank(rank, len(every_pair))
        check_lengths(every_pair, settings.model, settings.assets)
    lvlm = load_session(settings).lvlm
    for event in compute_for(lvlm, rows, out, settings.assets, rank, layers, pooling):
        if isinstance(event, Computed):
            return event.space, event.file
        if event.done % LOG_EVERY == 0 or event.done == event.total:
            log(_line(event))
    raise InputError(f"{pairs_file.name} holds no pairs.")


def compute_for(
    lvlm: LVLM, pairs: Iterable[Pair], out: Path | None, assets: Path, rank: int = 8, layers: str = "",
    pooling: str = POOLING,
) -> Iterator[Progress | Computed]:  # fmt: skip
    """The HalluSpace of a loaded model: an event a pair, and at the end what was written; the model has it at once.

    out: None: where the model looks for it. What an ended process has computed for `out` is not computed again.
    Closing the iterator ends the work between two pairs. Raises InputError.
    """
    from halluapp.lvlm.sidecar_files import SPACE, save_space, writable_folder
    from halluapp.training.hallu_space import compute
    from halluapp.training.hallu_space.kept_states import KeptStates

    compute.check_pooling(pooling)
    chosen = parse_layers(layers, len(lvlm.layers))
    total = len(pairs) if isinstance(pairs, list) else None
    compute.check_rank(rank, total)
    file = out or writable_folder(lvlm, assets) / SPACE  # refused before the pairs are read, not after
    store, states, reused = KeptStates(file, lvlm, chosen, pooling), [], 0
    for done, pair in enumerate(pairs, 1):
        one = store.read(pair)
        reused += store.was_there(pair)
        if one is None:
            visual = lvlm.encode_image(pair.open())
            one = compute.pair_states(lvlm, visual, pair.question, pair.chosen, pair.rejected, chosen, pooling)
            store.write(pair, one)
        states.append(one)
        yield Progress(done, total, reused)
    space = compute.space_of_states(lvlm, states, chosen, rank, pooling)
    save_space(space, file)
    store.remove()
    if out is None:
        lvlm.spaces["default"] = space
    yield Computed(space, file)


def _line(event: Progress) -> str:
    total = "" if event.total is None else f" of {event.total}"
    again = f" ({event.reused} were there already)" if event.reused else ""
    return f"pair {event.done}{total}{again}"
