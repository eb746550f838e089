"""Pairs as inputs of a model: token ids, and the frozen tower's output for every image, computed once and cached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from halluapp.data.pairs import Pair
from halluapp.decoding.hooks.vision_adapter import VisionAdapter, adapted_vision
from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM
from halluapp.training.batches import disk_cache
from halluapp.training.batches.changed_tokens import changed_tokens
from halluapp.training.batches.packed_forward import answer_ids
from halluapp.training.batches.pixels import Pixels


@dataclass(frozen=True)
class Example:
    """One pair as token ids. photo: index into the features. changed_*: positions of tokens that differ."""

    photo: int
    prompt: list[int]
    chosen: list[int]
    rejected: list[int]
    changed_chosen: list[int]
    changed_rejected: list[int]


def tokenize(lvlm: LVLM, pairs: list[Pair], min_match: int = 3) -> list[Example]:
    """Pairs -> examples; equal photos share a row of features. Raises InputError for a pair that is too long."""
    row_of_photo: dict[str, int] = {}
    examples = []
    for pair in pairs:
        chosen, rejected = answer_ids(lvlm, pair.chosen), answer_ids(lvlm, pair.rejected)
        changed = changed_tokens(chosen, rejected, min_match)
        row = row_of_photo.setdefault(pair.photo, len(row_of_photo))
        examples.append(Example(row, lvlm.prompt_ids(pair.question, "photo"), chosen, rejected, *changed))
    _check_lengths(lvlm, pairs, examples)
    return examples


def _check_lengths(lvlm: LVLM, pairs: list[Pair], examples: list[Example]) -> None:
    """Raises InputError where photo, question and an answer together are longer than the model's context."""
    if not pairs:
        return
    image = lvlm.encode_image(pairs[0].open())  # LLaVA's processor makes equally many tokens of every photo
    visual = lvlm.image_length(image, pairs[0].question)
    for pair, example in zip(pairs, examples, strict=True):
        answer = max(len(example.chosen), len(example.rejected)) - 1  # nothing is read after the end token
        length = len(example.prompt) - 1 + visual + answer
        if length > lvlm.context_length:
            raise InputError(
                f"{pair.position or 'A pair'}: photo, question and answer are {length:,} tokens, but {lvlm.name} reads "
                f"{lvlm.context_length:,}; shorten the texts or leave the pair out."
            )


class Features:
    """Projector inputs of P images: clean, and corrupted (None where images are not), lists of [n, d]."""

    def __init__(self, clean: list[Tensor], corrupted: list[Tensor] | None):
        self.clean, self.corrupted = clean, corrupted


def encode_pixels(lvlm: LVLM, pixels: Tensor, vision_adapter: VisionAdapter | None = None) -> Tensor:
    """Normalised pixels [1, 3, H, W] -> projector input [n, d], differentiable in adapters of the tower."""
    with adapted_vision(lvlm, vision_adapter):
        return lvlm.encode_pixels(lvlm.to_device({"pixel_values": pixels})).features


@torch.no_grad()
def encode_images(
    lvlm: LVLM, pixels: Pixels, cache: Path | None = None, log: Callable[[str], None] = lambda line: None,
    vision_adapter: VisionAdapter | None = None,
) -> Features:  # fmt: skip
    """Runs the tower once over all photos (and their corrupted copies), or reads `cache`.

    vision_adapter: additions to the tower's layers.
    """
    stored = disk_cache.read(cache, len(pixels))
    if stored is None:
        stored = {"clean": [], "corrupted": []}
        for photo in range(len(pixels)):
            stored["clean"].append(encode_pixels(lvlm, pixels.clean(photo), vision_adapter).cpu())
            if pixels.strategy:
                stored["corrupted"].append(encode_pixels(lvlm, pixels.corrupted(photo), vision_adapter).cpu())
            if (photo + 1) % 50 == 0 or photo + 1 == len(pixels):
                log(f"looked at {photo + 1} of {len(pixels)} photos")
        disk_cache.write(cache, stored)
    return Features(stored["clean"], stored["corrupted"] if pixels.strategy else None)
