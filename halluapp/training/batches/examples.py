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
from halluapp.lvlm.base import LVLM, ImageFeatures
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
    check_lengths(lvlm, pairs, examples, [visual] * (1 + max(example.photo for example in examples)))


def check_lengths(lvlm: LVLM, pairs: list[Pair], examples: list[Example], visual_lengths: list[int]) -> None:
    """Raises InputError for a pair that is too long. visual_lengths: positions of every photo in its prompt."""
    for pair, example in zip(pairs, examples, strict=True):
        visual = visual_lengths[example.photo]
        answer = max(len(example.chosen), len(example.rejected)) - 1  # nothing is read after the end token
        length = len(example.prompt) - 1 + visual + answer
        if length > lvlm.context_length:
            raise InputError(
                f"{pair.position or 'A pair'}: photo, question and answer are {length:,} tokens, but {lvlm.name} reads "
                f"{lvlm.context_length:,}; shorten the texts or leave the pair out."
            )


class Features:
    """What the tower made of P images: clean, and corrupted (None where images are not)."""

    def __init__(self, images: list[ImageFeatures], corrupted_images: list[ImageFeatures] | None):
        self.images, self.corrupted_images = images, corrupted_images

    @property
    def clean(self) -> list[Tensor]:
        """Projector inputs, [n, d] or [tiles, n, d] each."""
        return [image.features for image in self.images]

    @property
    def corrupted(self) -> list[Tensor] | None:
        """The same of the corrupted copies."""
        images = self.corrupted_images
        return None if images is None else [image.features for image in images]


def encode_pixels(lvlm: LVLM, inputs: dict, vision_adapter: VisionAdapter | None = None) -> ImageFeatures:
    """The image processor's output -> projector input, differentiable in adapters of the tower."""
    with adapted_vision(lvlm, vision_adapter):
        return lvlm.encode_pixels(lvlm.to_device(inputs))


@torch.no_grad()
def encode_images(
    lvlm: LVLM, pixels: Pixels, cache: Path | None = None, log: Callable[[str], None] = lambda line: None,
    vision_adapter: VisionAdapter | None = None,
) -> Features:  # fmt: skip
    """Runs the tower once over all photos (and their corrupted copies), or reads `cache`.

    vision_adapter: additions to the tower's layers.
    """
    stored = disk_cache.read(cache, len(pixels))
    if stored is not None:
        return Features(_images(stored, "clean"), _images(stored, "corrupted") if pixels.strategy else None)
    images: dict[str, list[ImageFeatures]] = {"clean": [], "corrupted": []}
    for photo in range(len(pixels)):
        images["clean"].append(encode_pixels(lvlm, pixels.clean(photo), vision_adapter).to("cpu"))
        if pixels.strategy:
            images["corrupted"].append(encode_pixels(lvlm, pixels.corrupted(photo), vision_adapter).to("cpu"))
        if (photo + 1) % 50 == 0 or photo + 1 == len(pixels):
            log(f"looked at {photo + 1} of {len(pixels)} photos")
    disk_cache.write(cache, {**_tensors(images["clean"], "clean"), **_tensors(images["corrupted"], "corrupted")})
    return Features(images["clean"], images["corrupted"] if pixels.strategy else None)


def _tensors(images: list[ImageFeatures], name: str) -> dict[str, list[Tensor]]:
    """Images as lists of tensors for `disk_cache`: features, and layouts and DeepStack of families that have them."""
    lists = {name: [image.features for image in images]}
    if any(image.layout for image in images):
        lists[f"{name}_layout"] = [torch.tensor(image.layout) for image in images]
    if any(image.deepstack for image in images):
        lists[f"{name}_deepstack"] = [torch.stack(image.deepstack) for image in images]
    return lists


def _images(lists: dict[str, list[Tensor]], name: str) -> list[ImageFeatures]:
    """What `_tensors` took apart."""
    layouts, levels = lists.get(f"{name}_layout"), lists.get(f"{name}_deepstack")
    return [
        ImageFeatures(
            features,
            layout=tuple(layouts[row].tolist()) if layouts else (),
            deepstack=tuple(levels[row]) if levels else (),
        )
        for row, features in enumerate(lists[name])
    ]
