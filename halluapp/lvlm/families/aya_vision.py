"""Aya Vision: the photo in numbered square tiles, and as a whole."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from halluapp.lvlm.base import ImageFeatures
from halluapp.lvlm.families.grids import Box, tiles_and_whole
from halluapp.lvlm.families.llava import Llava

PLACEHOLDER = "<image>"  # of the chat template; not a special token


class AyaVision(Llava):
    """An Aya Vision. Features [tiles, n, d]; the projector joins neighbouring patches of a tile."""

    template = ""

    def chat(self, prompt: str, answer: str | None = None) -> str:
        patch = self.tokenizer.convert_ids_to_tokens(self.image_token)
        return super().chat(prompt, answer).replace(PLACEHOLDER, patch, 1)

    def escape_special_tokens(self, prompt: str, tokenizer: Any = None) -> str:
        return super().escape_special_tokens(prompt.replace(PLACEHOLDER, " ".join(PLACEHOLDER)), tokenizer)

    def pixels(self, photo) -> dict:
        return {"pixel_values": self.processed(photo, crop_to_patches=True)["pixel_values"]}

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        return ImageFeatures(self._select(self.tower(inputs["pixel_values"], output_hidden_states=True).hidden_states))

    def project(self, features: Tensor, projector: nn.Module | None = None) -> Tensor:
        """Tile features [tiles, n, d] -> visual tokens [tiles * n', D]."""
        return (projector or self.base_projector)(features).flatten(0, 2)

    def token_inputs(self, image: ImageFeatures) -> Tensor:
        connector: Any = self.base_projector
        return connector.pixel_shuffle(image.features).flatten(0, 2)

    def image_ids(self, image: ImageFeatures, count: int) -> list[int]:
        """Numbered tiles, then the whole photo; a small photo has no tiles."""
        tiles = len(image.features)
        patches = self.tokenizer.convert_ids_to_tokens(self.image_token) * (count // tiles)
        numbered = "".join(f"TILE_{index}{patches}" for index in range(1, tiles))
        text = f"<|START_OF_IMG|>{numbered}TILE_GLOBAL{patches}<|END_OF_IMG|>"
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        return [*tiles_and_whole(count, len(image.features), size)]
