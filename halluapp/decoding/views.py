"""Image features of one photo: the vision tower runs once for each noise step that a method needs.

It runs once more for every adapter with additions inside the tower; all other methods share the base model's features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from halluapp.decoding.hooks.vision_adapter import VisionAdapter, adapted_vision
from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM, ImageFeatures

if TYPE_CHECKING:
    from PIL import Image


class Views:
    """The views of one photo, each encoded at its first use and cached. seed: of the noise."""

    def __init__(self, lvlm: LVLM, photo: Image.Image, seed: int = 0):
        def encode(step: int, adapter: VisionAdapter | None, seed: int) -> ImageFeatures:
            with adapted_vision(lvlm, adapter):
                return lvlm.encode_image(photo, step, seed)

        self.seed = seed
        self._encode: Callable[[int, VisionAdapter | None, int], ImageFeatures] | None = encode
        self._features: dict[tuple[int, VisionAdapter | None, int], ImageFeatures] = {}

    @classmethod
    def from_features(cls, visual: ImageFeatures) -> Views:
        """The views of a photo of which only the features `visual` exist: no other view can be encoded."""
        views = cls.__new__(cls)
        views.seed, views._encode, views._features = 0, None, {(0, None, 0): visual}
        return views

    def with_seed(self, seed: int) -> Views:
        """The same photo with noise of another seed; what is without noise is encoded once for both."""
        views = Views.__new__(Views)
        views.seed, views._encode, views._features = seed, self._encode, self._features
        return views

    def without_photo(self) -> Views:
        """What is encoded of the photo, now and later, without a hold on photo and model."""
        views = Views.__new__(Views)
        views.seed, views._encode, views._features = self.seed, None, self._features
        return views

    def share(self, other: Views) -> None:
        """Takes what another one has encoded of the same photo by the same model, and adds to it from now on."""
        self._features = other._features

    @property
    def count(self) -> int:
        """How many are encoded."""
        return len(self._features)

    def is_of(self, other: Views, noised: bool = False) -> bool:
        """Whether both show the same photo, `noised`: with the same noise."""
        return self._features is other._features and (not noised or self.seed == other.seed)

    @property
    def clean(self) -> ImageFeatures:
        """The photo without noise."""
        return self.at(0)

    def at(self, step: int, adapter: VisionAdapter | None = None) -> ImageFeatures:
        """The photo at a noise step, 0 for none, under an adapter. Raises InputError where there is no photo."""
        key = step, adapter, self.seed if step else 0
        if key not in self._features:
            if self._encode is None:
                other = "a noised view of it" if step else "an adapter that sees it in its own way"
                raise InputError(f"The photo itself is needed for {other}.")
            self._features[key] = self._encode(step, adapter, self.seed)
        return self._features[key]
