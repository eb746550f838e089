"""Files beside a checkpoint: HalluSpaces and further projectors, in the safetensors format."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from safetensors import SafetensorError

from halluapp.data.files import atomic_write
from halluapp.errors import InputError
from halluapp.lvlm import adapters
from halluapp.lvlm.adapters import load_projector
from halluapp.lvlm.base import LVLM, HalluSpace

__all__ = ["attach", "folders", "load_projector", "load_space", "save_space", "writable_folder"]


SPACE = "hallu_space.safetensors"


def folders(lvlm: LVLM, assets: Path) -> list[Path]:
    """Where the files of a model are looked up: its own folder, if it is one, then one of its name in assets."""
    own_folder = [Path(lvlm.name)] if Path(lvlm.name).is_dir() else []
    return [*own_folder, assets / Path(lvlm.folder).name]


def writable_folder(lvlm: LVLM, assets: Path) -> Path:
    """The first of a model's `folders` in which a file can be written; raises InputError where there is none."""
    if lvlm.name.startswith("random:"):
        raise InputError(f"{lvlm.name} is made anew whenever it is loaded; say with --out where the result goes.")
    for folder in folders(lvlm, assets):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    tried = " and ".join(str(folder) for folder in folders(lvlm, assets))
    raise InputError(
        f"Nothing can be written to {tried}, where {lvlm.name} looks; say with --out where the result goes."
    )


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
