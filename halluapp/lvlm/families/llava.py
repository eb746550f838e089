"""LLaVA-1.5 and every model of its class (`LlavaForConditionalGeneration`), the embedded pocket LVLM among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from halluapp.lvlm.base import LVLM, ImageFeatures
from halluapp.lvlm.families.grids import Box, grid_boxes, seen_region


class Llava(LVLM):
    """A LLaVA with its image processor. Images are resized as the checkpoint's processor says."""

    trainable: ClassVar[bool] = True
    template: ClassVar[str] = (  # of LLaVA-1.5: checkpoints in its class may come without one
        "{% for message in messages %}{% if message['role'] == 'assistant' %}ASSISTANT: "
        "{{ message['content'][0]['text'] }}</s>{% else %}USER: {% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endif %}"
        "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    )

    @property
    def tower(self) -> Any:
        return self.model.model.vision_tower

    @property
    def base_projector(self) -> nn.Module:
        return self.model.model.multi_modal_projector

    @property
    def decoder(self) -> nn.Module:
        return self.model.model.language_model

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        maps: tuple[Tensor, ...] = ()
        if hasattr(self.tower, "features"):  # the pocket tower: its maps also feed the detector
            maps = self.tower.features(inputs["pixel_values"])
            states = self.tower.neck(*maps)
        else:
            states = self.tower(inputs["pixel_values"], output_hidden_states=True).hidden_states
        return ImageFeatures(self._select(states)[0], maps)

    def _select(self, states: Sequence[Tensor]) -> Tensor:
        """Hidden states of the tower -> projector input [tiles, n, d], by the checkpoint's layer and strategy."""
        layer = self.model.config.vision_feature_layer
        features = [states[index] for index in ([layer] if isinstance(layer, int) else layer)]
        if getattr(self.model.config, "vision_feature_select_strategy", "full") == "default":
            features = [state[:, 1:] for state in features]  # without CLS
        return torch.cat(features, dim=-1)

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        vision = self.model.config.vision_config
        side = vision.image_size // vision.patch_size
        patches: list[Box | None] = [*grid_boxes(side, side, seen_region(self.image_processor, size))]
        return [*patches[:count], *[None] * (count - len(patches))]  # further tokens are no patches
