"""Loads a checkpoint, from the hub or a folder: its family by config.json, its quantization, its processors."""

from __future__ import annotations

from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from safetensors import SafetensorError

from halluapp.errors import InputError
from halluapp.lvlm import quantize
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.families import FAMILIES, Family


def load_checkpoint(source: str | Path, name: str, quantization: str, device: str) -> tuple[LVLM, str]:
    """-> (LVLM, notice for the person or ""). Raises InputError with one sentence when it cannot be loaded.

    quantization: "nf4", "int8" or "none" (bfloat16 on a GPU, float32 on a CPU); a checkpoint that is quantized already
    stays as it is.
    """
    _quieten_libraries()
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


def _quieten_libraries() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()  # load reports and progress bars are noise between lines of results
    logging.disable_progress_bar()
    getLogger("bitsandbytes").setLevel(ERROR)  # it reports each start that an optional package is missing
    getLogger("huggingface_hub").setLevel(ERROR)  # and this one each of five attempts without a network


def _load(source: str | Path, name: str, quantization: str, device: str) -> tuple[LVLM, str]:
    import transformers

    config = transformers.AutoConfig.from_pretrained(source)
    family = _family(config, name)
    lvlm_class = family.lvlm_class()
    quantization, notice = _choose_quantization(config, quantization)
    model = _load_model(source, name, family, config, quantization, device)
    tokenizer = _load_tokenizer(source, name, lvlm_class)
    options = lvlm_class.constructor_options(source)
    if device == "cpu":
        quantize.keep_portable_layout(model)
    processor = transformers.AutoImageProcessor.from_pretrained(source)
    lvlm = lvlm_class(model, tokenizer, processor, name, quantization, **options)
    _check_template(lvlm)
    return lvlm, notice or _notice_of_quantized_vision(lvlm)


def _load_model(source: str | Path, name: str, family: Family, config: Any, quantization: str, device: str) -> Any:
    """The model of transformers with its weights. Raises InputError for a checkpoint that lacks some of them."""
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    options: dict[str, Any] = {"dtype": dtype, "device_map": device}
    if not quantize.checkpoint_quantization(config) and quantization != "none":
        dense_modules = family.lvlm_class().dense_modules
        options["quantization_config"] = quantize.config(quantization, dtype, config.text_config, dense_modules)
    architecture = family.architecture_class()
    model, details = architecture.from_pretrained(source, output_loading_info=True, **options)
    missing = sorted(details["missing_keys"])
    if missing:  # transformers would go on with random weights in their place
        raise InputError(f"The checkpoint {name} lacks {len(missing)} weights, {missing[0]} among them.")
    return model


def _check_template(lvlm: LVLM) -> None:
    try:
        lvlm.prompt_ids("?", "photo")
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"The chat template of {lvlm.name} has no place for a photo beside the prompt.") from error


def _family(config: Any, name: str) -> Family:
    """The family of a configuration. Raises InputError where it cannot be loaded."""
    if config.model_type not in FAMILIES:
        families = ", ".join(FAMILIES)
        raise InputError(f"{name} is a {config.model_type} model; these families can be loaded: {families}.")
    if getattr(config.text_config, "is_encoder_decoder", False):
        raise InputError(
            f"{name} has an encoder-decoder language model, whose answers cannot be decoded as rows of one batch; "
            "use a Vicuna variant of its family."
        )
    return FAMILIES[config.model_type]


def _choose_quantization(config: Any, quantization: str) -> tuple[str, str]:
    """-> (the quantization that is used, a notice where it is not the requested one)."""
    stored = quantize.checkpoint_quantization(config)
    if stored:
        notice = "" if stored == quantization else f"The checkpoint is quantized already ({stored}) and used as it is."
        return stored, notice
    if quantization != "none" and not quantize.available():
        return "none", "bitsandbytes is not installed, so the model runs unquantized."
    return quantization, ""


def _notice_of_quantized_vision(lvlm: LVLM) -> str:
    """A notice when a checkpoint came with modules quantized that we would have kept dense."""
    names = [name for name in quantize.quantized_linears(lvlm.model, True) if name.startswith(lvlm.dense_modules)]
    return f"The checkpoint came with {len(names)} quantized layers outside the decoder." if names else ""


def _load_tokenizer(source: str | Path, name: str, family: type[LVLM]) -> Any:
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
