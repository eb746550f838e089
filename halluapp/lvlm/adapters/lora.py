"""LoRA weights of peft's files as additions to linear layers. Hu et al. 2022, equation 3."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import torch
from torch import Tensor

from halluapp.errors import InputError
from halluapp.lvlm.adapters.names import ModuleNames
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.types import Delta
from halluapp.lvlm.weights.placement import device_of, weights

# Options of peft under which an output is not x W + scale * B(A(x)).
UNSUPPORTED = (
    "use_dora", "modules_to_save", "layer_replication", "use_qalora", "trainable_token_indices", "lora_bias",
    "target_parameters", "alora_invocation_tokens", "arrow_config", "use_bdlora", "kasa_config", "monteclora_config",
    "megatron_config",
)  # fmt: skip
# Values of init_lora_weights that leave the base weights as they were. PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA do not.
UNCHANGED_BASE = (True, False, None, "gaussian", "eva", "orthogonal", "mica")
_KEY = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight")


def deltas(lvlm: LVLM, tensors: dict[str, Tensor], config: dict, name: str) -> dict[str, Delta]:
    """The additions of an adapter by the loaded model's module names. Raises InputError with the one fault."""
    _check_config(config, name)
    names, pairs = ModuleNames(lvlm), _pairs(lvlm, tensors, name)
    additions: dict[str, Delta] = {}
    for module, (down, up) in sorted(pairs.items()):
        resolved = names.resolve(module)
        if resolved is None:
            raise InputError(
                f"The adapter {name} was made for another model than {lvlm.name}, which has no module {module}."
            )
        try:
            scale = _scale(config, module, len(down))
        except (TypeError, AttributeError, ValueError, ArithmeticError, RecursionError, re.error) as error:
            raise InputError(
                f"lora_alpha or alpha_pattern of the adapter {name} is no number; save it again."
            ) from error
        check_finite(module, name, (down, up))
        device = device_of(names.modules[resolved])  # of a model over several cards
        delta = Delta(down.float().to(device), up.float().to(device), scale)
        if not delta.fits(names.modules[resolved]):
            raise InputError(f"The adapter {name} was made for another model: {module} does not fit.")
        if resolved in additions:
            raise InputError(f"The adapter {name} names {resolved} twice, under names of two versions.")
        additions[resolved] = delta
    return additions


def _check_config(config: dict, name: str) -> None:
    if config.get("peft_type") != "LORA":
        raise InputError(f"The adapter {name} is of the kind {config.get('peft_type')}; only LoRA can be added.")
    if options := [option for option in UNSUPPORTED if config.get(option)]:
        raise InputError(f"The adapter {name} uses {options[0]}, which cannot be added row by row.")
    start = config.get("init_lora_weights", True)
    if (start.lower() if isinstance(start, str) else start) not in UNCHANGED_BASE:
        raise InputError(
            f"The adapter {name} starts from {start}, which changed the model's own weights, and they are not in its "
            "folder; convert it to a plain LoRA (peft's save_pretrained with path_initial_model_for_weight_conversion)."
        )


def _pairs(lvlm: LVLM, tensors: dict[str, Tensor], name: str) -> dict[str, tuple[Tensor, Tensor]]:
    """(A [r, in], B [out, r]) by the adapter's own names; every other tensor must be an unchanged base weight."""
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if match := _KEY.fullmatch(key):
            halves.setdefault(match[1], {})[match[2]] = tensor
        else:
            _check_base_copy(lvlm, key, tensor, name)
    for module, half in halves.items():
        if len(half) < 2:
            raise InputError(f"The adapter {name} holds one of the two matrices of {module} only; save it again.")
        if half["A"].dim() != 2 or half["B"].dim() != 2:
            raise InputError(
                f"The adapter {name} is for another kind of layer: what it holds of {module} does not fit a linear one."
            )
        if len(half["A"]) != half["B"].shape[1]:
            raise InputError(f"The adapter {name} holds two matrices of different ranks for {module}; save it again.")
    return {module: (half["A"], half["B"]) for module, half in halves.items()}


def _check_base_copy(lvlm: LVLM, key: str, tensor: Tensor, name: str) -> None:
    """peft saves embeddings and head beside a LoRA on them. Raises InputError unless they are the model's own."""
    match = re.fullmatch(r"base_model\.model\.(.+?)(?:\.base_layer)?\.(weight|bias)", key)
    if not match or "lora_" in key or not tensor.is_floating_point():
        raise InputError(f"The adapter {name} holds {key}, which is no LoRA weight of a linear layer.")
    names = ModuleNames(lvlm)
    resolved = names.resolve(match[1])
    module = names.modules[resolved] if resolved is not None else None
    weight = getattr(module, match[2], None)
    if module is None or weight is None:
        raise InputError(f"The adapter {name} holds {key}, which is no LoRA weight and no weight of {lvlm.name}.")
    if not weight.is_floating_point():
        raise InputError(
            f"The adapter {name} holds a copy of {match[1]}, which cannot be compared with quantized weights; "
            "remove it from the file."
        )
    with weights(module):
        same = _same(getattr(module, match[2]).detach().cpu(), tensor)
    if not same:
        raise InputError(
            f"The adapter {name} holds changed weights of {match[1]}, which cannot be added row by row; merge it into "
            "its model and load that."
        )


def _same(weight: Tensor, copy: Tensor) -> bool:
    """Whether two tensors are equal but for the rounding of the coarser of their two types."""
    if weight.dtype == copy.dtype or weight.shape != copy.shape:
        return torch.equal(weight, copy)
    step = max(torch.finfo(dtype).eps for dtype in (weight.dtype, copy.dtype))
    return torch.allclose(weight.float(), copy.float(), rtol=step, atol=1e-7)


def _scale(config: dict, module: str, rank: int) -> float:
    """alpha / r, or alpha / sqrt(r) for rank-stabilised LoRA; of several matching patterns the first, as in peft."""
    patterns = config.get("alpha_pattern") or {}
    matching = (value for pattern, value in patterns.items() if re.match(rf"(.*\.)?({pattern})$", module))
    alpha = next(matching, config.get("lora_alpha", rank))
    if isinstance(alpha, bool) or not math.isfinite(alpha):
        raise ValueError(alpha)
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def check_finite(what: str, name: str, tensors: Iterable[Tensor]) -> None:
    """Raises InputError for a weight that is no number: every answer with it would be noise."""
    if not all(bool(torch.isfinite(tensor.float()).all()) for tensor in tensors):
        raise InputError(f"The adapter {name} holds weights of {what} that are no numbers (NaN or infinite).")
