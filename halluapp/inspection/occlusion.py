"""What happens to a word when a part of the photo is covered: patch by patch, or a box, or all of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from halluapp.lvlm.families.grids import WHOLE, Box, grid_boxes
from halluapp.methods.base import Method

MOST_CELLS = 64  # covered one at a time; a finer grid is joined into cells of several patches
FALLBACK = (8, 8)  # of a family whose visual tokens are no patches


def cover(photo: Image.Image, box: Sequence[float]) -> Image.Image:
    """The photo with a box [x0, y0, x1, y1 in 0..1] filled with its mean colour."""
    colour = tuple(round(value) for value in ImageStat.Stat(photo).mean)
    (x0, y0, x1, y1), (width, height) = box, photo.size
    corners = (math.floor(x0 * width), math.floor(y0 * height), math.ceil(x1 * width), math.ceil(y1 * height))
    copy = photo.copy()
    copy.paste(colour, corners)
    return copy


def cells(boxes: Sequence[Box | None], most: int = MOST_CELLS) -> list[Box]:
    """A grid of at most `most` cells over the patches of a family, whole patches each; `FALLBACK` without patches."""
    patches = [box for box in boxes if box]
    if not patches:
        return grid_boxes(*FALLBACK)
    region = tuple(edge([box[index] for box in patches]) for index, edge in enumerate((min, min, max, max)))
    width, height = (min(box[index + 2] - box[index] for box in patches) for index in (0, 1))
    rows, columns = round((region[3] - region[1]) / height), round((region[2] - region[0]) / width)
    side = 1
    while math.ceil(rows / side) * math.ceil(columns / side) > most:
        side += 1
    down, right = (region[3] - region[1]) / rows, (region[2] - region[0]) / columns
    return [
        (
            region[0] + right * column,
            region[1] + down * row,
            region[0] + right * min(column + side, columns),
            region[1] + down * min(row + side, rows),
        )
        for row in range(0, rows, side)
        for column in range(0, columns, side)
    ]


def occlusion(
    lvlm: LVLM,
    photo: Image.Image,
    prompt: str,
    method: Method,
    ids: Sequence[int],
    first: int,
    last: int,
    seed: int = 0,
) -> dict[str, Any]:
    """How much log p of a word falls when each cell of the photo is covered -> {"cells": [{"box", "value"}], "logp"}.

    value: log p with the photo - log p with the cell covered, in nats, above 0 where the cell speaks for the word; all
    in the main row of the method, behind the answer's own beginning. Source: Zeiler & Fergus, ECCV 2014.
    """
    method.prepare(lvlm)
    clean = Views(lvlm, photo, seed)
    count = len(lvlm.visual_tokens(clean.clean, prompt))
    boxes = cells(lvlm.token_boxes(clean.clean, count, photo.size))
    views = [clean, *(Views(lvlm, cover(photo, box), seed) for box in boxes)]
    prefixes = [main_prefix(method, prompt, job) for job in range(len(views))]
    states = final_states(lvlm, prefixes, [prompt] * len(views), views, ids[:last], last - first + 1)
    logps = [float(token_logps(lvlm, state, ids[first : last + 1]).sum()) for state in states]
    values = [{"box": list(box), "value": logps[0] - logp} for box, logp in zip(boxes, logps[1:], strict=True)]
    return {"cells": values, "logp": logps[0]}


def counterfactual(
    lvlm: LVLM,
    photo: Image.Image,
    prompt: str,
    method: Method,
    sampling: Sampling,
    text: str,
    box: Sequence[float] = WHOLE,
) -> dict[str, Any]:
    """Covers a box of the photo, or all of it, and answers again -> {"box", "text", "words": [[word, survives]]}.

    text: the answer to the whole photo, whose words survive where the new answer has them too.
    """
    job, answer = engine.Job(Views(lvlm, cover(photo, box), sampling.seed), prompt, [method]), ""
    for event in engine.decode(lvlm, job, sampling):
        if isinstance(event, Decoded):
            answer = event.text
        elif isinstance(event, Failed):
            raise InputError(event.error)
    left = {match[0].lower() for match in WORD.finditer(answer)}
    words = [[match[0], match[0].lower() in left] for match in WORD.finditer(text)]
    return {"box": list(box), "text": answer, "words": words}
