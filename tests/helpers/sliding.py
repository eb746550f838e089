"""A tiny LLaVA whose decoder sees a few tokens back only: Mistral's window in all layers, or Qwen2's in some."""

from __future__ import annotations

from functools import cache

import tiny
import torch
from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration, MistralConfig, Qwen2Config

from halluapp.lvlm.base import LVLM
from halluapp.lvlm.families.llava import Llava

WINDOW = 12


@cache
def sliding_model(implementation: str = "sdpa", mistral: bool = True) -> LVLM:
    """The tiny CLIP tower before a decoder with a sliding window, and the tiny tokenizer."""
    words = tiny.tokenizer()
    size = {
        "vocab_size": len(words), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "sliding_window": WINDOW,
        "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id,
    }  # fmt: skip
    text = MistralConfig(**size) if mistral else Qwen2Config(**size, use_sliding_window=True, max_window_layers=0)
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=24, patch_size=8,
        projection_dim=32,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_id=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2, vision_feature_select_strategy="default", image_seq_length=9,
        tie_word_embeddings=False, pad_token_id=words.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration._from_config(config, attn_implementation=implementation)
    tiny._roughen(model)
    return Llava(model, words, tiny.lvlm("llava").image_processor, f"sliding {implementation}")
