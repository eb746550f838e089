"""Pixtral and Mistral-Small-3.x: photos at their own resolution, with a token at the end of each row of patches."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from halluapp.lvlm.base import ImageFeatures
from halluapp.lvlm.families.grids import Box, grid_boxes
from halluapp.lvlm.families.llava import Llava


class Pixtral(Llava):
    """A LLaVA with a Pixtral tower. layout: rows and columns of visual tokens."""

    template: ClassVar[str] = ""

    @property
    def _patch(self) -> int:
        """The side of the square of pixels that becomes one visual token."""
        return self.model.config.vision_config.patch_size * getattr(self.model.config, "spatial_merge_size", 1)

    def pixels(self, photo) -> dict:
        return self.processed(photo, patch_size=self._patch)

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        sizes = torch.as_tensor(inputs["image_sizes"])
        output = self.tower(inputs["pixel_values"], image_sizes=sizes, output_hidden_states=True)
        rows, columns = (int(size) // self._patch for size in sizes[0])
        return ImageFeatures(self._select(output.hidden_states)[0], layout=(rows, columns))

    def image_ids(self, image: ImageFeatures, count: int) -> list[int]:
        rows, columns = image.layout
        row_end, end = self.tokenizer.convert_tokens_to_ids(["[IMG_BREAK]", "[IMG_END]"])
        row = [*[self.image_token] * columns, row_end]
        return [*(row * rows)[:-1], end]

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        rows, columns = image.layout
        return [*grid_boxes(rows, columns)]


class Mistral3(Pixtral):
    """A Mistral-Small-3.x: its projector joins neighbouring patches, so it must know how they lie."""

    trainable: ClassVar[bool] = False

    def visual_tokens(self, image: ImageFeatures, prompt: str, projector: nn.Module | None = None) -> Tensor:
        rows, columns = image.layout
        size: Any = (rows * self._patch, columns * self._patch)
        return (projector or self.base_projector)(image.features, [size])
