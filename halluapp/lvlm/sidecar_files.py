"""Files beside a checkpoint: HalluSpaces and further projectors, in the safetensors format."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError

from halluapp.data.files import atomic_write
from halluapp.errors import InputError
from halluapp.lvlm import adapters
from halluapp.lvlm.adapters import load_projector
from halluapp.lvlm.base import LVLM, HalluSpace

__all__ = ["attach", "load_projector", "load_space", "save_space"]


def attach(lvlm: LVLM, *folders: Path) -> None:
    """Loads hallu_space.safetensors, projector-NAME.safetensors and adapters/NAME/; InputError for a damaged file."""
    for path in (path for folder in folders for path in sorted(folder.glob("adapters/*/"))):
        lvlm.adapters[path.name] = adapters.load(lvlm, path)
    for path in (path for folder in folders for path in sorted(folder.glob("*.safetensors"))):
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
        layers = {int(key.removeprefix("layers.")): file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a mapping)
    if not layers:
        raise ValueError("no layers")
    return HalluSpace(layers, about)


def save_space(space: HalluSpace, path: Path) -> None:
    """Writes a HalluSpace file that `load_space` reads."""
    from safetensors.torch import save_file

    tensors = {f"layers.{layer}": directions.float().contiguous() for layer, directions in space.layers.items()}
    with atomic_write(path) as partial:
        save_file(tensors, partial, metadata={"about": json.dumps(space.about)})
