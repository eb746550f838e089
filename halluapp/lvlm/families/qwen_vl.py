"""Qwen2-VL to Qwen3-VL and GLM-4.xV: photos at their own resolution, positions of time, row and column (M-RoPE)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from halluapp.lvlm.base import LVLM, ImageFeatures
from halluapp.lvlm.families.grids import Box, grid_boxes

# The processors allow 16,384 visual tokens a photo, which the cache of every panel holds.
MAX_VISUAL_TOKENS = 1280


class Qwen25VL(LVLM):
    """A Qwen2.5-VL. Larger photos are scaled down to at most MAX_VISUAL_TOKENS visual tokens."""

    dense_modules: ClassVar[tuple[str, ...]] = ("model.visual", "lm_head")
    trainable: ClassVar[bool] = True
    has_image_marks: ClassVar[bool] = True  # <|vision_start|> and <|vision_end|>
    moments: ClassVar[int] = 1  # how often the processor's limits of size count a pixel of a still photo

    def __init__(self, model, tokenizer, image_processor, name: str, quantization: str = "none"):
        super().__init__(model, tokenizer, image_processor, name, quantization)
        vision = model.config.vision_config
        self._merge = vision.spatial_merge_size
        pixels = self.moments * MAX_VISUAL_TOKENS * (vision.patch_size * self._merge) ** 2
        size = image_processor.size
        image_processor.size = {
            "shortest_edge": min(size["shortest_edge"], pixels),
            "longest_edge": min(size["longest_edge"], pixels),
        }

    @property
    def tower(self) -> Any:
        return self.model.model.visual

    @property
    def base_projector(self) -> nn.Module:
        return self.tower.merger

    @property
    def decoder(self) -> nn.Module:
        return self.model.model.language_model

    def image_noise(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Patches [n, C * T * P * P] hold a still photo T times: all copies get the same noise."""
        vision = self.model.config.vision_config
        frames, channels = vision.temporal_patch_size, vision.in_channels
        noise = torch.randn(len(pixels), channels, 1, pixels.shape[1] // (channels * frames), generator=generator)
        return noise.expand(-1, -1, frames, -1).flatten(1)

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        grid = inputs["image_grid_thw"]
        output = self.tower(inputs["pixel_values"], grid_thw=grid)
        rows, columns = (int(size) // self._merge for size in grid[0, 1:])
        features = self._reading_order(output.last_hidden_state, grid)
        return ImageFeatures(features, layout=(rows, columns), deepstack=self.deepstack_features(output))

    def _reading_order(self, features: Tensor, grid: Tensor) -> Tensor:
        """The tower works window by window; its merger's output is put back in reading order, here its input [N, d]."""
        from transformers.vision_utils import get_vision_window_index

        vision = self.model.config.vision_config
        index, _ = get_vision_window_index(grid, self._merge, vision.window_size, vision.patch_size)
        groups = features.unflatten(0, (-1, self._merge**2))
        return groups[torch.argsort(index).to(features.device)].flatten(0, 1)

    def deepstack_features(self, output: Any) -> tuple[Tensor, ...]:
        """Features [n, D] of the tower's output for the first decoder layers; none in this family."""
        return ()

    def generate_inputs(self, row: Tensor, prompt: str) -> dict[str, Tensor]:
        return {"mm_token_type_ids": (row == self.image_token).int()}

    def project(self, features: Tensor, projector: nn.Module | None = None) -> Tensor:
        """Patch features [N, d] -> visual tokens [n, D]: the merger joins neighbouring patches."""
        return (projector or self.base_projector)(features)

    def token_inputs(self, image: ImageFeatures) -> Tensor:
        return image.features.unflatten(0, (-1, self._merge**2)).flatten(1)

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        rows, columns = image.layout
        return [*grid_boxes(rows, columns)]

    def positions(self, ids: list[int], image: ImageFeatures | None) -> Tensor:
        """[3, S]: text counts on in all three; a photo of r x c tokens takes max(r, c) (Qwen2-VL, section 2.1)."""
        if image is None:
            return torch.arange(len(ids)).expand(3, -1)
        (rows, columns), start = image.layout, ids.index(self.image_token)
        row, column = (
            part.flatten() for part in torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        )
        patches = torch.stack([torch.zeros_like(row), row, column]) + start
        after = torch.arange(len(ids) - start - rows * columns) + start + max(rows, columns)
        return torch.cat([torch.arange(start).expand(3, -1), patches, after.expand(3, -1)], dim=1)

    def forward(self, cache, mask, positions, *inputs, **named) -> Tensor:
        if positions.dim() == 2:  # a decoded token stands at one position in time, row and column
            positions = positions.expand(3, -1, -1)
        return super().forward(cache, mask, positions, *inputs, **named)


class Qwen2VL(Qwen25VL):
    """A Qwen2-VL, whose tower has no windows."""

    def _reading_order(self, features: Tensor, grid: Tensor) -> Tensor:
        return features


class Qwen3VL(Qwen2VL):
    """A Qwen3-VL: features of some tower layers are added to the outputs of the first decoder layers (DeepStack)."""

    def deepstack_features(self, output: Any) -> tuple[Tensor, ...]:
        return tuple(output.deepstack_features)

    def deepstack_arguments(self, deepstack) -> dict:
        if deepstack is None:
            return {}
        image_mask, levels = deepstack
        return {"visual_pos_masks": image_mask, "deepstack_visual_embeds": list(levels)}


class Qwen3VLMoe(Qwen3VL):
    """A Qwen3-VL whose decoder layers are mixtures of experts. Experts are one tensor a layer: they stay dense."""

    def output_projection(self, layer: int) -> Any:
        """The whole mixture: its experts' last products are no modules, and a projection of their sum is theirs."""
        mlp: Any = self.layers[layer].mlp
        return mlp if hasattr(mlp, "experts") else mlp.down_proj


class Glm4v(Qwen2VL):
    """A GLM-4.xV. Features [n, D] are joined patches; the processor's limits count both moments of a still photo."""

    moments = 2

    def token_inputs(self, image: ImageFeatures) -> Tensor:
        return image.features
