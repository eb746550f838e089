"""What lies beside a checkpoint: HalluSpaces and further projectors, as safetensors files."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from halluapp.errors import InputError
from halluapp.lvlm import quantize
from halluapp.lvlm.base import LVLM, HalluSpace


def attach(lvlm: LVLM, *folders: Path) -> None:
    """Loads hallu_space.safetensors and projector-NAME.safetensors; raises InputError for a damaged file."""
    found = [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]
    for path in found:
        try:
            if path.stem == "hallu_space":
                lvlm.spaces["default"] = load_space(path)
            elif path.stem.startswith("projector-"):
                lvlm.projectors[path.stem.removeprefix("projector-")] = load_projector(lvlm, path)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"{path.name} beside the model {lvlm.name} is damaged or made for another model; remove or replace it."
            ) from error


def load_space(path: Path) -> HalluSpace:
    """Reads a HalluSpace file: tensors "layers.I" [D, K], metadata "about" (JSON)."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        about = json.loads((file.metadata() or {}).get("about", "{}"))
        layers = {int(key.removeprefix("layers.")): file.get_tensor(key).float() for key in file.keys()}
    if not layers:
        raise ValueError("no layers")
    return HalluSpace(layers, about)


def save_space(space: HalluSpace, path: Path) -> None:
    """Writes a HalluSpace file that `load_space` reads."""
    from safetensors.torch import save_file

    tensors = {f"layers.{layer}": directions.float().contiguous() for layer, directions in space.layers.items()}
    save_file(tensors, path, metadata={"about": json.dumps(space.about)})


def load_projector(lvlm: LVLM, path: Path) -> nn.Module:
    """A projector of the same class as the model's own, with the weights of `path` (float16 or float32)."""
    from safetensors.torch import load_file

    module = copy.deepcopy(lvlm.own_projector)
    dtype = lvlm.decoder.get_input_embeddings().weight.dtype
    for name in quantize.quantized_linears(module, True):  # of a checkpoint that came with its projector quantized
        layer = module.get_submodule(name)
        module.set_submodule(name, nn.Linear(layer.in_features, layer.out_features, layer.bias is not None))
    module.load_state_dict(load_file(path))
    return module.to(lvlm.device, dtype).eval().requires_grad_(False)
