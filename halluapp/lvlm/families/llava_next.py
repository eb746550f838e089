"""LLaVA-NeXT (LLaVA-1.6) and LLaVA-OneVision: the whole photo and tiles at a resolution that suits its shape."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from halluapp.lvlm.base import ImageFeatures
from halluapp.lvlm.families.grids import Box, grid_boxes
from halluapp.lvlm.families.llava import Llava


class LlavaNext(Llava):
    """A LLaVA-NeXT: features of all tiles [tiles, n, d], laid out as one image once they are projected."""

    template = ""  # Vicuna, Mistral, Llama 3 and Yi speak differently; none of them can stand in for another

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        states = self.tower(inputs["pixel_values"][0], output_hidden_states=True).hidden_states
        return ImageFeatures(self._select(states), layout=tuple(inputs["image_sizes"][0].tolist()))

    def visual_tokens(self, image: ImageFeatures, prompt: str, projector: nn.Module | None = None) -> Tensor:
        """Projected tiles are put together, padding cut off, the learned newline put after every row."""
        return self._packed(self.project(image.features, projector), image, self.model.model.image_newline)

    def _packed(self, tiles: Tensor, image: ImageFeatures, newline: Tensor) -> Tensor:
        """Vectors of all tiles [tiles, n, D] as one image -> [n', D]; newline [D]."""
        strategy = self.model.config.vision_feature_select_strategy
        return self.model.model.pack_image_features([tiles], [list(image.layout)], strategy, newline)[0][0]

    def token_inputs(self, image: ImageFeatures) -> Tensor:
        return self._packed(image.features, image, image.features.new_zeros(image.features.shape[-1]))

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        """The photo as a whole, then its tiles as one grid without padding, with a token that ends each row."""
        from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape, unpad_image

        vision = self.model.config.vision_config
        side = vision.image_size // vision.patch_size
        whole: list[Box | None] = [*grid_boxes(side, side)]
        if len(image.features) == 1:
            return [*whole, *[None] * (count - len(whole))]
        tall, wide = get_anyres_image_grid_shape(
            image.layout, self.model.config.image_grid_pinpoints, vision.image_size
        )
        rows, columns = unpad_image(torch.zeros(1, tall * side, wide * side), image.layout).shape[1:]
        lines = grid_boxes(rows, columns)
        tiles = [box for row in range(rows) for box in (*lines[row * columns : (row + 1) * columns], None)]
        return [*whole, *tiles]


class LlavaOnevision(LlavaNext):
    """A LLaVA-OneVision: more than nine tiles are scaled down."""

    def _packed(self, tiles: Tensor, image: ImageFeatures, newline: Tensor) -> Tensor:
        ratio = self.model.config.vision_aspect_ratio
        return self.model.model.pack_image_features([tiles], [list(image.layout)], newline, ratio)[0][0]
