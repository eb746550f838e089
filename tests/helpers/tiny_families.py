"""A tiny real model of every family, loaded through the catalog, and the processors of transformers beside it."""

from __future__ import annotations

import copy
import tempfile
from functools import cache
from pathlib import Path
from unittest.mock import patch

import tiny
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers.models.smolvlm import processing_smolvlm
from transformers.processing_utils import ProcessorMixin

from halluapp.lvlm import catalog
from halluapp.lvlm.base import LVLM, HalluSpace, ImageFeatures

KINDS = ("llava_next", "qwen2_5_vl", "qwen3_vl", "smolvlm", "idefics3", "instructblip")
MODELS = tuple((kind, quantization) for kind in KINDS for quantization in ("none", "nf4"))
QWEN, SMOL = ("qwen2_5_vl", "qwen3_vl"), ("smolvlm", "idefics3")
LAYERS, WIDTH, RANK = 2, 64, 6
_home = tempfile.TemporaryDirectory(prefix="halluapp-families-")

IMAGE = {"qwen2_5_vl": "<|image_pad|>", "qwen3_vl": "<|image_pad|>"}  # the others: <image>
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
    if kind in QWEN:
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


BUILDERS = {
    "llava_next": _llava_next, "qwen2_5_vl": _qwen2_5_vl, "qwen3_vl": _qwen3_vl, "instructblip": _instructblip,
    "smolvlm": _smol(transformers.SmolVLMConfig, transformers.SmolVLMForConditionalGeneration),
    "idefics3": _smol(transformers.Idefics3Config, transformers.Idefics3ForConditionalGeneration),
}  # fmt: skip


def _image_processor(kind: str):
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
    made = {"smolvlm": transformers.SmolVLMImageProcessorPil, "idefics3": transformers.Idefics3ImageProcessorPil}[kind]
    return made(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})


def _roughen(model) -> None:
    """Weights so large that logits, photos and prompts differ clearly: no near ties, whatever the CPU rounds."""
    generator = torch.Generator().manual_seed(7)
    head = model.get_output_embeddings().weight
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                fan_in = weight[0].numel()
                spread = 1.0 if "embed" in name or "query" in name or "newline" in name else 1.5 / fan_in**0.5
                weight.normal_(0, spread, generator=generator)
        head.normal_(0, 0.4, generator=generator)


@cache
def folder(kind: str) -> Path:
    """A checkpoint folder with a HalluSpace and an AdaVIB projector beside it, as `catalog.load` reads it."""
    words, made = tokenizer(kind), Path(_home.name) / kind
    torch.manual_seed(0)
    model = BUILDERS[kind](words.convert_tokens_to_ids(IMAGE.get(kind, "<image>")))
    _roughen(model)
    for part in (model, getattr(model, "language_model", None)):
        config = getattr(part, "generation_config", None)
        for key in ("eos_token_id", "pad_token_id", "bos_token_id") if config else ():
            setattr(config, key, getattr(words, key))
    model.save_pretrained(made)
    words.save_pretrained(made)
    _image_processor(kind).save_pretrained(made)
    if kind == "instructblip":
        qformer_tokenizer().save_pretrained(made / "qformer_tokenizer")
    space = {layer: torch.linalg.qr(torch.randn(WIDTH, RANK))[0] for layer in range(LAYERS)}
    catalog.save_space(HalluSpace(space, {"pairs": 0}), made / "hallu_space.safetensors")
    own = _projector(kind, model).state_dict()
    changed = {key: value + 0.3 * (value.std() + 0.1) * torch.randn_like(value) for key, value in own.items()}
    save_file(changed, made / "projector-adavib.safetensors")
    return made


def _projector(kind: str, model):
    """Where transformers keeps the projector of a family."""
    if kind == "instructblip":
        return model.language_projection
    path = "visual.merger" if kind in QWEN else "connector" if kind in SMOL else "multi_modal_projector"
    return model.model.get_submodule(path)


def lvlm(kind: str, quantization: str = "none") -> LVLM:
    """The tiny model of a family, loaded once."""
    return _loaded(kind, quantization)


@cache
def _loaded(kind: str, quantization: str) -> LVLM:
    return catalog.load(str(folder(kind)), quantization, "cpu", Path(_home.name) / "assets")[0]


# Shapes that give other grids, tiles and rows.
SIZES = ((40, 30), (24, 48), (30, 30))


def photo(seed: int = 0) -> Image.Image:
    return tiny.photo(seed, SIZES[seed % len(SIZES)])


@cache
def visual(kind: str, quantization: str, seed: int = 0) -> ImageFeatures:
    """What the tower sees in photo `seed`: computed once."""
    return lvlm(kind, quantization).encode_image(photo(seed))


def processor(kind: str, model: LVLM):
    """transformers' own processor over the same parts; video processors, which need more packages, are left out."""
    images, words = model.image_processor, model.tokenizer
    unchecked = patch.object(ProcessorMixin, "check_argument_for_proper_class", lambda *_: None)
    with unchecked, patch.object(processing_smolvlm, "num2words", lambda number: str(number)):
        if kind == "llava_next":
            return transformers.LlavaNextProcessor(
                images, words, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1
            )
        if kind == "qwen2_5_vl":
            return transformers.Qwen2_5_VLProcessor(images, words, None)
        if kind == "qwen3_vl":
            return transformers.Qwen3VLProcessor(images, words, None)
        if kind == "instructblip":
            return transformers.InstructBlipProcessor(images, copy.deepcopy(words), qformer_tokenizer(), 5)
        if kind == "idefics3":
            return transformers.Idefics3Processor(images, copy.deepcopy(words), image_seq_len=4)
        return transformers.SmolVLMProcessor(images, words, None, image_seq_len=4)


def inputs(kind: str, quantization: str, prompt: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Model inputs for photo `seed` and a prompt, by transformers alone."""
    model, text = lvlm(kind, quantization), prompt
    if kind != "instructblip":
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        text = model.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
    made = processor(kind, model)(images=photo(seed), text=text, return_tensors="pt")
    return {key: value for key, value in made.items() if isinstance(value, torch.Tensor)}


@torch.no_grad()
def from_scratch(kind: str, quantization: str, prompt: str, view: str, answer: list[int], seed: int = 0):
    """Logits [T, V] that precede each of T answer tokens: one forward of the whole text, no cache, no batch."""
    model = lvlm(kind, quantization)
    said = torch.tensor([answer[:-1]], dtype=torch.long)
    if view != "photo":
        ids = torch.tensor([model.prompt_ids(prompt, view)])
        language = model.model.language_model if kind == "instructblip" else model.model
        logits = language(input_ids=torch.cat([ids, said], 1), use_cache=False).logits[0]
        return logits[ids.shape[1] - 1 :].float()
    given = inputs(kind, quantization, prompt, seed)
    length = given["input_ids"].shape[1]
    given["input_ids"] = torch.cat([given["input_ids"], said], 1)
    given["attention_mask"] = torch.ones_like(given["input_ids"])
    if "mm_token_type_ids" in given:
        given["mm_token_type_ids"] = torch.nn.functional.pad(given["mm_token_type_ids"], (0, said.shape[1]))
    return model.model(**given, use_cache=False).logits[0][length - 1 :].float()
