"""Checkpoints in formats that are never loaded, and the id of a checkpoint that can be used in their place."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from halluapp.errors import InputError

ORIGINAL_LLAVA = "the format of the original LLaVA code"
OWN_CODE = "whose code lies in its own repository and is never run here"
ANY = "Qwen/Qwen3-VL-4B-Instruct"
# By the class in config.json: what it is, and what to load in its place.
FOREIGN = {
    "LlavaLlamaForCausalLM": (ORIGINAL_LLAVA, "llava-hf/llava-1.5-7b-hf"),
    "LlavaMistralForCausalLM": (ORIGINAL_LLAVA, "llava-hf/llava-v1.6-mistral-7b-hf"),
    "LlavaMptForCausalLM": (ORIGINAL_LLAVA, "llava-hf/llava-1.5-7b-hf"),
    "LlavaMPTForCausalLM": (ORIGINAL_LLAVA, "llava-hf/llava-1.5-7b-hf"),
    "LlavaQwenForCausalLM": (ORIGINAL_LLAVA, "llava-hf/llava-1.5-7b-hf"),
    "QWenLMHeadModel": (OWN_CODE, "Qwen/Qwen2.5-VL-7B-Instruct"),
    "MiniCPMV": (OWN_CODE, "Qwen/Qwen3-VL-8B-Instruct"),
    "MiniCPMO": (OWN_CODE, "Qwen/Qwen3-VL-8B-Instruct"),
    "InternVLChatModel": (OWN_CODE, "Qwen/Qwen3-VL-8B-Instruct"),
}
# The same by model_type, for a config.json that names no class.
CLASSES = {
    "llava_llama": "LlavaLlamaForCausalLM", "llava_mistral": "LlavaMistralForCausalLM",
    "llava_mpt": "LlavaMptForCausalLM", "llava_qwen": "LlavaQwenForCausalLM", "qwen": "QWenLMHeadModel",
    "minicpmv": "MiniCPMV", "minicpmo": "MiniCPMO", "internvl_chat": "InternVLChatModel",
}  # fmt: skip
# What is nearest to a model_type of transformers that is no family here; for all others it is ANY.
NEAREST = {
    **dict.fromkeys(("blip", "blip-2", "git", "instructblipvideo"), "Salesforce/instructblip-vicuna-7b"),
    **dict.fromkeys(("llava_next_video", "video_llava"), "llava-hf/llava-v1.6-mistral-7b-hf"),
    **dict.fromkeys(("fast_vlm", "lfm2_vl", "lfm3_vl"), "HuggingFaceTB/SmolVLM-Instruct"),
    "idefics": "HuggingFaceM4/Idefics3-8B-Llama3",
}
# Why a model_type of transformers is no family here; of all others, nobody has written how their photos come in.
CAUSES = {
    **dict.fromkeys(
        ("florence2", "pix2struct", "pp_formulanet", "t5gemma2", "udop", "vision-encoder-decoder"),
        "its encoder-decoder cannot be decoded as rows of one batch",
    ),
    **dict.fromkeys(
        ("lfm2_vl", "lfm3_vl", "nemotron_h_omni", "qwen3_5", "qwen3_5_moe"),
        "some of its layers keep a state instead of keys and values, which rows cannot share",
    ),
    **dict.fromkeys(("idefics", "mllama"), "it reads a photo by cross-attention and has no visual tokens"),
    **dict.fromkeys(("chameleon", "emu3"), "its photos are words of its vocabulary and have no vision tower"),
    **dict.fromkeys(("instructblipvideo", "llava_next_video", "video_llava"), "it is made for videos"),
    "diffusion_gemma": "it does not write one token after another",
    "shieldgemma2": "it classifies photos and describes none",
    "pi0": "it moves robots and describes no photos",
}
UNKNOWN = "nobody has written how its photos become visual tokens"


def refusal(kind: str, name: str) -> str:
    """One sentence for a checkpoint of transformers whose model_type is no family here: why, and what to use."""
    return (
        f"{name} is a {kind} model, which cannot be loaded here ({CAUSES.get(kind, UNKNOWN)}); use for example "
        f"{NEAREST.get(kind, ANY)} (docs/families.md lists all families)."
    )


def check(raw: dict[str, Any], name: str, families: Collection[str]) -> None:
    """Raises InputError with one sentence for a config.json that cannot be loaded; needs no weights and runs no code.

    raw: the values of config.json; families: the values of model_type that can be loaded.
    """
    kind = str(raw.get("model_type"))
    architecture = str((raw.get("architectures") or [CLASSES.get(kind)])[0])
    if architecture not in FOREIGN and "mm_vision_tower" in raw:  # a fine-tune of the original code, under its own name
        architecture = CLASSES.get(kind, "LlavaLlamaForCausalLM")
    if architecture in FOREIGN:
        what, other = FOREIGN[architecture]
        raise InputError(f"{name} is a {architecture}, {what}; use {other}.")
    if kind not in families and raw.get("auto_map"):
        raise InputError(f"{name} is a {architecture}, {OWN_CODE}; use for example {ANY}.")
    if kind in families and not raw.keys() & {"vision_config", "text_config"}:  # a default of 7B would be filled in
        raise InputError(f"The config.json of {name} describes neither tower nor decoder; use for example {ANY}.")
