"""Qwen2.5-VL and Qwen3-VL: photos at their own resolution, positions of time, row and column (M-RoPE)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from halluapp.lvlm.base import LVLM, ImageFeatures

# The processors allow 16,384 visual tokens a photo; every panel holds a cache of its own of them.
MAX_VISUAL_TOKENS = 1280


class Qwen25VL(LVLM):
    """A Qwen2.5-VL. Larger photos are scaled down to at most MAX_VISUAL_TOKENS visual tokens."""

    dense_modules: ClassVar[tuple[str, ...]] = ("model.visual", "lm_head")
    has_image_marks: ClassVar[bool] = True  # by <|vision_start|> and <|vision_end|>

    def __init__(self, model, tokenizer, image_processor, name: str, quantization: str = "none"):
        super().__init__(model, tokenizer, image_processor, name, quantization)
        vision = model.config.vision_config
        self._merge = vision.spatial_merge_size
        most = MAX_VISUAL_TOKENS * (vision.patch_size * self._merge) ** 2
        size = image_processor.size
        image_processor.size = {
            "shortest_edge": min(size["shortest_edge"], most),
            "longest_edge": min(size["longest_edge"], most),
        }

    @property
    def tower(self) -> nn.Module:
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
        copies, channels = vision.temporal_patch_size, vision.in_channels
        once = torch.randn(len(pixels), channels, 1, pixels.shape[1] // (channels * copies), generator=generator)
        return once.expand(-1, -1, copies, -1).flatten(1)

    def encode_pixels(self, given: dict) -> ImageFeatures:
        grid = given["image_grid_thw"]
        seen = self.tower(given["pixel_values"], grid_thw=grid)
        rows, columns = (int(size) // self._merge for size in grid[0, 1:])
        return ImageFeatures(
            self._ordered(seen.last_hidden_state, grid), layout=(rows, columns), deepstack=self.deepstack_features(seen)
        )

    def _ordered(self, features: Tensor, grid: Tensor) -> Tensor:
        """The tower works window by window; its merger's output is put back in reading order, here its input [N, d]."""
        from transformers.vision_utils import get_vision_window_index

        vision = self.model.config.vision_config
        index, _ = get_vision_window_index(grid, self._merge, vision.window_size, vision.patch_size)
        groups = features.unflatten(0, (-1, self._merge**2))
        return groups[torch.argsort(index).to(features.device)].flatten(0, 1)

    def deepstack_features(self, seen) -> tuple[Tensor, ...]:
        return ()

    def generate_inputs(self, row: Tensor, prompt: str) -> dict[str, Tensor]:
        return {"mm_token_type_ids": (row == self.image_token).int()}

    def project(self, features: Tensor, projector: nn.Module | None = None) -> Tensor:
        """Patch features [N, d] -> visual tokens [n, D]: the merger joins neighbouring patches."""
        return (projector or self.base_projector)(features)

    def positions(self, ids: list[int], seen: ImageFeatures | None) -> Tensor:
        """[3, S]: text counts on in all three; a photo of r x c tokens takes max(r, c) (Qwen2-VL, section 2.1)."""
        if seen is None:
            return torch.arange(len(ids)).expand(3, -1)
        (rows, columns), spot = seen.layout, ids.index(self.image_token)
        row, column = (
            part.flatten() for part in torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        )
        photo = torch.stack([torch.zeros_like(row), row, column]) + spot
        after = torch.arange(len(ids) - spot - rows * columns) + spot + max(rows, columns)
        return torch.cat([torch.arange(spot).expand(3, -1), photo, after.expand(3, -1)], dim=1)

    def forward(self, cache, mask, positions, ids=None, embeds=None, deepstack=None) -> Tensor:
        if positions.dim() == 2:  # a decoded token stands at one position in time, row and column
            positions = positions.expand(3, -1, -1)
        return super().forward(cache, mask, positions, ids, embeds, deepstack)


class Qwen3VL(Qwen25VL):
    """A Qwen3-VL: features of some tower layers are added to the outputs of the first decoder layers (DeepStack)."""

    def _ordered(self, features: Tensor, grid: Tensor) -> Tensor:
        return features  # this tower has no windows

    def deepstack_features(self, seen) -> tuple[Tensor, ...]:
        return tuple(seen.deepstack_features)

    def deepstack_arguments(self, deepstack) -> dict:
        if deepstack is None:
            return {}
        image_mask, levels = deepstack
        return {"visual_pos_masks": image_mask, "deepstack_visual_embeds": list(levels)}
