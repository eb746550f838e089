"""ViP-LLaVA: a LLaVA whose projector reads several layers of the vision tower."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from halluapp.lvlm.base import LVLM, ImageFeatures
from halluapp.lvlm.families.grids import Box, seen_region, square


class VipLlava(LVLM):
    """A ViP-LLaVA. Features [n, L * d]: L layers of the tower side by side, without the CLS token."""

    trainable: ClassVar[bool] = True
    template: ClassVar[str] = (  # for checkpoints that come without one
        "{% for message in messages %}###Human: {% for part in message['content'] %}{% if part['type'] == 'image' %}"
        "<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}###Assistant:"
    )

    @property
    def tower(self) -> nn.Module:
        return self.model.model.vision_tower

    @property
    def base_projector(self) -> nn.Module:
        return self.model.model.multi_modal_projector

    @property
    def decoder(self) -> nn.Module:
        return self.model.model.language_model

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        states = self.tower(inputs["pixel_values"], output_hidden_states=True).hidden_states
        layers = self.model.config.vision_feature_layer
        layers = [layers] if isinstance(layers, int) else layers
        return ImageFeatures(torch.cat([states[layer][0, 1:] for layer in layers], dim=-1))

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        return [*square(count, seen_region(self.image_processor, size))]
