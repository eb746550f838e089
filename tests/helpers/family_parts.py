"""Configurations, tokenizers and image processors of tiny models of every family."""

from __future__ import annotations

import copy
from functools import cache

import tiny
import transformers
from more_family_parts import PARTS
from transformers.models.smolvlm import processing_smolvlm

QWEN, SMOL = ("qwen2_5_vl", "qwen3_vl"), ("smolvlm", "idefics3")
# A start and an end mark go with a deleted photo; the middle one is its placeholder.
MARKED = (*QWEN, "qwen2_vl", "qwen3_vl_moe", "glm4v", "glm46v", "gemma3")
LAYERS, WIDTH = 2, 64

IMAGE = {"qwen2_5_vl": "<|image_pad|>", "qwen3_vl": "<|image_pad|>"}  # the others: <image>
IMAGE |= {kind: parts.image for kind, parts in PARTS.items()}
QWEN_WORDS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip
SMOL_WORDS = (
    "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)),
)  # fmt: skip
TEMPLATES = {
    "llava_next": (
        "{% for message in messages %}[INST] {% for part in message['content'] %}{% if part['type'] == 'image' %}"
        "<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} [/INST]{% endfor %}"
    ),
    "qwen": (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% for message in messages %}"
        "<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}{% if part['type'] == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "smol": processing_smolvlm.DEFAULT_CHAT_TEMPLATE,
}


@cache
def tokenizer(kind: str):
    """The tiny byte-level BPE with the family's special tokens; Qwen's has neither <unk> nor a start token."""
    words = copy.deepcopy(tiny.tokenizer())
    if kind in PARTS:
        words.add_special_tokens({"additional_special_tokens": PARTS[kind].special_tokens})
        words._set_model_specific_special_tokens(PARTS[kind].named_tokens)
        words.chat_template = PARTS[kind].template
    elif kind in QWEN:
        words.add_special_tokens({"additional_special_tokens": list(QWEN_WORDS)})
        words.eos_token, words.pad_token, words.bos_token, words.unk_token = "<|im_end|>", "<|endoftext|>", None, None
        words.backend_tokenizer.post_processor = _no_start()
        words.chat_template = TEMPLATES["qwen"]
    elif kind in SMOL:
        words.add_special_tokens({"additional_special_tokens": ["<image>", *SMOL_WORDS]})
        words.eos_token, words.bos_token = "<end_of_utterance>", "<|im_start|>"
        words.backend_tokenizer.post_processor = _no_start()
        words.chat_template = TEMPLATES["smol"]
    else:
        words.chat_template = TEMPLATES.get(kind)
    return words


def _no_start():
    from tokenizers import processors

    return processors.ByteLevel(trim_offsets=False)


@cache
def qformer_tokenizer():
    """A BERT tokenizer over letters."""
    letters = "abcdefghijklmnopqrstuvwxyz?.,"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    return transformers.BertTokenizer(vocab={piece: index for index, piece in enumerate(pieces)})


def _text(kind: str) -> dict:
    """What all decoders share."""
    words = tokenizer(kind)
    return {
        "vocab_size": len(words), "hidden_size": WIDTH, "intermediate_size": 128, "num_hidden_layers": LAYERS,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id,
        "tie_word_embeddings": False,
    }  # fmt: skip


def _llava_next(image: int):
    vision = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=24, patch_size=8,
    )  # fmt: skip
    return transformers.LlavaNextForConditionalGeneration(transformers.LlavaNextConfig(
        vision_config=vision, text_config=transformers.MistralConfig(**_text("llava_next"), sliding_window=None),
        image_token_index=image, image_grid_pinpoints=[[24, 48], [48, 24], [48, 48], [24, 72]],
        tie_word_embeddings=False,
    ))  # fmt: skip


def _qwen2_5_vl(image: int):
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    words = tokenizer("qwen2_5_vl")
    return transformers.Qwen2_5_VLForConditionalGeneration(transformers.Qwen2_5_VLConfig(
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 4, "window_size": 16,
            "out_hidden_size": WIDTH, "fullatt_block_indexes": [1],
        },
        text_config={**_text("qwen2_5_vl"), "rope_parameters": rope}, image_token_id=image,
        video_token_id=words.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=words.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=words.convert_tokens_to_ids("<|vision_end|>"), tie_word_embeddings=False,
    ))  # fmt: skip


def _qwen3_vl(image: int):
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True, "rope_theta": 10000.0}
    words = tokenizer("qwen3_vl")
    return transformers.Qwen3VLForConditionalGeneration(transformers.Qwen3VLConfig(
        vision_config={
            "depth": 3, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 4,
            "out_hidden_size": WIDTH, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1],
        },
        text_config={**_text("qwen3_vl"), "head_dim": 16, "rope_parameters": rope}, image_token_id=image,
        video_token_id=words.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=words.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=words.convert_tokens_to_ids("<|vision_end|>"), tie_word_embeddings=False,
    ))  # fmt: skip


def _smol(config, model):
    def build(image: int):
        vision = {
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 8,
        }  # fmt: skip
        text = transformers.LlamaConfig(**_text("smolvlm"))
        return model(config(
            vision_config=vision, text_config=text, scale_factor=2, image_token_id=image, tie_word_embeddings=False,
            pad_token_id=text.pad_token_id,
        ))  # fmt: skip

    return build


def _instructblip(image: int):
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 24,
        "patch_size": 8,
    }  # fmt: skip
    qformer = {
        "vocab_size": len(qformer_tokenizer()), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "max_position_embeddings": 128,
    }  # fmt: skip
    return transformers.InstructBlipForConditionalGeneration(transformers.InstructBlipConfig(
        vision_config=vision, qformer_config=qformer, text_config=transformers.LlamaConfig(**_text("instructblip")),
        num_query_tokens=5, image_token_index=image,
    ))  # fmt: skip


def _build(kind: str, parts):
    return lambda _image: parts.model(parts.config(_text(kind), tokenizer(kind).convert_tokens_to_ids))


BUILDERS = {
    "llava_next": _llava_next, "qwen2_5_vl": _qwen2_5_vl, "qwen3_vl": _qwen3_vl, "instructblip": _instructblip,
    "smolvlm": _smol(transformers.SmolVLMConfig, transformers.SmolVLMForConditionalGeneration),
    "idefics3": _smol(transformers.Idefics3Config, transformers.Idefics3ForConditionalGeneration),
}  # fmt: skip
BUILDERS |= {kind: _build(kind, parts) for kind, parts in PARTS.items()}


def image_processor(kind: str):
    if kind in PARTS:
        return PARTS[kind].images()
    if kind == "llava_next":
        return transformers.LlavaNextImageProcessorPil(
            size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24},
            image_grid_pinpoints=[[24, 48], [48, 24], [48, 48], [24, 72]],
        )  # fmt: skip
    if kind in QWEN:
        return transformers.Qwen2VLImageProcessorPil(
            size={"shortest_edge": 8 * 8 * 4, "longest_edge": 8 * 8 * 30}, patch_size=4, merge_size=2
        )
    if kind == "instructblip":
        return transformers.BlipImageProcessorPil(size={"height": 24, "width": 24})
    processor = {"smolvlm": transformers.SmolVLMImageProcessorPil, "idefics3": transformers.Idefics3ImageProcessorPil}[
        kind
    ]
    return processor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
