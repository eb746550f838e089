"""InstructBLIP with a Vicuna decoder: a Q-Former reads the prompt and the photo, the decoder reads its queries."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM, ImageFeatures


class InstructBlip(LVLM):
    """An InstructBLIP. The prompt is plain text, after the photo's query tokens; there is no chat format."""

    dense_modules: ClassVar[tuple[str, ...]] = (
        "vision_model",
        "qformer",
        "language_projection",
        "language_model.lm_head",
    )
    processor_parts: ClassVar[tuple[str, ...]] = ("qformer_tokenizer",)
    template: ClassVar[str] = "{{ messages[0]['content'][1]['text'] }}"

    def __init__(
        self, model, tokenizer, image_processor, name: str, quantization: str = "none", qformer_tokenizer: Any = None
    ):
        if model.config.image_token_index is None:  # configurations of 2023: the photo stood before the text, unmarked
            model.config.image_token_index = _placeholder(model, tokenizer)
        super().__init__(model, tokenizer, image_processor, name, quantization)
        self.qformer_tokenizer = qformer_tokenizer

    @classmethod
    def constructor_options(cls, source: Any) -> dict[str, Any]:
        from transformers import AutoTokenizer

        return {
            "qformer_tokenizer": AutoTokenizer.from_pretrained(
                source, subfolder="qformer_tokenizer", trust_remote_code=False
            )
        }

    @property
    def end_tokens(self) -> frozenset[int]:
        configured = self.model.language_model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return super().end_tokens | {i for i in ids if i is not None}

    @property
    def unknown_token(self) -> int:
        """<unk>, which the vocabulary of Vicuna has though these tokenizers name </s> in its place."""
        return self.tokenizer.get_vocab().get("<unk>", super().unknown_token)

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

    def encode_pixels(self, inputs: dict) -> ImageFeatures:
        return ImageFeatures(self.tower(inputs["pixel_values"]).last_hidden_state[0])

    def visual_tokens(self, image: ImageFeatures, prompt: str, projector: nn.Module | None = None) -> Tensor:
        """The Q-Former's queries [n, d] for this photo and this prompt, projected to [n, D]."""
        ids, queries = self._qformer_ids(prompt), self.model.query_tokens
        with torch.no_grad(), self.lock:  # gradients are for projectors, which come after
            output = self.model.qformer(
                input_ids=ids,
                attention_mask=ids.new_ones(1, queries.shape[1] + ids.shape[1]),
                query_embeds=queries,
                encoder_hidden_states=image.features[None],
                encoder_attention_mask=ids.new_ones(1, len(image.features)),
            )
        return self.project(output.last_hidden_state[0, : queries.shape[1]], projector)

    def _qformer_ids(self, prompt: str) -> Tensor:
        """The Q-Former's ids of the prompt [1, T]."""
        encoding = self.qformer_tokenizer(
            self.escape_special_tokens(prompt, self.qformer_tokenizer),
            truncation=True,  # BERT has 512 positions
            max_length=self.model.config.qformer_config.max_position_embeddings,
            return_tensors="pt",
        )
        return encoding["input_ids"].to(self.device)

    def generate_inputs(self, row: Tensor, prompt: str) -> dict[str, Tensor]:
        ids = self._qformer_ids(prompt)
        return {"qformer_input_ids": ids, "qformer_attention_mask": torch.ones_like(ids)}

    def prompt_ids(self, prompt: str, view: str) -> list[int]:
        """The photo stands before the start token; see the base class for the views."""
        first = {"photo": [self.image_token], "none": [], "unk": [self.unknown_token]}[view]
        return first + self.tokenizer(self.escape_special_tokens(prompt))["input_ids"]


def _placeholder(model: Any, tokenizer: Any) -> int:
    """An id of the embedding table that no prompt and no answer contains. Raises InputError where there is none."""
    rows = model.get_input_embeddings().num_embeddings
    ids = (tokenizer.get_vocab().get("<image>"), tokenizer.pad_token_id, tokenizer.get_vocab().get("<unk>"))
    others = (None, tokenizer.eos_token_id, tokenizer.bos_token_id)
    for index in ids:
        if index not in others and index < rows:
            return index
    raise InputError("The tokenizer has no token that could stand for the photo; use a newer copy of the checkpoint.")
