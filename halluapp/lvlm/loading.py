"""Loads a checkpoint, from the hub or a folder: its family by config.json, its quantization, its processors."""

from __future__ import annotations

from importlib import import_module
from logging import ERROR, getLogger
from pathlib import Path

import torch
from safetensors import SafetensorError

from halluapp.errors import InputError
from halluapp.lvlm import quantize
from halluapp.lvlm.base import LVLM

# model_type of config.json -> (module here, class here, class in transformers)
FAMILIES = {
    "llava": ("llava", "Llava", "LlavaForConditionalGeneration"),
    "llava_next": ("llava_next", "LlavaNext", "LlavaNextForConditionalGeneration"),
    "qwen2_5_vl": ("qwen_vl", "Qwen25VL", "Qwen2_5_VLForConditionalGeneration"),
    "qwen3_vl": ("qwen_vl", "Qwen3VL", "Qwen3VLForConditionalGeneration"),
    "instructblip": ("instructblip", "InstructBlip", "InstructBlipForConditionalGeneration"),
    "smolvlm": ("smolvlm", "SmolVLM", "SmolVLMForConditionalGeneration"),
    "idefics3": ("smolvlm", "SmolVLM", "Idefics3ForConditionalGeneration"),
}


def load_checkpoint(source: str | Path, name: str, quantization: str, device: str) -> tuple[LVLM, str]:
    """-> (LVLM, notice for the person or ""). Raises InputError with one sentence when it cannot be loaded.

    quantization: "nf4", "int8" or "none" (bfloat16 on a GPU, float32 on a CPU); a checkpoint that is quantized already
    stays as it is.
    """
    _quiet()
    try:
        return _load(source, name, quantization, device)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        raise InputError(
            f"The model {name} could not be loaded ({_reason(error)}); check the name or folder and the network, "
            "or use the embedded model: --model pocket"
        ) from error


def configuration(source: str | Path):
    """The config.json of a folder or hub id, without weights. Raises InputError."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"The configuration of {source} could not be read ({_reason(error)}); check the name or folder, and the "
            "network."
        ) from error


def _reason(error: Exception) -> str:
    """A few words; of transformers' advice only the beginning, without addresses."""
    text = " ".join(str(error).split())
    if "connect to" in text or "offline" in text.lower():
        return "the hub cannot be reached and the model is not in the local cache"
    if "Repo id must be" in text:
        return "this is neither a folder nor a name on the hub"
    return text[:160]


def _quiet() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()  # load reports and progress bars are noise between lines of results
    logging.disable_progress_bar()
    getLogger("bitsandbytes").setLevel(ERROR)  # it reports each start that an optional package is missing
    getLogger("huggingface_hub").setLevel(ERROR)  # and this one each of five attempts without a network


def _load(source, name: str, quantization: str, device: str) -> tuple[LVLM, str]:
    import transformers

    config = transformers.AutoConfig.from_pretrained(source)
    family, architecture = _family(config, name)
    quantization, notice = _choice(config, quantization)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    options = {"dtype": dtype, "device_map": device}
    if not quantize.checkpoint_quantization(config) and quantization != "none":
        options["quantization_config"] = quantize.config(quantization, dtype, config.text_config, family.dense_modules)
    made = architecture.from_pretrained(source, output_loading_info=True, **options)
    model, lacking = made[0], sorted(made[1]["missing_keys"])
    if lacking:  # transformers would go on with random weights in their place
        raise InputError(f"The checkpoint {name} lacks {len(lacking)} weights, {lacking[0]} among them.")
    tokenizer = _tokenizer(source, name, family)
    more = {}
    if config.model_type == "instructblip":
        more["qformer_tokenizer"] = transformers.AutoTokenizer.from_pretrained(source, subfolder="qformer_tokenizer")
    if device == "cpu":
        quantize.keep_portable_layout(model)
    processor = transformers.AutoImageProcessor.from_pretrained(source)
    lvlm = family(model, tokenizer, processor, name, quantization, **more)
    _check_template(lvlm)
    return lvlm, notice or _seen_through_quantization(lvlm)


def _check_template(lvlm: LVLM) -> None:
    try:
        lvlm.prompt_ids("?", "photo")
    except Exception as error:  # templates are programs: whatever goes wrong in one of them
        raise InputError(f"The chat template of {lvlm.name} has no place for a photo beside the prompt.") from error


def _family(config, name: str) -> tuple[type[LVLM], type]:
    """The classes for a config, ours and transformers'."""
    import transformers

    if config.model_type not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise InputError(f"{name} is a {config.model_type} model; these families can be loaded: {known}.")
    if getattr(config.text_config, "is_encoder_decoder", False):
        raise InputError(
            f"{name} has an encoder-decoder language model, whose answers cannot be decoded as rows of one batch; "
            "use a Vicuna variant of its family."
        )
    module, ours, theirs = FAMILIES[config.model_type]
    return getattr(import_module(f"halluapp.lvlm.families.{module}"), ours), getattr(transformers, theirs)


def _choice(config, quantization: str) -> tuple[str, str]:
    """The quantization that is used, and what to say when it is not the one asked for."""
    already = quantize.checkpoint_quantization(config)
    if already:
        same = already == quantization
        return already, "" if same else f"The checkpoint is quantized already ({already}) and used as it is."
    if quantization != "none" and not quantize.available():
        return "none", "bitsandbytes is not installed, so the model runs unquantized."
    return quantization, ""


def _seen_through_quantization(lvlm: LVLM) -> str:
    """A notice when a checkpoint came with parts quantized that we would have kept dense."""
    coarse = [name for name in quantize.quantized_linears(lvlm.model, True) if name.startswith(lvlm.dense_modules)]
    return f"The checkpoint came with {len(coarse)} quantized layers outside the decoder." if coarse else ""


def _tokenizer(source, name: str, family: type[LVLM]):
    """The tokenizer with a chat template: its own, the processor's (older checkpoints), or the family's."""
    from transformers import AutoTokenizer
    from transformers.processing_utils import ProcessorMixin

    tokenizer = AutoTokenizer.from_pretrained(source)
    if tokenizer.chat_template is None:
        try:
            tokenizer.chat_template = ProcessorMixin.get_processor_dict(source)[0].get("chat_template")
        except OSError:  # neither a processor nor a template beside the tokenizer
            tokenizer.chat_template = None
    if tokenizer.chat_template is None and not family.template:
        raise InputError(f"The checkpoint {name} has no chat template, so its prompt format is unknown.")
    return tokenizer
