"""InternVL3 and 3.5 in transformers' own format: the photo in square tiles, four patches of which are one token."""

from __future__ import annotations

from torch import Tensor, nn

from halluapp.lvlm.base import ImageFeatures
from halluapp.lvlm.families.grids import Box, tiles_and_whole
from halluapp.lvlm.families.llava import Llava


class InternVL(Llava):
    """An InternVL. Features [tiles, n, d]: patches of a tile, already joined by four, before the projector."""

    template = ""

    def pixels(self, photo) -> dict:
        return {"pixel_values": self.processed(photo, crop_to_patches=True)["pixel_values"]}

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        config, layer = self.model.config, self.model.config.vision_feature_layer
        output = self.tower(inputs["pixel_values"], output_hidden_states=True)
        states = output.last_hidden_state if layer == -1 else output.hidden_states[layer]
        if config.vision_feature_select_strategy == "default":
            states = states[:, 1:]  # without CLS
        side = round(states.shape[1] ** 0.5)
        joined = self.model.model.pixel_shuffle(states.unflatten(1, (side, side)), config.downsample_ratio)
        return ImageFeatures(joined.flatten(1, 2))

    def project(self, features: Tensor, projector: nn.Module | None = None) -> Tensor:
        """Tile features [tiles, n, d] -> visual tokens [tiles * n, D]."""
        return (projector or self.base_projector)(features).flatten(0, 1)

    def image_ids(self, image: ImageFeatures, count: int) -> list[int]:
        start, end = self.tokenizer.convert_tokens_to_ids(["<img>", "</img>"])
        return [start, *[self.image_token] * count, end]

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        return [*tiles_and_whole(count, len(image.features), size)]
