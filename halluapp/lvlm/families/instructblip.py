"""InstructBLIP with a Vicuna decoder: a Q-Former reads the prompt and the photo, the decoder reads its queries."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from halluapp.lvlm.base import LVLM, ImageFeatures


class InstructBlip(LVLM):
    """An InstructBLIP. The prompt is plain text, after the photo's query tokens; there is no chat format."""

    dense_modules: ClassVar[tuple[str, ...]] = (
        "vision_model",
        "qformer",
        "language_projection",
        "language_model.lm_head",
    )
    template: ClassVar[str] = "{{ messages[0]['content'][1]['text'] }}"

    def __init__(
        self, model, tokenizer, image_processor, name: str, quantization: str = "none", qformer_tokenizer=None
    ):
        super().__init__(model, tokenizer, image_processor, name, quantization)
        self.qformer_tokenizer = qformer_tokenizer

    @property
    def end_tokens(self) -> frozenset[int]:
        configured = self.model.language_model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return super().end_tokens | {i for i in ids if i is not None}

    @property
    def tower(self) -> nn.Module:
        return self.model.vision_model

    @property
    def base_projector(self) -> nn.Module:
        return self.model.language_projection

    @property
    def decoder(self) -> nn.Module:
        return self.model.language_model.model

    @property
    def head(self) -> nn.Module:
        return self.model.language_model.lm_head

    def encode_pixels(self, given: dict) -> ImageFeatures:
        return ImageFeatures(self.tower(given["pixel_values"]).last_hidden_state[0])

    def visual_tokens(self, visual: ImageFeatures, prompt: str, projector: nn.Module | None = None) -> Tensor:
        """The Q-Former's queries [n, d] for this photo and this prompt, projected to [n, D]."""
        ids, queries = self._asked(prompt), self.model.query_tokens
        with torch.no_grad(), self.lock:  # gradients are for projectors, which come after
            asked = self.model.qformer(
                input_ids=ids,
                attention_mask=ids.new_ones(1, queries.shape[1] + ids.shape[1]),
                query_embeds=queries,
                encoder_hidden_states=visual.features[None],
                encoder_attention_mask=ids.new_ones(1, len(visual.features)),
            )
        return self.project(asked.last_hidden_state[0, : queries.shape[1]], projector)

    def _asked(self, prompt: str) -> Tensor:
        """The prompt as the Q-Former reads it: ids [1, T]."""
        read = self.qformer_tokenizer(
            self._harmless(prompt, self.qformer_tokenizer),
            truncation=True,  # BERT has 512 positions
            max_length=self.model.config.qformer_config.max_position_embeddings,
            return_tensors="pt",
        )
        return read["input_ids"].to(self.device)

    def generate_inputs(self, row: Tensor, prompt: str) -> dict[str, Tensor]:
        ids = self._asked(prompt)
        return {"qformer_input_ids": ids, "qformer_attention_mask": torch.ones_like(ids)}

    def prompt_ids(self, prompt: str, view: str) -> list[int]:
        """The photo stands before the start token; see the base class for the views."""
        first = {"photo": [self.image_token], "none": [], "unk": [self.unknown_token]}[view]
        return first + self.tokenizer(self._harmless(prompt))["input_ids"]
