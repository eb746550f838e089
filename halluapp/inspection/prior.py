"""The prior probe of VDD: how an answer would begin with the photo, with noise, black, white, nothing, or <unk>."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from halluapp.decoding.forced import final_states
from halluapp.decoding.plan import Prefix
from halluapp.decoding.views import Views
from halluapp.lvlm.base import LVLM

ANSWERS = 15
VIEWS = ("photo", "noise", "black", "white", "none", "unk")


def stand_in(name: str, size: tuple[int, int], seed: int = 0) -> Image.Image:
    """A picture that says nothing, of `size` (width, height): "noise" (uniform, the same for a seed), "black", "white".

    Source: Zhang et al. 2024 (arXiv 2403.05262), section 3.
    """
    if name == "noise":
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        return Image.fromarray(pixels)
    return Image.new("RGB", size, name)


def prior_probe(
    lvlm: LVLM, photo: Image.Image, prompt: str, seed: int = 0, views: Views | None = None
) -> list[dict[str, Any]]:
    """The most probable first tokens of the plain model's answer in every view -> [{"view", "top": [[text, p]]}]."""
    pictures = [Views(lvlm, stand_in(name, photo.size, seed), seed) for name in ("noise", "black", "white")]
    everything = [views or Views(lvlm, photo, seed), *pictures]
    prefixes = [Prefix(job, "photo", None) for job in range(4)] + [Prefix(0, view, None) for view in ("none", "unk")]
    states = final_states(lvlm, prefixes, [prompt] * 4, everything, (), 1)
    probe = []
    for name, state in zip(VIEWS, states, strict=True):
        best = lvlm.read_out(state)[0].softmax(-1).topk(ANSWERS)
        ranking = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        probe.append({"view": name, "top": [[lvlm.piece(index), p] for index, p in ranking]})
    return probe
