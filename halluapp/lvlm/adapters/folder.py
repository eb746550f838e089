"""A folder with an adapter: LoRA weights as peft saves them, a projector, and notes about the run that made them."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor, nn

from halluapp.errors import InputError
from halluapp.lvlm import quantize
from halluapp.lvlm.adapters import lora
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.types import Adapter, Delta
from halluapp.lvlm.weights import placement

WEIGHTS, CONFIG, PROJECTOR = "adapter_model.safetensors", "adapter_config.json", "projector.safetensors"
ABOUT = "about.json"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def load(lvlm: LVLM, folder: str | Path, name: str = "") -> Adapter:
    """Reads a folder with adapter_model.safetensors + adapter_config.json (peft), projector.safetensors, or both.

    folder: also one of its two weight files. Raises InputError with one sentence that names the fault: pickles, kinds
    of adapters that cannot be added row by row, weights that do not fit the model, missing and damaged files.
    """
    folder = Path(folder)
    folder = folder.parent if folder.name in (WEIGHTS, CONFIG, PROJECTOR) else folder
    name = name or folder.name
    deltas: dict[str, Delta] = {}
    vision_deltas: dict[str, Delta] = {}
    projector = None
    if (folder / WEIGHTS).exists():
        config, tensors = _config(folder, name), _tensors(folder / WEIGHTS, name)
        deltas, vision_deltas = _split_deltas(lvlm, lora.deltas(lvlm, tensors, config, name))
    elif pickles := sorted(path.name for path in folder.glob("*") if path.suffix in PICKLES):
        raise InputError(f"{pickles[0]} can run code when it is opened; save the adapter as safetensors instead.")
    if (folder / PROJECTOR).exists():
        try:
            projector = load_projector(lvlm, folder / PROJECTOR)
            lora.check_finite(PROJECTOR, name, projector.state_dict().values())
        except (OSError, SafetensorError) as error:
            raise _damaged(PROJECTOR, name) from error
        except (RuntimeError, KeyError) as error:  # of torch: other names or shapes
            raise InputError(
                f"{PROJECTOR} of the adapter {name} was made for another model than {lvlm.name}."
            ) from error
    if not deltas and not vision_deltas and projector is None:
        raise InputError(f"{folder} holds no adapter; it needs {WEIGHTS} with {CONFIG}, or {PROJECTOR}.")
    return Adapter(name, deltas, vision_deltas, projector, _json(folder / ABOUT, name))


def load_projector(lvlm: LVLM, path: Path) -> nn.Module:
    """A projector of the base projector's class, with the weights of `path` (float16 or float32)."""
    from safetensors.torch import load_file

    module = placement.double(lvlm.base_projector)
    dtype = lvlm.decoder.get_input_embeddings().weight.dtype
    for name, layer in quantize.quantized_linears(module, True).items():  # of a checkpoint with a quantized projector
        module.set_submodule(name, nn.Linear(layer.in_features, layer.out_features, layer.bias is not None))
    module.load_state_dict(load_file(path))
    return module.to(placement.device_of(module), dtype).eval().requires_grad_(False)


def _config(folder: Path, name: str) -> dict:
    if not (folder / CONFIG).exists():
        raise InputError(
            f"{CONFIG} is missing beside {WEIGHTS} of the adapter {name}; copy it from where it was trained."
        )
    return _json(folder / CONFIG, name)


def _json(path: Path, name: str) -> dict:
    """The object of a JSON file, {} where there is no file. Raises InputError."""
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path.name, name) from error
    if not isinstance(values, dict):
        raise InputError(f"{path.name} of the adapter {name} is no JSON object; save the adapter again.")
    return values


def _tensors(path: Path, name: str) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path.name, name) from error


def _damaged(file: str, name: str) -> InputError:
    return InputError(f"{file} of the adapter {name} is damaged or cut short; copy or save it again.")


def _split_deltas(lvlm: LVLM, deltas: dict[str, Delta]) -> tuple[dict[str, Delta], dict[str, Delta]]:
    """Additions to the language model and its head, and those to the modules before it."""
    modules = {id(module) for part in (lvlm.decoder, lvlm.head) for module in part.modules()}
    text = {name for name in deltas if id(lvlm.model.get_submodule(name)) in modules}
    return {n: d for n, d in deltas.items() if n in text}, {n: d for n, d in deltas.items() if n not in text}
