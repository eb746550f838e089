"""Images of pairs as normalised pixels, clean and corrupted: recomputed at every access, always equal."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from halluapp.data.pairs import Pair
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.diffusion import diffuse
from halluapp.training.batches.corruption import corrupt, corrupt_photo


class Pixels:
    """The distinct photos of pairs in their order, as the image processor gives them: "pixel_values" and their layout.

    strategy: how they are corrupted, None: not. Pixels [1, 3, H, W] are corrupted themselves; of families that cut a
    photo into tiles or patches it is the photo that is cropped or turned, and the noise is the family's.

    The corrupted copy of a photo depends on seed and name alone: policy and reference, and all epochs, get the same.
    Recomputed at every access, because the pixels of a data set do not fit into memory (2.7 MB for a photo
    and its copy at 336 x 336).
    """

    def __init__(self, lvlm: LVLM, pairs: Sequence[Pair], strategy: str | None = None, step: int = 0, seed: int = 0):
        self.lvlm, self.strategy, self.step, self.seed = lvlm, strategy, step, seed
        photos: dict[str, Pair] = {}
        for pair in pairs:
            photos.setdefault(pair.photo, pair)
        self.names, self.photos = list(photos), list(photos.values())

    def __len__(self) -> int:
        return len(self.photos)

    def hashes(self) -> list[list[str]]:
        """Name and content of every photo: [name, SHA-256]. Raises InputError for a file that is gone."""
        return [[name, pair.content_hash()] for name, pair in zip(self.names, self.photos, strict=True)]

    def clean(self, photo: int) -> dict:
        """A photo as the image processor gives it."""
        return self.lvlm.pixels(self.photos[photo].open())

    def corrupted(self, photo: int) -> dict:
        """The rejected copy of a photo."""
        name = f"{self.seed}/{self.names[photo]}"
        generator = torch.Generator().manual_seed(int(hashlib.sha256(name.encode()).hexdigest()[:12], 16))
        if self.strategy == "random" and len(self) > 1:  # another photo of the data, not of this batch of one
            return self.clean((photo + int(torch.randint(1, len(self), (1,), generator=generator))) % len(self))
        inputs = self.clean(photo)
        pixels = inputs["pixel_values"]
        if inputs.keys() == {"pixel_values"} and pixels.shape[:2] == (1, 3):
            return {"pixel_values": corrupt(pixels, self.strategy, generator, self.step, self._black)}
        if self.strategy == "diffusion":
            return {**inputs, "pixel_values": diffuse(pixels, self.step, self.lvlm.image_noise(pixels, generator))}
        return self.lvlm.pixels(corrupt_photo(self.photos[photo].open(), self.strategy, generator))

    @cached_property
    def _black(self) -> Tensor:
        """The normalised value of a black pixel, [3]."""
        from PIL import Image

        return self.lvlm.pixels(Image.new("RGB", (64, 64)))["pixel_values"][0, :, 0, 0]
