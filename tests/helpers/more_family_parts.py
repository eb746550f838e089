"""Configurations, special tokens and image processors of tiny models of the families added since the first seven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import transformers

LAYERS, WIDTH = 2, 64
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_MARKS = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
GLM_MARKS = ("<|begin_of_image|>", "<|image|>", "<|end_of_image|>")
CLIP = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 24,
    "patch_size": 8,
}  # fmt: skip
SIGLIP = CLIP | {"image_size": 32}
PINPOINTS = [[32, 64], [64, 32], [64, 64], [32, 96], [96, 96]]


@dataclass(frozen=True)
class Parts:
    """A family's tiny model. image: the placeholder among its special tokens; written: what the template writes.

    names: of the words as attributes of the tokenizer, "" for none. config(text, ids) -> configuration; ids(token) ->
    id. processor(images, words) -> transformers' own.
    """

    model: Any
    config: Callable[[dict, Callable[[str], int]], Any]
    images: Callable[[], Any]
    processor: Callable[[Any, Any], Any]
    image: str = "<image>"
    written: str = ""
    words: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def special_tokens(self) -> list[str]:
        return list(dict.fromkeys(["<|im_start|>", "<|im_end|>", self.image, *self.words]))

    @property
    def named_tokens(self) -> dict[str, str]:
        return {name: word for name, word in zip(self.names, (self.image, *self.words), strict=False) if name}

    @property
    def template(self) -> str:
        return CHAT.replace("IMAGE", self.written or self.image)


def _qwen_text(text: dict) -> dict:
    return text | {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}}


def _qwen2_vl(text: dict, ids) -> Any:
    return transformers.Qwen2VLConfig(
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": WIDTH, "num_heads": 2, "mlp_ratio": 2,
                       "patch_size": 4},
        text_config=_qwen_text(text), image_token_id=ids("<|image_pad|>"), video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"), vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=False,
    )  # fmt: skip


def _qwen3_vl_moe(text: dict, ids) -> Any:
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True, "rope_theta": 10000.0}
    return transformers.Qwen3VLMoeConfig(
        vision_config={
            "depth": 3, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 4,
            "out_hidden_size": WIDTH, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1],
        },
        text_config={**text, "head_dim": 16, "rope_parameters": rope, "num_experts": 4, "num_experts_per_tok": 2,
                     "moe_intermediate_size": 64, "mlp_only_layers": []},
        image_token_id=ids("<|image_pad|>"), video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"), vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=False,
    )  # fmt: skip


def _glm(config):
    def build(text: dict, ids) -> Any:
        rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
        return config(
            vision_config={
                "model_type": "glm4v_vision", "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2,
                "patch_size": 4, "image_size": 32, "out_hidden_size": WIDTH,
            },
            text_config={"model_type": "glm4v_text", **text, "rope_parameters": rope},
            image_token_id=ids("<|image|>"), video_token_id=ids("<|video|>"),
            image_start_token_id=ids("<|begin_of_image|>"), image_end_token_id=ids("<|end_of_image|>"),
            video_start_token_id=ids("<|begin_of_video|>"), video_end_token_id=ids("<|end_of_video|>"),
            tie_word_embeddings=False,
        )  # fmt: skip

    return build


def _vipllava(text: dict, ids) -> Any:
    return transformers.VipLlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**CLIP), text_config=transformers.LlamaConfig(**text),
        image_token_index=ids("<image>"), vision_feature_layer=(-2, -3), tie_word_embeddings=False,
    )  # fmt: skip


def _llava_onevision(text: dict, ids) -> Any:
    return transformers.LlavaOnevisionConfig(
        vision_config=transformers.SiglipVisionConfig(**SIGLIP), text_config=transformers.Qwen2Config(**text),
        image_token_index=ids("<image>"), video_token_index=ids("<video>"), image_grid_pinpoints=PINPOINTS,
        tie_word_embeddings=False,
    )  # fmt: skip


def _internvl(text: dict, ids) -> Any:
    vision = SIGLIP | {"image_size": [32, 32], "patch_size": [8, 8]}
    return transformers.InternVLConfig(
        vision_config=transformers.InternVLVisionConfig(**vision), text_config=transformers.Qwen2Config(**text),
        image_token_id=ids("<IMG_CONTEXT>"), tie_word_embeddings=False,
    )  # fmt: skip


def _gemma3(text: dict, ids) -> Any:
    options = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 12}
    kinds = ["sliding_attention", "full_attention"]
    return transformers.Gemma3Config(
        vision_config=transformers.SiglipVisionConfig(**SIGLIP, vision_use_head=False),
        text_config=transformers.Gemma3TextConfig(**text, **options, layer_types=kinds),
        image_token_index=ids("<image_soft_token>"), boi_token_index=ids("<start_of_image>"),
        eoi_token_index=ids("<end_of_image>"), mm_tokens_per_image=4, tie_word_embeddings=False,
    )  # fmt: skip


def _pixtral_tower() -> Any:
    return transformers.PixtralVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, head_dim=16, image_size=64,
        patch_size=4,
    )  # fmt: skip


def _pixtral(text: dict, ids) -> Any:
    return transformers.LlavaConfig(
        vision_config=_pixtral_tower(), text_config=transformers.MistralConfig(**text, head_dim=16),
        image_token_index=ids("[IMG]"), vision_feature_layer=-1, vision_feature_select_strategy="full",
        tie_word_embeddings=False,
    )  # fmt: skip


def _mistral3(text: dict, ids) -> Any:
    return transformers.Mistral3Config(
        vision_config=_pixtral_tower(), text_config=transformers.MistralConfig(**text, head_dim=16),
        image_token_index=ids("[IMG]"), tie_word_embeddings=False,
    )  # fmt: skip


def _idefics2(text: dict, ids) -> Any:
    return transformers.Idefics2Config(
        vision_config={**SIGLIP, "num_hidden_layers": 2}, text_config=transformers.MistralConfig(**text),
        perceiver_config={"hidden_size": WIDTH, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2,
                          "resampler_head_dim": 16, "num_key_value_heads": 1},
        image_token_id=ids("<image>"), tie_word_embeddings=False,
    )  # fmt: skip


def _aya_vision(text: dict, ids) -> Any:
    return transformers.AyaVisionConfig(
        vision_config=transformers.SiglipVisionConfig(**SIGLIP), text_config=transformers.Cohere2Config(**text),
        image_token_index=ids("<|IMG_PATCH|>"), tie_word_embeddings=False, alignment_intermediate_size=64,
    )  # fmt: skip


def _qwen_images() -> Any:
    return transformers.Qwen2VLImageProcessorPil(
        size={"shortest_edge": 8 * 8 * 4, "longest_edge": 8 * 8 * 30}, patch_size=4, merge_size=2
    )


def _glm_images() -> Any:
    return transformers.Glm4vImageProcessorPil(
        size={"shortest_edge": 2 * 8 * 8 * 4, "longest_edge": 2 * 8 * 8 * 30}, patch_size=4, merge_size=2
    )


def _tiles() -> Any:
    return transformers.GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}, min_patches=1, max_patches=4)


def _pixtral_images() -> Any:
    return transformers.PixtralImageProcessorPil(size={"longest_edge": 48}, patch_size={"height": 4, "width": 4})


def _pixtral_processor(*parts, **options) -> Any:
    """Its module imports a package for videos, of which nothing here is called."""
    with patch("transformers.utils.is_vision_available", lambda: False):
        from transformers.models.pixtral.processing_pixtral import PixtralProcessor
    return PixtralProcessor(*parts, **options)


GLM_WORDS = (*GLM_MARKS, "<|video|>", "<|begin_of_video|>", "<|end_of_video|>")
AYA_WORDS = ("<|START_OF_IMG|>", "<|END_OF_IMG|>", "TILE", "TILE_GLOBAL")
PARTS = {
    "vipllava": Parts(
        transformers.VipLlavaForConditionalGeneration, _vipllava,
        lambda: transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}
        ),
        lambda images, words: transformers.LlavaProcessor(
            images, words, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1
        ),
    ),
    "llava/pixtral": Parts(
        transformers.LlavaForConditionalGeneration, _pixtral, _pixtral_images,
        lambda images, words: _pixtral_processor(images, words, patch_size=4),
        "[IMG]", words=("[IMG_BREAK]", "[IMG_END]"),
    ),
    "mistral3": Parts(
        transformers.Mistral3ForConditionalGeneration, _mistral3, _pixtral_images,
        lambda images, words: _pixtral_processor(images, words, patch_size=4, spatial_merge_size=2),
        "[IMG]", words=("[IMG_BREAK]", "[IMG_END]"),
    ),
    "llava_onevision": Parts(
        transformers.LlavaOnevisionForConditionalGeneration, _llava_onevision,
        lambda: transformers.LlavaOnevisionImageProcessorPil(
            size={"height": 32, "width": 32}, image_grid_pinpoints=PINPOINTS
        ),
        lambda images, words: transformers.LlavaOnevisionProcessor(
            images, words, None, num_image_tokens=16, vision_feature_select_strategy="full"
        ),
        words=("<video>",),
    ),
    "internvl": Parts(
        transformers.InternVLForConditionalGeneration, _internvl, _tiles,
        lambda images, words: transformers.InternVLProcessor(images, words, None, image_seq_length=4),
        "<IMG_CONTEXT>", words=("<img>", "</img>", "<video>"),
        names=("context_image_token", "start_image_token", "end_image_token", "video_token"),
    ),
    "gemma3": Parts(
        transformers.Gemma3ForConditionalGeneration, _gemma3,
        lambda: transformers.Gemma3ImageProcessorPil(size={"height": 32, "width": 32}),
        lambda images, words: transformers.Gemma3Processor(images, words, image_seq_length=4),
        "<image_soft_token>", "<start_of_image>", ("<start_of_image>", "<end_of_image>"),
        ("image_token", "boi_token", "eoi_token"),
    ),
    "aya_vision": Parts(
        transformers.AyaVisionForConditionalGeneration, _aya_vision, _tiles,
        lambda images, words: transformers.AyaVisionProcessor(
            images, words, patch_size=8, img_size=32, downsample_factor=2
        ),
        "<|IMG_PATCH|>", "<image>", AYA_WORDS,
    ),
    "qwen2_vl": Parts(
        transformers.Qwen2VLForConditionalGeneration, _qwen2_vl, _qwen_images,
        lambda images, words: transformers.Qwen2VLProcessor(images, words, None),
        "<|image_pad|>", "".join(QWEN_MARKS), (*QWEN_MARKS, "<|video_pad|>"),
    ),
    "qwen3_vl_moe": Parts(
        transformers.Qwen3VLMoeForConditionalGeneration, _qwen3_vl_moe, _qwen_images,
        lambda images, words: transformers.Qwen3VLProcessor(images, words, None),
        "<|image_pad|>", "".join(QWEN_MARKS), (*QWEN_MARKS, "<|video_pad|>"),
    ),
    "glm4v": Parts(
        transformers.Glm4vForConditionalGeneration, _glm(transformers.Glm4vConfig), _glm_images,
        lambda images, words: transformers.Glm4vProcessor(images, words, None),
        "<|image|>", "".join(GLM_MARKS), GLM_WORDS,
    ),
    "glm46v": Parts(
        transformers.Glm46VForConditionalGeneration, _glm(transformers.Glm46VConfig), _glm_images,
        lambda images, words: transformers.Glm46VProcessor(images, words, None),
        "<|image|>", "".join(GLM_MARKS), GLM_WORDS,
    ),
    "idefics2": Parts(
        transformers.Idefics2ForConditionalGeneration, _idefics2,
        lambda: transformers.Idefics2ImageProcessorPil(
            size={"longest_edge": 48, "shortest_edge": 24}, do_image_splitting=True
        ),
        lambda images, words: transformers.Idefics2Processor(images, words, image_seq_len=4),
        words=("<fake_token_around_image>", "<end_of_utterance>"),
    ),
}  # fmt: skip
