"""What happens to a word when a part of the photo is covered: patch by patch, or a box, or all of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageStat

from halluapp.decoding import engine
from halluapp.decoding.events import Decoded, Failed
from halluapp.decoding.forced import final_states
from halluapp.decoding.plan import Sampling
from halluapp.decoding.views import Views
from halluapp.errors import InputError
from halluapp.inspection.answer import WORD
from halluapp.inspection.evidence import main_prefix, token_logps
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.families.grids import WHOLE, Box
from halluapp.methods.base import Method

COARSE, FINE = 16, 3  # cells of the first round at most; how many of them are covered part by part in the second
BATCH = 8  # rows that are read together; between two batches whoever asked may leave
MOST_TOKENS = 131_072  # that one question may read: rows times photo, prompt and answer
COSTLY = (
    "Covering the photo part by part takes up to {rows} rows of {length:,} tokens, and one question may read {most:,}; "
    "use a smaller photo, or ask about a word nearer to the beginning."
)
LEFT = "Whoever asked left before all parts of the photo were covered."
FALLBACK = (8, 8)  # of a family whose visual tokens are no patches


@dataclass(frozen=True)
class Cell:
    """A rectangle of patches: its first row and column, and those behind its last ones."""

    top: int
    left: int
    bottom: int
    right: int

    def quarters(self) -> list[Cell]:
        """Its four parts, two where it is one patch high or wide, itself where it is one patch."""
        middle, centre = (self.top + self.bottom + 1) // 2, (self.left + self.right + 1) // 2
        rows = [(self.top, middle), (middle, self.bottom)]
        columns = [(self.left, centre), (centre, self.right)]
        return [
            Cell(top, left, bottom, right)
            for top, bottom in rows
            for left, right in columns
            if top < bottom and left < right
        ]


@dataclass(frozen=True)
class PatchGrid:
    """The finest grid of a family's patches over the part of the photo that it sees."""

    rows: int
    columns: int
    region: Box = WHOLE

    @classmethod
    def of(cls, boxes: Sequence[Box | None]) -> PatchGrid:
        """The grid of these patches; `FALLBACK` without any."""
        patches = [box for box in boxes if box]
        if not patches:
            return cls(*FALLBACK)
        x0, y0 = (min(box[index] for box in patches) for index in (0, 1))
        x1, y1 = (max(box[index] for box in patches) for index in (2, 3))
        width, height = (min(box[index + 2] - box[index] for box in patches) for index in (0, 1))
        return cls(round((y1 - y0) / height), round((x1 - x0) / width), (x0, y0, x1, y1))

    def cells(self, most: int) -> list[Cell]:
        """At most `most` cells, squares of as many patches as it takes, which cover the grid."""
        side = 1
        while math.ceil(self.rows / side) * math.ceil(self.columns / side) > most:
            side += 1
        return [
            Cell(row, column, min(row + side, self.rows), min(column + side, self.columns))
            for row in range(0, self.rows, side)
            for column in range(0, self.columns, side)
        ]

    def box(self, cell: Cell) -> Box:
        """Where a cell lies in the photo."""
        x0, y0, x1, y1 = self.region
        right, down = (x1 - x0) / self.columns, (y1 - y0) / self.rows
        return x0 + right * cell.left, y0 + down * cell.top, x0 + right * cell.right, y0 + down * cell.bottom


def cover(photo: Image.Image, box: Sequence[float]) -> Image.Image:
    """The photo with a box [x0, y0, x1, y1 in 0..1] filled with its mean colour."""
    colour = tuple(round(value) for value in ImageStat.Stat(photo).mean)
    (x0, y0, x1, y1), (width, height) = box, photo.size
    corners = (math.floor(x0 * width), math.floor(y0 * height), math.ceil(x1 * width), math.ceil(y1 * height))
    copy = photo.copy()
    copy.paste(colour, corners)
    return copy


def occlusion(
    lvlm: LVLM,
    photo: Image.Image,
    prompt: str,
    method: Method,
    ids: Sequence[int],
    first: int,
    last: int,
    seed: int = 0,
    stop: Callable[[], bool] = bool,
) -> dict[str, Any]:
    """How much log p of a word falls when each cell of the photo is covered -> {"cells": [{"box", "value"}], "logp"}.

    value: log p with the photo - log p with the cell covered, in nats, above 0 where the cell speaks for the word; all
    in the main row of the method, behind the answer's own beginning. Cells are whole patches of the family's grid,
    `COARSE` at most; the `FINE` that speak most for the word give way to their quarters, so that a map takes half the
    passes of the vision tower. Source: Zeiler & Fergus, ECCV 2014.

    stop: asked between batches of rows. Raises InputError once it is true, and for more than MOST_TOKENS.
    """
    method.prepare(lvlm)
    clean = Views(lvlm, photo, seed)
    count = len(lvlm.visual_tokens(clean.clean, prompt))
    grid = PatchGrid.of(lvlm.token_boxes(clean.clean, count, photo.size))

    coarse = grid.cells(COARSE)
    _check_cost(1 + len(coarse) + 4 * FINE, count + len(lvlm.tokenizer.encode(prompt)) + last)

    def logps(pictures: list[Views]) -> list[float]:
        return [
            value
            for start in range(0, len(pictures), BATCH)
            for value in _word_logps(lvlm, method, prompt, pictures[start : start + BATCH], ids, first, last, stop)
        ]

    def covered(parts: list[Cell]) -> list[Views]:
        return [Views(lvlm, cover(photo, grid.box(part)), seed) for part in parts]

    base, *values = logps([clean, *covered(coarse)])
    ranking = sorted(zip(values, coarse, strict=True), key=lambda pair: pair[0])
    quarters = [part for _, cell in ranking[:FINE] for part in cell.quarters()]
    pairs = [*ranking[FINE:], *zip(logps(covered(quarters)), quarters, strict=True)]
    return {"cells": [{"box": list(grid.box(cell)), "value": base - logp} for logp, cell in pairs], "logp": base}


def _check_cost(rows: int, length: int) -> None:
    """Raises InputError for rows of so many tokens that are more than a question may read."""
    if rows * length > MOST_TOKENS:
        raise InputError(COSTLY.format(rows=rows, length=length, most=MOST_TOKENS))


def _word_logps(
    lvlm: LVLM, method: Method, prompt: str, pictures: list[Views], ids: Sequence[int], first: int, last: int,
    stop: Callable[[], bool],
) -> list[float]:  # fmt: skip
    """log p of the tokens `first` to `last` for each picture, in one batch. Raises InputError once stop() is true."""
    if stop():
        raise InputError(LEFT)
    prefixes = [main_prefix(method, prompt, job) for job in range(len(pictures))]
    states = final_states(lvlm, prefixes, [prompt] * len(pictures), pictures, ids[:last], last - first + 1)
    tokens = ids[first : last + 1]
    return [
        float(token_logps(lvlm, state, tokens, prefix.intervention).sum())
        for state, prefix in zip(states, prefixes, strict=True)
    ]


def counterfactual(
    lvlm: LVLM,
    photo: Image.Image,
    prompt: str,
    method: Method,
    sampling: Sampling,
    text: str,
    box: Sequence[float] = WHOLE,
    stop: Callable[[], bool] = bool,
) -> dict[str, Any]:
    """Covers a box of the photo, or all of it, and answers again -> {"box", "text", "words": [[word, survives]]}.

    text: the answer to the whole photo, whose words survive where the new answer has them too. stop: asked after
    every token. Raises InputError once it is true.
    """
    job, answer = engine.Job(Views(lvlm, cover(photo, box), sampling.seed), prompt, [method]), ""
    for event in engine.decode(lvlm, job, sampling):
        if stop():
            raise InputError(LEFT)
        if isinstance(event, Decoded):
            answer = event.text
        elif isinstance(event, Failed):
            raise InputError(event.error)
    left = {match[0].lower() for match in WORD.finditer(answer)}
    words = [[match[0], match[0].lower() in left] for match in WORD.finditer(text)]
    return {"box": list(box), "text": answer, "words": words}
