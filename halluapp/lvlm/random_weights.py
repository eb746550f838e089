"""Full-size LVLMs with random weights: speed and memory can be measured where no checkpoint is at hand.

`--model random:llava-1.5-7b`. Texts are noise; shapes, kernels and quantization are those of the real model. The
tokenizer is the embedded model's, so prompts are a few tokens longer or shorter than with the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from halluapp.errors import InputError, quotation
from halluapp.lvlm import quantize
from halluapp.lvlm.base import LVLM, HalluSpace
from halluapp.lvlm.families import FAMILIES
from halluapp.lvlm.weights import placement, precision
from halluapp.lvlm.weights.placement import Placement

PREFIX, RANK = "random:", 4


@dataclass(frozen=True)
class Blueprint:
    """model_type of the family; config(image token id) -> configuration; processor() -> image processor.

    image_token: the image placeholder; special_tokens: further ones that the family's prompts need.
    """

    family: str
    config: Callable
    processor: Callable
    image_token: str = "<image>"
    special_tokens: tuple[str, ...] = ()


def _llava(size: dict, image: int, vision: dict | None = None):
    import transformers

    base = {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
        "image_size": 336, "patch_size": 14, "projection_dim": 768,
    }  # fmt: skip
    return transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**{**base, **(vision or {})}),
        text_config=transformers.LlamaConfig(**size, tie_word_embeddings=False), image_token_index=image,
        vision_feature_layer=-2, vision_feature_select_strategy="default", tie_word_embeddings=False,
    )  # fmt: skip


def _clip_processor(side: int):
    import transformers

    return transformers.CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})


def _qwen25(size: dict, vision: dict, section: list[int], image: int):
    import transformers

    rope = {"rope_type": "default", "mrope_section": section, "rope_theta": 1e6}
    return transformers.Qwen2_5_VLConfig(
        vision_config={"patch_size": 14, "window_size": 112, "out_hidden_size": size["hidden_size"], **vision},
        text_config={**size, "rope_parameters": rope, "tie_word_embeddings": False},
        image_token_id=image, tie_word_embeddings=False,
    )  # fmt: skip


def _qwen_processor(side: int):
    import transformers

    pixels = (side * 28) ** 2  # side 24: 576 visual tokens, as LLaVA-1.5 has
    return transformers.Qwen2VLImageProcessorPil(min_pixels=pixels, max_pixels=pixels)


SEVEN = {
    "vocab_size": 32064, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096,
}  # fmt: skip
TINY = {
    "vocab_size": 8000, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 512,
}  # fmt: skip
TINY_VISION = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 56,
}  # fmt: skip
QWEN_SEVEN = {
    "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 32768,
}  # fmt: skip
QWEN_VISION = {
    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
    "fullatt_block_indexes": [7, 15, 23, 31],
}  # fmt: skip
QWEN_TINY_VISION = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "fullatt_block_indexes": [1],
}  # fmt: skip
QWEN_MARKS = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
QWEN_TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "ASSISTANT:"
)
BLUEPRINTS = {
    "llava-1.5-7b": Blueprint("llava", lambda image: _llava(SEVEN, image), lambda: _clip_processor(336)),
    "qwen2.5-vl-7b": Blueprint(
        "qwen2_5_vl",
        lambda image: _qwen25(QWEN_SEVEN, QWEN_VISION, [16, 24, 24], image),
        lambda: _qwen_processor(24),
        QWEN_MARKS[1],
        QWEN_MARKS,
    ),
    "qwen-tiny": Blueprint(
        "qwen2_5_vl",
        lambda image: _qwen25(TINY, QWEN_TINY_VISION, [2, 3, 3], image),
        lambda: _qwen_processor(4),
        QWEN_MARKS[1],
        QWEN_MARKS,
    ),
    "llava-tiny": Blueprint("llava", lambda image: _llava(TINY, image, TINY_VISION), lambda: _clip_processor(56)),
}


def configuration(name: str, image: int = 32000):
    """The configuration of a random model, by the name after "random:"; image: token id. Raises InputError."""
    if name not in BLUEPRINTS:
        raise InputError(f"There is no random model {quotation(name)}; known are {', '.join(BLUEPRINTS)}.")
    return BLUEPRINTS[name].config(image)


def build(
    name: str,
    quantization: str,
    device: str,
    assets: Path,
    dtype_choice: str = "auto",
    spread: Placement | None = None,
) -> LVLM:
    """A model by the name after "random:", with a random HalluSpace and AdaVIB projector. Raises InputError.

    spread: over several devices; None: all of it on `device`.
    """
    from transformers import AutoTokenizer

    configuration(name)  # refuses unknown names
    blueprint = BLUEPRINTS[name]
    family = FAMILIES[blueprint.family]
    lvlm_class, architecture = family.lvlm_class(), family.architecture_class()
    tokenizer = AutoTokenizer.from_pretrained(assets / "pocket", trust_remote_code=False)
    if blueprint.special_tokens:
        tokenizer.add_special_tokens({"additional_special_tokens": list(blueprint.special_tokens)})
        tokenizer.chat_template = QWEN_TEMPLATE
    config = blueprint.config(tokenizer.convert_tokens_to_ids(blueprint.image_token))
    dtype = precision.weight_dtype(dtype_choice, device)
    torch.manual_seed(0)
    options = quantize.config(quantization, dtype, config.text_config, lvlm_class.dense_modules)
    model = _model(architecture, config, options, dtype, device, spread)
    for key in ("eos_token_id", "pad_token_id", "bos_token_id"):
        setattr(model.generation_config, key, getattr(tokenizer, key))
    if device == "cpu":
        quantize.keep_portable_layout(model)
    lvlm = lvlm_class(model, tokenizer, blueprint.processor(), PREFIX + name, quantization)
    placement.check(lvlm, spread.offload if spread else "")
    _attach_random_weights(lvlm)
    return lvlm


def _model(
    architecture: Any, config: Any, options: Any, dtype: torch.dtype, device: str, spread: Placement | None
) -> Any:
    """A model of random weights; of the layers that are quantized only one at a time is in memory as a whole."""
    from accelerate import init_empty_weights
    from transformers.quantizers import AutoHfQuantizer

    with init_empty_weights(include_buffers=False):
        model = architecture._from_config(config, dtype=dtype)
    if options is not None:
        quantizer = AutoHfQuantizer.from_config(options, pre_quantized=False)
        quantizer.preprocess_model(model, device_map={"": device})
    where = placement.device_map(model, spread, device) if spread else {}
    if spread:
        _check_map(where, PREFIX + config.model_type, spread, options is not None, device)
    for name, module in model.named_modules():
        _fill(module, config.get_text_config().initializer_range, dtype, _device(name, where, device))
    model.tie_weights()
    if options is not None:
        model.hf_quantizer = quantizer
        quantizer.postprocess_model(model)
    if spread:
        return placement.lay_out(model, where, spread.offload)
    return model.to(device) if options is None else model


def _check_map(where: dict[str, int | str], name: str, spread: Placement, quantized: bool, device: str) -> None:
    """Raises InputError where weights would have to lie where they cannot."""
    outside = set(where.values()) & ({"disk"} if device == "cpu" else {"cpu", "disk"})
    if outside and quantized:
        raise placement.too_large_for_quantization(name)
    if "disk" in outside and not spread.offload:
        raise placement.too_large(name)
    if set(where.values()) == {"disk"}:
        raise placement.too_large_tower(name)


def _device(name: str, where: dict[str, int | str], device: str) -> str | int:
    """Where the weights of a module are made; those that go to the disk are made in main memory."""
    parts = name.split(".")
    prefixes = (".".join(parts[:count]) for count in range(len(parts), -1, -1))
    target = next((where[prefix] for prefix in prefixes if prefix in where), "cpu" if where else device)
    return "cpu" if target == "disk" else target


def _fill(module: torch.nn.Module, deviation: float, dtype: torch.dtype, device: str | int) -> None:
    """Random weights, by transformers' usual rule, in place of a module's own empty ones; quantized at once."""
    for key, empty in list(module.named_parameters(recurse=False)):
        weight = torch.empty(empty.shape, dtype=dtype, device=device)
        if weight.dim() > 1 or key == "class_embedding":
            weight.normal_(0, deviation)
        else:
            weight.fill_(float(key == "weight"))  # norms and biases
        if type(empty) is torch.nn.Parameter:
            module.register_parameter(key, torch.nn.Parameter(weight, empty.requires_grad))
        else:  # of bitsandbytes, which quantizes on its way to a device
            values = {name: value for name, value in vars(empty).items() if name != "SCB"}
            setattr(module, key, type(empty)(weight.cpu(), requires_grad=False, **values).to(device))
    for key, buffer in list(module.named_buffers(recurse=False)):
        module.register_buffer(key, buffer.to(device), key not in module._non_persistent_buffers_set)


def _attach_random_weights(lvlm: LVLM) -> None:
    """A HalluSpace at the upper half of the layers, and a projector near the model's: for the five default panels."""
    count, width = len(lvlm.layers), lvlm.decoder.get_input_embeddings().weight.shape[1]
    layers = {layer: torch.linalg.qr(torch.randn(width, RANK))[0] for layer in range(count // 2, count)}
    lvlm.spaces["default"] = HalluSpace(layers, {"pairs": 0})
    projector = placement.double(lvlm.base_projector)
    with torch.no_grad():
        for weight in projector.parameters():
            weight.mul_(1.01)
    lvlm.projectors["adavib"] = projector.requires_grad_(False)
