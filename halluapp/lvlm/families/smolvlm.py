"""SmolVLM and Idefics3: the photo in square tiles, each after a token for its row and column, and then as a whole."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor, nn

from halluapp.lvlm.base import LVLM, ImageFeatures
from halluapp.lvlm.families.grids import WHOLE, Box, grid_boxes

TILE_MARK, WHOLE_MARK = "<fake_token_around_image>", "<global-img>"


class SmolVLM(LVLM):
    """A SmolVLM or Idefics3. Features [tiles, n, d]; the connector joins neighbouring patches of a tile."""

    trainable: ClassVar[bool] = True
    dense_modules: ClassVar[tuple[str, ...]] = ("model.vision_model", "model.connector", "lm_head")

    @property
    def tower(self) -> nn.Module:
        return self.model.model.vision_model

    @property
    def base_projector(self) -> nn.Module:
        return self.model.model.connector

    @property
    def decoder(self) -> nn.Module:
        return self.model.model.text_model

    def pixels(self, photo) -> dict:
        return self.processed(photo, return_row_col_info=True)

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        output = self.model.model.get_image_features(
            inputs["pixel_values"], inputs.get("pixel_attention_mask"), return_dict=True
        )
        return ImageFeatures(output.last_hidden_state, layout=(int(inputs["rows"][0][0]), int(inputs["cols"][0][0])))

    def project(self, features: Tensor, projector: nn.Module | None = None) -> Tensor:
        """Tile features [tiles, n, d] -> visual tokens [tiles * n', D]."""
        return (projector or self.base_projector)(features).flatten(0, 1)

    def token_inputs(self, image: ImageFeatures) -> Tensor:
        connector: Any = self.base_projector
        return connector.pixel_shuffle(image.features, connector.scale_factor).flatten(0, 1)

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        rows, columns = image.layout
        side = math.isqrt(count // (rows * columns + 1))
        tiles = [*grid_boxes(rows, columns), WHOLE] if rows * columns else [WHOLE]
        return [box for tile in tiles for box in grid_boxes(side, side, tile)]

    def image_ids(self, image: ImageFeatures, count: int) -> list[int]:
        """Tiles row by row, each with its name, then the whole photo; a small photo has no tiles."""
        rows, columns = image.layout
        placeholders = self.tokenizer.convert_ids_to_tokens(self.image_token) * (count // (rows * columns + 1))
        tiles = [
            "".join(f"{TILE_MARK}<row_{row + 1}_col_{column + 1}>{placeholders}" for column in range(columns)) + "\n"
            for row in range(rows)
        ]
        text = "".join(tiles) + ("\n" if tiles else "") + f"{TILE_MARK}{WHOLE_MARK}{placeholders}{TILE_MARK}"
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]
