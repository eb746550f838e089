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
from family_parts import (
    BUILDERS,
    IMAGE,
    LAYERS,
    MARKED,
    QWEN,
    SMOL,
    WIDTH,
    image_processor,
    qformer_tokenizer,
    tokenizer,
)
from more_family_parts import PARTS
from PIL import Image
from safetensors.torch import save_file
from transformers.models.smolvlm import processing_smolvlm
from transformers.processing_utils import ProcessorMixin

from halluapp.lvlm import catalog
from halluapp.lvlm.base import LVLM, HalluSpace, ImageFeatures
from halluapp.lvlm.families import FAMILIES

__all__ = [
    "KINDS",
    "LAYERS",
    "MARKED",
    "MODELS",
    "QWEN",
    "SMOL",
    "folder",
    "from_scratch",
    "inputs",
    "is_trainable",
    "lvlm",
    "photo",
    "tokenizer",
    "visual",
]

KINDS = ("llava_next", "qwen2_5_vl", "qwen3_vl", "smolvlm", "idefics3", "instructblip", *PARTS)
MODELS = tuple((kind, quantization) for kind in KINDS for quantization in ("none", "nf4"))
RANK = 6
_home = tempfile.TemporaryDirectory(prefix="halluapp-families-")


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
    words, checkpoint = tokenizer(kind), Path(_home.name) / kind.replace("/", "-")
    torch.manual_seed(0)
    model = BUILDERS[kind](words.convert_tokens_to_ids(IMAGE.get(kind, "<image>")))
    _roughen(model)
    for part in (model, getattr(model, "language_model", None)):
        config = getattr(part, "generation_config", None)
        for key in ("eos_token_id", "pad_token_id", "bos_token_id") if config else ():
            setattr(config, key, getattr(words, key))
    model.save_pretrained(checkpoint)
    words.save_pretrained(checkpoint)
    image_processor(kind).save_pretrained(checkpoint)
    if kind == "instructblip":
        qformer_tokenizer().save_pretrained(checkpoint / "qformer_tokenizer")
    space = {layer: torch.linalg.qr(torch.randn(WIDTH, RANK))[0] for layer in range(LAYERS)}
    catalog.save_space(HalluSpace(space, {"pairs": 0}), checkpoint / "hallu_space.safetensors")
    state = _projector(kind, model).state_dict()
    changed = {key: value + 0.3 * (value.std() + 0.1) * torch.randn_like(value) for key, value in state.items()}
    save_file(changed, checkpoint / "projector-adavib.safetensors")
    return checkpoint


def _projector(kind: str, model):
    """Where transformers keeps the projector of a family."""
    if kind == "instructblip":
        return model.language_projection
    merger, connector = {*MARKED} - {"gemma3"}, (*SMOL, "idefics2")
    path = "visual.merger" if kind in merger else "connector" if kind in connector else "multi_modal_projector"
    return model.model.get_submodule(path)


def lvlm(kind: str, quantization: str = "none") -> LVLM:
    """The tiny model of a family, loaded once."""
    return _loaded(kind, quantization)


def is_trainable(kind: str) -> bool:
    """Whether CHiP, HACL and AdaVIB know this family."""
    return FAMILIES[kind].lvlm_class().trainable


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
        if kind in PARTS:
            return PARTS[kind].processor(images, words)
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
    results = processor(kind, model)(images=photo(seed), text=text, return_tensors="pt")
    return {key: value for key, value in results.items() if isinstance(value, torch.Tensor)}


@torch.no_grad()
def from_scratch(kind: str, quantization: str, prompt: str, view: str, answer: list[int], seed: int = 0):
    """Logits [T, V] that precede each of T answer tokens: one forward of the whole text, no cache, no batch."""
    model = lvlm(kind, quantization)
    answer_ids = torch.tensor([answer[:-1]], dtype=torch.long)
    if view != "photo":
        ids = torch.tensor([model.prompt_ids(prompt, view)])
        language = model.model.language_model if kind == "instructblip" else model.model
        logits = language(input_ids=torch.cat([ids, answer_ids], 1), use_cache=False).logits[0]
        return logits[ids.shape[1] - 1 :].float()
    tensors = inputs(kind, quantization, prompt, seed)
    length = tensors["input_ids"].shape[1]
    tensors["input_ids"] = torch.cat([tensors["input_ids"], answer_ids], 1)
    tensors["attention_mask"] = torch.ones_like(tensors["input_ids"])
    for key in ("mm_token_type_ids", "token_type_ids"):
        if key in tensors:
            tensors[key] = torch.nn.functional.pad(tensors[key], (0, answer_ids.shape[1]))
    return model.model(**tensors, use_cache=False).logits[0][length - 1 :].float()
