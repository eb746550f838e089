"""Idefics2: the photo and its four quarters, each read by a perceiver into the same number of visual tokens."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from halluapp.lvlm.base import ImageFeatures
from halluapp.lvlm.families.grids import Box
from halluapp.lvlm.families.smolvlm import TILE_MARK, SmolVLM


class Idefics2(SmolVLM):
    """An Idefics2. layout: rows and columns of patches of each tile; tiles are padded to the largest one."""

    trainable = False  # a visual token of the perceiver is made of the whole tile

    def chat(self, prompt: str, answer: str | None = None) -> str:
        """As the processor writes it: a space between a photo and the text behind it."""
        return re.sub(r"<image>(?=[^\s<])", "<image> ", super().chat(prompt, answer), count=1)

    def pixels(self, photo) -> dict:
        return self.processed(photo)

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        mask = inputs["pixel_attention_mask"]
        output = self.model.model.get_image_features(inputs["pixel_values"], mask, return_dict=True)
        side = self.model.config.vision_config.patch_size
        sizes = [int(size) // side for tile in mask[0] for size in (tile.any(1).sum(), tile.any(0).sum())]
        return ImageFeatures(output.last_hidden_state, layout=tuple(sizes))

    def visual_tokens(self, image: ImageFeatures, prompt: str, projector: nn.Module | None = None) -> Tensor:
        tiles, (rows, columns) = image.features, (max(image.layout[0::2]), max(image.layout[1::2]))
        mask = torch.zeros(len(tiles), rows, columns, dtype=torch.bool, device=tiles.device)
        for tile, height, width in zip(mask, image.layout[0::2], image.layout[1::2], strict=True):
            tile[:height, :width] = True
        return (projector or self.base_projector)(tiles, mask.flatten(1)).flatten(0, 1)

    def image_ids(self, image: ImageFeatures, count: int) -> list[int]:
        """A mark before each tile and one behind the last."""
        mark, tiles = self.tokenizer.convert_tokens_to_ids(TILE_MARK), len(image.layout) // 2
        return [*[mark, *[self.image_token] * (count // tiles)] * tiles, mark]

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        return [None] * count  # what the perceiver writes down is no patch
