"""Where the weights of a model lie: over several cards, in main memory, on the disk. accelerate lays and moves them.

A module whose weights were offloaded holds empty ones; its hook of accelerate brings the real ones to the device on
which it computes, for one forward. Whatever reads weights without that forward has to go through here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from halluapp.errors import InputError
from halluapp.lvlm.weights.memory import WORKING_BYTES

if TYPE_CHECKING:
    from halluapp.lvlm.base import LVLM

SHARE_OF_MAIN_MEMORY = 0.9
_SIZE = re.compile(r"(\d+|cpu)=(\d+(?:\.\d+)?)(GB|GiB|MB|MiB)", re.IGNORECASE)
_UNITS = {"gb": 10**9, "gib": 2**30, "mb": 10**6, "mib": 2**20}


@dataclass(frozen=True)
class Placement:
    """device_map: how layers are spread, a word of accelerate ("auto", "balanced", "balanced_low_0", "sequential").

    max_memory: the most that a device may hold, "0=20GiB,1=20GiB,cpu=60GiB"; of devices that are not named, what is
    free. offload: folder for the weights that neither cards nor main memory hold ("": such a model is refused).
    """

    device_map: str
    max_memory: str = ""
    offload: str = ""

    def options(self, device: str) -> dict[str, Any]:
        """Arguments of `from_pretrained` for a model that computes on `device`, "cuda" or "cpu"."""
        options: dict[str, Any] = {"device_map": self.device_map, "max_memory": self.budget(device)}
        return options | ({"offload_folder": self.offload} if self.offload else {})

    def budget(self, device: str) -> dict[int | str, int]:
        """Bytes of weights that a device may hold, by number of the card or "cpu"."""
        from accelerate.utils import get_max_memory

        free = {name: size for name, size in get_max_memory().items() if device != "cpu" or name == "cpu"}
        cards = max(1, len(free) - ("cpu" in free))
        shares = {
            name: int(size * SHARE_OF_MAIN_MEMORY) if name == "cpu" else max(0, size - WORKING_BYTES // cards)
            for name, size in free.items()
        }
        return shares | {name: size for name, size in sizes(self.max_memory).items() if name in free}


def sizes(text: str) -> dict[int | str, int]:
    """ "0=20GiB,cpu=60GB" -> {0: bytes, "cpu": bytes}. Raises InputError."""
    budget: dict[int | str, int] = {}
    for part in filter(None, re.split(r"[,\s]+", text)):
        if not (match := _SIZE.fullmatch(part)):
            raise InputError(f"HALLUAPP_MAX_MEMORY names {part[:40]!r}; write it as 0=20GiB,1=20GiB,cpu=60GiB.")
        device = match[1].lower()
        budget["cpu" if device == "cpu" else int(device)] = int(float(match[2]) * _UNITS[match[3].lower()])
    return budget


def check(lvlm: LVLM, offload: str) -> None:
    """Raises InputError where a loaded model cannot compute where it lies.

    offload: the folder that was named for what lies on the disk. What comes before the decoder stays in memory: towers
    read some weights past their modules, and so past accelerate's hooks, and not every one lies in the checkpoint.
    """
    if not offload and "disk" in devices(lvlm.model):
        raise too_large(lvlm.name)
    inside = {id(weight) for part in (lvlm.decoder, lvlm.head) for weight in part.parameters()}
    if any(weight.is_meta and id(weight) not in inside for weight in lvlm.model.parameters()):
        raise too_large_tower(lvlm.name)


def too_large(name: str) -> InputError:
    """What is said where weights would have to lie on the disk, and no folder was named for them."""
    return InputError(
        f"{name} fits neither the cards nor main memory; raise HALLUAPP_MAX_MEMORY, name a folder on a fast "
        "disk with HALLUAPP_OFFLOAD, or use a smaller model."
    )


def too_large_tower(name: str) -> InputError:
    """What is said where what comes before the decoder would have to be offloaded."""
    return InputError(
        f"The vision tower of {name} does not fit the first device, and it cannot be offloaded; raise "
        "HALLUAPP_MAX_MEMORY, or use a smaller model."
    )


def too_large_for_quantization(name: str) -> InputError:
    """What is said where layers of 4 or 8 bits would have to be offloaded, which transformers refuses."""
    return InputError(
        f"The quantized weights of {name} do not fit the cards, and only weights of 16 or 32 bits can be offloaded; "
        "use HALLUAPP_QUANTIZATION=none, give HALLUAPP_MAX_MEMORY more of the cards, or use a smaller model."
    )


def device_map(model: Any, spread: Placement, device: str) -> dict[str, int | str]:
    """Where the modules of a model without weights are to lie: module name -> number of a card, "cpu" or "disk".

    Quantized layers count with half a byte a weight. device: "cuda" or "cpu", on which the model computes.
    """
    from accelerate.utils import CustomDtype, get_balanced_memory, infer_auto_device_map

    small = {name: CustomDtype.INT4 for name, weight in model.named_parameters() if type(weight) is not nn.Parameter}
    options = {"no_split_module_classes": list(model._no_split_modules or ()), "special_dtypes": small}
    budget = spread.budget(device)
    if spread.device_map != "sequential":
        budget = get_balanced_memory(model, budget, low_zero=spread.device_map == "balanced_low_0", **options)
    return dict(infer_auto_device_map(model, budget, **options))


def lay_out(model: Any, where: dict[str, int | str], offload: str) -> Any:
    """A model whose weights lie where a device map says, or wait in main memory to be laid on the disk: with hooks."""
    from accelerate import dispatch_model

    return dispatch_model(model, where, offload_dir=offload or None, skip_keys=model._skip_keys_device_placement)


def devices(model: Any) -> tuple[str, ...]:
    """Devices that hold weights of a spread model, in the order of its layers, "cpu" and "disk" among them."""
    names = getattr(model, "hf_device_map", {}).values()
    return tuple(dict.fromkeys(_name(device) for device in names))


def _name(device: Any) -> str:
    return f"cuda:{device}" if isinstance(device, int) else str(device)


def is_spread(model: Any) -> bool:
    """Whether weights of a model lie on several devices, or are offloaded."""
    names = devices(model)
    return len(names) > 1 or "disk" in names or any(hasattr(part, "_hf_hook") for part in model.modules())


def notice(model: Any) -> str:
    """A sentence on where a spread model lies; "" for one that lies whole on one device."""
    if not is_spread(model):
        return ""
    names, words = devices(model), {"cpu": "main memory", "disk": "the disk"}
    where = " and ".join(words.get(name, name) for name in names)
    away = [words[name] for name in names if name == "disk" or (name == "cpu" and _cards(names))]
    slow = f" What lies in {' and on '.join(away)} is fetched for every token, which is slow." if away else ""
    return f"The model lies over {where}.{slow}".replace("lies in the disk", "lies on the disk")


def _cards(names: tuple[str, ...]) -> bool:
    return any(name not in ("cpu", "disk") for name in names)


def device_of(module: nn.Module) -> torch.device:
    """Where a module computes: the device that its hook of accelerate brings inputs to, else that of its weights."""
    for part in module.modules():
        for each in _hooks(part):
            if (device := getattr(each, "execution_device", None)) is not None:
                return torch.device(_name(device))
        if (weight := next(part.parameters(recurse=False), None)) is not None:
            return weight.device
    return torch.device("cpu")


def _hooks(module: nn.Module) -> tuple[Any, ...]:
    """accelerate's hooks of a module itself; several stand in a hook of hooks (SequentialHook)."""
    if (hook := getattr(module, "_hf_hook", None)) is None:
        return ()
    return tuple(getattr(hook, "hooks", (hook,)))


def weights(module: nn.Module) -> AbstractContextManager[None]:
    """Within the context a linear layer or an embedding has its weights, on the device on which it computes."""
    hook = next((each for each in _hooks(module) if getattr(each, "offload", False)), None)
    return nullcontext() if hook is None else _fetched(module, hook)


@contextmanager
def _fetched(module: nn.Module, hook: Any) -> Iterator[None]:
    try:
        hook.pre_forward(module)
        yield
    finally:
        hook.post_forward(module, None)


def tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a model by name, offloaded ones among them, one after another."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if not tensor.is_meta:
            yield name, tensor
            continue
        owner, _, key = name.rpartition(".")
        hooks = _hooks(model.get_submodule(owner))
        yield name, next(each.weights_map[key] for each in hooks if getattr(each, "weights_map", None) is not None)


def double(module: nn.Module) -> nn.Module:
    """A copy of a module, on the device on which it computes; without weights where the original's are offloaded.

    accelerate's hooks are left out: theirs would bring the original's weights.
    """
    hooks = [part._hf_hook for part in module.modules() if hasattr(part, "_hf_hook")]
    if not hooks:
        return copy.deepcopy(module)
    from accelerate.hooks import AlignDevicesHook, ModelHook, add_hook_to_module, remove_hook_from_module

    device = device_of(module)
    result = copy.deepcopy(module, {id(hook): ModelHook() for hook in hooks})
    remove_hook_from_module(result, recurse=True)
    empty = any(weight.is_meta for weight in result.parameters())
    result = result.to_empty(device=device) if empty else result.to(device)
    return add_hook_to_module(result, AlignDevicesHook(execution_device=device))
