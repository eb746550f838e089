"""Loads a checkpoint, from the hub or a folder: its family by config.json, its quantization, its processors."""

from __future__ import annotations

from dataclasses import dataclass, field
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from safetensors import SafetensorError

from halluapp.errors import InputError
from halluapp.lvlm import quantize
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.families import FAMILIES, Family, foreign
from halluapp.lvlm.weights import placement, precision
from halluapp.lvlm.weights.placement import Placement

RENAMED_PROCESSORS = {"Qwen2_5_VLImageProcessor": "Qwen2VLImageProcessor"}


def load_checkpoint(
    source: str | Path,
    name: str,
    quantization: str,
    device: str,
    dtype: str = "auto",
    spread: Placement | None = None,
) -> tuple[LVLM, str]:
    """-> (LVLM, notice for the person or ""). Raises InputError with one sentence when it cannot be loaded.

    quantization: "nf4", "int8" or "none"; a checkpoint that is quantized already stays as it is. dtype: of all other
    weights, see `precision.weight_dtype`. spread: over several devices; None: all of it on `device`.
    """
    _quieten_libraries()
    try:
        options: dict[str, Any] = spread.options(device) if spread else {"device_map": device}
        options["dtype"] = precision.weight_dtype(dtype, device)
        lvlm, notice = _load(source, name, quantization, options)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        if spread and "dispatched on the CPU" in str(error):
            raise placement.too_large_for_quantization(name) from error
        raise InputError(
            f"The model {name} could not be loaded ({_reason(error)}); {_advice(source, error)}, "
            "or use the embedded model: --model pocket"
        ) from error
    placement.check(lvlm, spread.offload if spread else "")
    return lvlm, " ".join(filter(None, (notice, placement.notice(lvlm.model))))


def configuration(source: str | Path):
    """The config.json of a folder or hub id, without weights. Raises InputError."""
    try:
        return _config(source, str(source))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"The configuration of {source} could not be read ({_reason(error)}); {_advice(source, error)}."
        ) from error


def _config(source: str | Path, name: str) -> Any:
    """The configuration of a folder or hub id; code of the checkpoint's own repository is never run."""
    from transformers import AutoConfig, PreTrainedConfig

    foreign.check(PreTrainedConfig.get_config_dict(source)[0], name, FAMILIES)
    return AutoConfig.from_pretrained(source, trust_remote_code=False)


def _unreachable(error: Exception) -> bool:
    text = " ".join(str(error).split())
    return "connect to" in text or "offline" in text.lower()


def _advice(source: str | Path, error: Exception) -> str:
    """What to check: the network only where the hub was asked and did not answer."""
    if Path(source).is_dir():
        return "check the files in that folder"
    return "check the network" if _unreachable(error) else "check the name or folder"


def _reason(error: Exception) -> str:
    """A few words; of transformers' advice only the beginning, without addresses."""
    text = " ".join(str(error).split())
    if _unreachable(error):
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
    getLogger("accelerate").setLevel(ERROR)  # it warns of offloading, which our own notice tells


def _load(source: str | Path, name: str, quantization: str, options: dict[str, Any]) -> tuple[LVLM, str]:
    """options: of `from_pretrained`, what lies where and in which dtype."""
    config = _config(source, name)
    family = family_of(config, name)
    lvlm_class = family.lvlm_class()
    quantization, notice = _choose_quantization(config, quantization)
    model = _load_model(source, name, family, config, quantization, options)
    parts = Parts(
        _load_tokenizer(source), _load_image_processor(source), _processor_template(source),
        lvlm_class.constructor_options(source),
    )  # fmt: skip
    lvlm = assemble(model, lvlm_class, parts, name, quantization)
    notices = (notice or _notice_of_quantized_vision(lvlm), _notice_of_penalty(model.generation_config))
    return lvlm, " ".join(filter(None, notices))


@dataclass(frozen=True)
class Parts:
    """What reads text and photos for a model. template: the processor's chat template; options: of the family."""

    tokenizer: Any
    image_processor: Any
    template: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def assemble(model: Any, lvlm_class: type[LVLM], parts: Parts, name: str, quantization: str) -> LVLM:
    """The LVLM of a loaded model of transformers and its parts. Raises InputError where it has no usable template."""
    if model.device.type == "cpu":
        quantize.keep_portable_layout(model)
    tokenizer = parts.tokenizer
    lvlm = lvlm_class(model, tokenizer, parts.image_processor, name, quantization, **parts.options)
    texts = (parts.template, default_template(tokenizer.chat_template))
    templates: list[str | None] = [text for text in texts if text]
    if not templates and not lvlm_class.template:
        raise InputError(f"The checkpoint {name} has no chat template, so its prompt format is unknown.")
    for template in templates or [None]:
        tokenizer.chat_template = template
        if _template_has_photo(lvlm):  # a template for text alone may lie beside the tokenizer
            return lvlm
    raise InputError(f"The chat template of {lvlm.name} has no place for a photo beside the prompt.")


def _load_model(
    source: str | Path, name: str, family: Family, config: Any, quantization: str, options: dict[str, Any]
) -> Any:
    """The model of transformers with its weights. Raises InputError for a checkpoint that lacks some of them."""
    if not quantize.checkpoint_quantization(config) and quantization != "none":
        dense_modules = family.lvlm_class().dense_modules
        quantizer = quantize.config(quantization, options["dtype"], config.text_config, dense_modules)
        options = {**options, "quantization_config": quantizer}
    architecture = family.architecture_class()
    model, details = architecture.from_pretrained(source, output_loading_info=True, trust_remote_code=False, **options)
    missing = sorted(details["missing_keys"])
    if missing:  # transformers would go on with random weights in their place
        raise InputError(f"The checkpoint {name} lacks {len(missing)} weights, {missing[0]} among them.")
    return model


def _template_has_photo(lvlm: LVLM) -> bool:
    try:
        lvlm.prompt_ids("?", "photo")
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return False
    return True


def family_of(config: Any, name: str) -> Family:
    """The family of a configuration. Raises InputError where it cannot be loaded."""
    if config.model_type not in FAMILIES:
        raise InputError(foreign.refusal(config.model_type, name))
    if getattr(config.text_config, "is_encoder_decoder", False):
        raise InputError(
            f"{name} has an encoder-decoder language model, whose answers cannot be decoded as rows of one batch; "
            "use a Vicuna variant of its family."
        )
    tower = getattr(config.vision_config, "model_type", "")
    return FAMILIES.get(f"{config.model_type}/{tower}", FAMILIES[config.model_type])


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


def _notice_of_penalty(generation_config: Any) -> str:
    """A notice when the checkpoint's own `generate` would penalise repetitions; here that happens only if asked."""
    penalty = getattr(generation_config, "repetition_penalty", None) or 1.0
    if penalty == 1.0:
        return ""
    return (
        f"The checkpoint suggests a repetition penalty of {penalty:g}, which is not applied unless you ask for it "
        f"(--repetition-penalty {penalty:g})."
    )


def _load_tokenizer(source: str | Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source, trust_remote_code=False)


def _processor_template(source: str | Path) -> str | None:
    """The chat template of the checkpoint's processor, None without one."""
    from transformers.processing_utils import ProcessorMixin

    try:
        return default_template(ProcessorMixin.get_processor_dict(source)[0].get("chat_template"))
    except OSError:  # neither a processor nor a template beside the tokenizer
        return None


def default_template(template: str | dict[str, str] | None) -> str | None:
    """Of several named templates the one called "default"."""
    return template.get("default") if isinstance(template, dict) else template


def _load_image_processor(source: str | Path) -> Any:
    """The checkpoint's image processor, also under the name that its class had in the first weeks of Qwen2.5-VL."""
    import transformers
    from transformers.image_processing_base import ImageProcessingMixin

    values, _ = ImageProcessingMixin.get_image_processor_dict(source)
    kind = str(values.get("image_processor_type")).removesuffix("Fast")
    if kind in RENAMED_PROCESSORS:
        return getattr(transformers, RENAMED_PROCESSORS[kind]).from_pretrained(source)
    return transformers.AutoImageProcessor.from_pretrained(source, trust_remote_code=False)
