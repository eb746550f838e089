"""The 4-bit policy: what is quantized, and how bitsandbytes is kept from repacking weights on the CPU."""

from __future__ import annotations

from torch import nn

# transformers matches these against full module names from the start; shorter names silently quantize everything.
KEPT_DENSE = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
BLOCK = 64  # weights that share a scale


def uneven_layers(text_config) -> list[str]:
    """Names of decoder layers whose input width is no whole number of blocks; they stay dense.

    The CPU kernels of bitsandbytes (0.50.2) start a new block with every row, its quantizer does not: such weights are
    decoded with the wrong scales, at 25 % error instead of 9 %. All LLaVA checkpoints have even widths.
    """
    hidden, heads = text_config.hidden_size, text_config.num_attention_heads
    attended = heads * (getattr(text_config, "head_dim", None) or hidden // heads)
    widths = dict.fromkeys(("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"), hidden)
    widths |= {"o_proj": attended, "down_proj": text_config.intermediate_size}
    return [name for name, width in widths.items() if width % BLOCK]


def nf4_config(compute_dtype, text_config):
    """NF4, double quantization (Dettmers et al. 2023, QLoRA, section 3); vision tower, projector, head stay dense."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
        llm_int8_skip_modules=[*KEPT_DENSE, *uneven_layers(text_config)],
    )


def available() -> bool:
    """Whether bitsandbytes can be imported."""
    from importlib.util import find_spec

    return find_spec("bitsandbytes") is not None


def quantized_linears(model: nn.Module) -> dict[str, nn.Module]:
    """All 4-bit linear layers by name (empty for a dense model)."""
    if not available():
        return {}
    import bitsandbytes

    return {name: module for name, module in model.named_modules() if isinstance(module, bitsandbytes.nn.Linear4bit)}


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
