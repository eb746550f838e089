"""LLaVA-NeXT (LLaVA-1.6) and LLaVA-OneVision: the whole photo and tiles at a resolution that suits its shape."""

from __future__ import annotations

from torch import Tensor, nn

from halluapp.lvlm.base import ImageFeatures
from halluapp.lvlm.families.llava import Llava


class LlavaNext(Llava):
    """A LLaVA-NeXT: features of all tiles [tiles, n, d], laid out as one image once they are projected."""

    template = ""  # Vicuna, Mistral, Llama 3 and Yi speak differently; none of them can stand in for another

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        states = self.tower(inputs["pixel_values"][0], output_hidden_states=True).hidden_states
        return ImageFeatures(self._select(states), layout=tuple(inputs["image_sizes"][0].tolist()))

    def visual_tokens(self, image: ImageFeatures, prompt: str, projector: nn.Module | None = None) -> Tensor:
        """Projected tiles are put together, padding cut off, the learned newline put after every row."""
        model, tiles = self.model.model, self.project(image.features, projector)
        strategy = self.model.config.vision_feature_select_strategy
        packed, _ = model.pack_image_features([tiles], [list(image.layout)], strategy, model.image_newline)
        return packed[0]  # [n, D]


class LlavaOnevision(LlavaNext):
    """A LLaVA-OneVision: more than nine tiles are scaled down."""

    def visual_tokens(self, image: ImageFeatures, prompt: str, projector: nn.Module | None = None) -> Tensor:
        model, tiles = self.model.model, self.project(image.features, projector)
        ratio = self.model.config.vision_aspect_ratio
        packed, _ = model.pack_image_features([tiles], [list(image.layout)], model.image_newline, ratio)
        return packed[0]  # [n, D]
