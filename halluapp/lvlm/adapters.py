"""Adapters in peft's file format, read without wrapping the model: y + scale * B(A(x)) for a method's rows only."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from halluapp.errors import InputError
from halluapp.lvlm import quantize
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.types import Adapter, Delta

WEIGHTS, CONFIG, PROJECTOR = "adapter_model.safetensors", "adapter_config.json", "projector.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
# What safetensors, JSON, torch and the file system raise for damaged files and those of another model.
DAMAGE = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)
# Options of peft under which an output is not x W + scale * B(A(x)).
UNSUPPORTED = ("use_dora", "modules_to_save", "layer_replication", "use_qalora", "trainable_token_indices", "lora_bias")


def load(lvlm: LVLM, folder: str | Path, name: str = "") -> Adapter:
    """Reads a folder with adapter_model.safetensors + adapter_config.json (peft), projector.safetensors, or both.

    Raises InputError, in one sentence: for pickles, kinds of adapters that cannot be added row by row, weights of other
    shapes than the model's, and damaged files.
    """
    folder = Path(folder)
    name = name or folder.name
    deltas: dict[str, Delta] = {}
    vision_deltas: dict[str, Delta] = {}
    projector = None
    try:
        if (folder / WEIGHTS).exists():
            deltas, vision_deltas = _split_deltas(lvlm, _load_deltas(lvlm, folder))
        elif pickles := sorted(path.name for path in folder.glob("*") if path.suffix in PICKLES):
            raise InputError(f"{pickles[0]} can run code when it is opened; save the adapter as safetensors instead.")
        if (folder / PROJECTOR).exists():
            projector = load_projector(lvlm, folder / PROJECTOR)
        about = json.loads((folder / "about.json").read_text()) if (folder / "about.json").exists() else {}
    except InputError:
        raise
    except (*DAMAGE, SafetensorError) as error:
        raise InputError(f"The adapter {name} is damaged or made for another model; remove or replace it.") from error
    if not deltas and not vision_deltas and projector is None:
        raise InputError(f"{folder} holds no adapter; it needs {WEIGHTS} with {CONFIG}, or {PROJECTOR}.")
    return Adapter(name, deltas, vision_deltas, projector, about)


def load_projector(lvlm: LVLM, path: Path) -> nn.Module:
    """A projector of the base projector's class, with the weights of `path` (float16 or float32)."""
    from safetensors.torch import load_file

    module = copy.deepcopy(lvlm.base_projector)
    dtype = lvlm.decoder.get_input_embeddings().weight.dtype
    for name, layer in quantize.quantized_linears(module, True).items():  # of a checkpoint with a quantized projector
        module.set_submodule(name, nn.Linear(layer.in_features, layer.out_features, layer.bias is not None))
    module.load_state_dict(load_file(path))
    return module.to(lvlm.device, dtype).eval().requires_grad_(False)


def _load_deltas(lvlm: LVLM, folder: Path) -> dict[str, Delta]:
    from safetensors.torch import load_file

    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA":
        raise InputError(f"The adapter {folder.name} is of the kind {config.get('peft_type')}; only LoRA can be added.")
    if options := [option for option in UNSUPPORTED if config.get(option)]:
        raise InputError(f"The adapter {folder.name} uses {options[0]}, which cannot be added row by row.")
    tensors = load_file(folder / WEIGHTS)
    deltas: dict[str, Delta] = {}
    modules = dict(lvlm.model.named_modules())
    for key in sorted(tensors):
        match = re.fullmatch(r"base_model\.model\.(.+)\.lora_A(?:\.default)?\.weight", key)
        if not match:
            if ".lora_B" not in key:
                raise InputError(f"The adapter {folder.name} holds {key}, which is no LoRA weight.")
            continue
        down, up = tensors[key].float(), tensors[key.replace("lora_A", "lora_B")].float()
        delta = Delta(down.to(lvlm.device), up.to(lvlm.device), _scale(config, match[1], len(down)))
        if not delta.fits(modules.get(match[1])):
            raise InputError(f"The adapter {folder.name} was made for another model: {match[1]} does not fit.")
        deltas[match[1]] = delta
    return deltas


def _split_deltas(lvlm: LVLM, deltas: dict[str, Delta]) -> tuple[dict[str, Delta], dict[str, Delta]]:
    """Additions to the language model and its head, and those to the modules before it."""
    modules = {id(module) for part in (lvlm.decoder, lvlm.head) for module in part.modules()}
    text = {name for name in deltas if id(lvlm.model.get_submodule(name)) in modules}
    return {n: d for n, d in deltas.items() if n in text}, {n: d for n, d in deltas.items() if n not in text}


def _scale(config: dict, module: str, rank: int) -> float:
    alpha = config.get("lora_alpha", rank)
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if re.search(rf"(^|\.){pattern}$", module):
            alpha = value
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)
