"""The run library: runs of a folder and imported adapters, and which of them are panels of Compare.

A run is a panel when its folder holds the file `panel`; an imported adapter is a folder with `imported.json` beside
`adapter/`. Both survive a restart and are deleted with their folder.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from halluapp.data.files import PARTIAL_SUFFIX, atomic_write, write_text
from halluapp.errors import InputError
from halluapp.lvlm.adapters import CONFIG, PICKLES, PROJECTOR, WEIGHTS
from halluapp.methods.adapter import NamedAdapter
from halluapp.methods.registry import METHODS
from halluapp.training.endings import checkpoints
from halluapp.training.measure import model_card
from halluapp.training.runs import Run

if TYPE_CHECKING:
    from halluapp.lvlm.base import LVLM

PREFIX, PANEL_FILE, IMPORT_FILE = "adapter:", "panel", "imported.json"
# No "+", which stacks methods, and no character with a meaning in paths or shells.
NAME_PATTERN = re.compile(r"\w[\w.-]{0,59}")
ADAPTER_FILES = (WEIGHTS, CONFIG, PROJECTOR, "about.json")  # all that an adapter needs; nothing else is copied
MAX_BYTES = 2 * 2**30
NOT_PACKED = ("state.pt", "stop", "owner", PANEL_FILE)  # of use on this machine only


def checked_name(root: Path, name: str) -> str:
    """A name that a new run may have. Raises InputError."""
    name = (name or "").strip()
    if not NAME_PATTERN.fullmatch(name):
        raise InputError(f"{name[:60]!r} cannot name a run; use up to 60 letters, digits, dots, dashes or underscores.")
    if name in METHODS:
        raise InputError(f"{name} is the name of a method; give the run another, such as {name}-1.")
    if (root / name).exists():
        raise InputError(f"There is a run {name} already; choose another name.")
    return name


def free_name(root: Path, kind: str) -> str:
    """The first of KIND-1, KIND-2, ... that is not taken."""
    number = 1
    while (root / f"{kind}-{number}").exists():
        number += 1
    return f"{kind}-{number}"


def find(root: Path, name: str | None) -> Run:
    """The run or imported adapter of this name. Raises InputError."""
    if not name:
        raise InputError("Choose a run in the list first.")
    run = Run(root / name)
    if Path(name).name != name or not (is_imported(run) or (run.folder / "config.json").exists()):
        raise InputError(f"There is no run {name} any more.")
    return run


def is_imported(run: Run) -> bool:
    """Whether the adapter was imported, in contrast to trained here."""
    return (run.folder / IMPORT_FILE).exists()


def imported_runs(root: Path) -> list[Run]:
    """Imported adapters, by name."""
    return [Run(path.parent) for path in sorted(root.glob(f"*/{IMPORT_FILE}"))]


def panel_runs(root: Path) -> list[tuple[str, str]]:
    """(title, method name) of all panels, by name; the title is that of the panel itself."""
    names = [path.parent.name for path in sorted(root.glob(f"*/{PANEL_FILE}"))]
    return [(NamedAdapter(adapter=name).title, PREFIX + name) for name in names]


def add_panel(root: Path, name: str | None, lvlm: LVLM) -> str:
    """Loads a run's adapter and makes it a panel -> the name of its method. Raises InputError."""
    run = find(root, name)
    if not run.adapter.is_dir():
        raise InputError(f"The run {run.name} has saved no adapter yet; let it train for some more steps.")
    _load_adapter(lvlm, run)
    (run.folder / PANEL_FILE).touch()
    return PREFIX + run.name


def remove_panel(root: Path, name: str | None) -> None:
    """Removes the run's panel from Compare. Raises InputError."""
    (find(root, name).folder / PANEL_FILE).unlink(missing_ok=True)


def load_adapters(root: Path, lvlm: LVLM, methods: Iterable) -> None:
    """Loads the adapters of the library that these methods name and that are not loaded, as after a restart.

    One that cannot be loaded is removed from the model: its panel then shows an error, not an older version.
    """
    for name in (method.name.removeprefix(PREFIX) for method in methods if method.name.startswith(PREFIX)):
        run = Run(root / name)
        if Path(name).name != name or not (run.folder / PANEL_FILE).exists():
            continue
        try:
            _load_adapter(lvlm, run)
        except InputError:
            lvlm.adapters.pop(name, None)


_loaded_versions: dict[tuple[int, str], tuple] = {}


def _load_adapter(lvlm: LVLM, run: Run) -> None:
    """Reads the adapter unless the version on disk is loaded."""
    from halluapp.lvlm import adapters

    stats = ((path.name, path.stat()) for path in sorted(run.adapter.glob("*")))
    version = tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)
    key = (id(lvlm), run.name)
    if run.name not in lvlm.adapters or _loaded_versions.get(key) != version:
        lvlm.adapters[run.name] = adapters.load(lvlm, run.adapter, run.name)
        _loaded_versions[key] = version


def import_adapter(root: Path, name: str, source: str | Sequence[str], lvlm: LVLM) -> str:
    """Copies an adapter from a folder, or its files, and makes it a panel -> its name. Raises InputError."""
    files = sorted(Path(source).glob("*")) if isinstance(source, str) else [Path(path) for path in source]
    files = [path for path in files if path.is_file() and (path.name in ADAPTER_FILES or path.suffix in PICKLES)]
    if not files:
        raise InputError("There is no adapter; give its folder, or its files (safetensors and adapter_config.json).")
    if any(path.suffix == ".safetensors" for path in files):  # pickles beside them are of no use, and never copied
        files = [path for path in files if path.name in ADAPTER_FILES]
    if sum(path.stat().st_size for path in files) > MAX_BYTES:
        raise InputError("The adapter has more than 2 GB; an adapter is far smaller than the model it belongs to.")
    name = checked_name(root, name or free_name(root, "imported"))
    run = Run(root / name)
    run.adapter.mkdir(parents=True)
    try:
        for path in files:
            shutil.copyfile(path, run.adapter / path.name)
        write_text(run.folder / IMPORT_FILE, json.dumps({"files": [path.name for path in files]}))
        add_panel(root, name, lvlm)
    except (InputError, OSError) as error:
        shutil.rmtree(run.folder)
        raise InputError(" ".join(str(error).split())) from error
    return name


def use_checkpoint(run: Run, which: str) -> int:
    """Makes a checkpoint (`checkpoints.choose`) the run's adapter, and its card says so -> step. Raises InputError."""
    step = checkpoints.choose(run, which)
    if (run.adapter / checkpoints.CARD).exists():
        model_card.write(run)
    return step


def delete(root: Path, name: str | None) -> None:
    """Deletes the folder of a run or of an imported adapter. Raises InputError while the run lives."""
    run = find(root, name)
    if is_imported(run):
        shutil.rmtree(run.folder)
    else:
        run.delete()


def rename(root: Path, name: str | None, new: str) -> str:
    """Renames the folder -> the new name. Raises InputError where it exists."""
    run, new = find(root, name), checked_name(root, new)
    if is_imported(run):
        run.folder.rename(root / new)
    else:
        run.rename(new)
    return new


def pack(root: Path, name: str | None, folder: Path) -> Path:
    """Writes FOLDER/NAME.zip: settings, curve, captions, log and adapter, without the state to resume from."""
    run = find(root, name)
    path = folder / f"{run.name}.zip"
    with atomic_write(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(run.folder.rglob("*")):
            inner_path = file.relative_to(run.folder)
            other_step = inner_path.parts[0] == checkpoints.FOLDER
            if file.is_file() and file.name not in NOT_PACKED and file.suffix != PARTIAL_SUFFIX and not other_step:
                out.write(file, Path(run.name) / inner_path)
    return path
