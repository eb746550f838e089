"""The 4-bit policy: what is quantized, and how bitsandbytes is stopped from repacking weights on the CPU."""

from __future__ import annotations

from typing import Any

from torch import nn

CHOICES = ("nf4", "int8", "none")
BLOCK = 64  # weights that share a scale


def uneven_layers(text_config) -> list[str]:
    """Names of decoder layers whose input width is no whole number of blocks; they stay dense.

    The CPU kernels of bitsandbytes (0.50.2) start a new block with every row, its quantizer does not: such weights are
    decoded with the wrong scales, at 25 % error instead of 9 %. All LLaVA checkpoints have even widths.
    """
    hidden, heads = text_config.hidden_size, text_config.num_attention_heads
    heads_width = heads * (getattr(text_config, "head_dim", None) or hidden // heads)
    widths = dict.fromkeys(("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "gate_up_proj"), hidden)
    widths |= {"o_proj": heads_width, "down_proj": text_config.intermediate_size}
    return [name for name, width in widths.items() if width % BLOCK]


def config(choice: str, compute_dtype, text_config, dense_modules: tuple[str, ...]):
    """The quantization config of transformers for "nf4" or "int8"; None for "none".

    nf4: NF4, double quantization (Dettmers et al. 2023, QLoRA, section 3). int8: LLM.int8() (Dettmers et al. 2022); its
    outlier columns are picked over the whole batch, so a row can depend on the others by a rounding error.
    dense_modules: full module names, for transformers matches them from the start of a name (or its end); names such as
    "vision_tower" would silently quantize everything.
    """
    from transformers import BitsAndBytesConfig

    if choice == "none":
        return None
    if choice == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(dense_modules))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
        llm_int8_skip_modules=[*dense_modules, *uneven_layers(text_config)],
    )


def checkpoint_quantization(config) -> str:
    """The quantization that a checkpoint is stored in, by its config.json: "nf4", "int8", another name, or ""."""
    stored = getattr(config, "quantization_config", None)
    if not stored:
        return ""
    options = stored if isinstance(stored, dict) else stored.to_dict()
    if options.get("load_in_8bit"):
        return "int8"
    return options.get("bnb_4bit_quant_type", "fp4") if options.get("load_in_4bit") else str(options["quant_method"])


def available() -> bool:
    """Whether bitsandbytes can be imported."""
    from importlib.util import find_spec

    return find_spec("bitsandbytes") is not None


def quantized_linears(model: nn.Module, eight_bit: bool = False) -> dict[str, Any]:
    """All 4-bit (with `eight_bit`, 8-bit too) linear layers by name; empty for a dense model."""
    if not available():
        return {}
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    kinds = (Linear4bit, Linear8bitLt) if eight_bit else (Linear4bit,)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def keep_portable_layout(model: nn.Module) -> int:
    """Stops the in-place repacking of 4-bit weights on CPUs with AVX-512-BF16 -> number of layers.

    The first evaluation forward would repack them for inference, for good; gradients of anything trained afterwards
    in the same process would then silently vanish. The packed kernels also round to bfloat16 by batch size, so that
    rows of a batch would not equal the same method run alone.
    """
    layers = quantized_linears(model).values()
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    return len(layers)
