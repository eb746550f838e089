"""Gemma 3: a photo is 256 tokens that attend to each other both ways; every sixth layer sees the whole text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from halluapp.lvlm.base import ImageFeatures
from halluapp.lvlm.families.grids import Box, square
from halluapp.lvlm.families.llava import Llava

START, PLACEHOLDER, END = "<start_of_image>", "<image_soft_token>", "<end_of_image>"


class Gemma3(Llava):
    """A Gemma 3 with its vision tower. The photo is seen as a whole: no crops (pan and scan, off by default)."""

    template = ""
    trainable = False  # packed rows know no attention both ways
    has_image_marks = True

    def chat(self, prompt: str, answer: str | None = None) -> str:
        """The template writes the start mark alone; the processor's text around a photo takes its place."""
        return super().chat(prompt, answer).replace(START, f"\n\n{START}{PLACEHOLDER}{END}\n\n", 1)

    def pixels(self, photo) -> dict:
        return {"pixel_values": self.processed(photo, do_pan_and_scan=False)["pixel_values"]}

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        return ImageFeatures(self.tower(inputs["pixel_values"]).last_hidden_state[0])

    def generate_inputs(self, row: Tensor, prompt: str) -> dict[str, Tensor]:
        return {"token_type_ids": (row == self.image_token).int()}

    def attention_mask(self, mask: Tensor, embeds: Tensor | None, cache: Any, image_mask: Tensor) -> Any:
        """Masks of both kinds of layers in which the tokens of a photo see each other."""
        from transformers.models.gemma3 import modeling_gemma3 as gemma3

        assert embeds is not None  # a prefill has no ids alone
        return gemma3.create_masks_for_vision_model(  # by position: the cache's name differs between versions
            self.model.config.get_text_config(),
            embeds,
            mask,
            cache,
            torch.arange(mask.shape[1], device=mask.device)[None],
            gemma3.get_block_sequence_ids_for_mask(image_mask.int(), device=mask.device),
        )

    def token_boxes(self, image: ImageFeatures, count: int, size: tuple[int, int]) -> list[Box | None]:
        return [*square(count)]
