"""A finished AdaVIB run put where the model looks for its projector, so that the panel AdaVIB answers with it."""

from __future__ import annotations

import shutil
from pathlib import Path

from halluapp.data.files import atomic_write
from halluapp.lvlm.adapters import PROJECTOR
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.sidecar_files import writable_folder
from halluapp.training.runs import Run

KIND = "adavib"  # the one kind of run whose result a method of its own name looks up


def projector_file(lvlm: LVLM, assets: Path) -> Path:
    """Where a model looks for the projector of an AdaVIB run. Raises InputError where nothing can be written."""
    return writable_folder(lvlm, assets) / f"projector-{KIND}.safetensors"


def install(run: Run, file: Path) -> bool:
    """Copies a run's projector to `projector_file`, whole or not at all -> whether the run has one."""
    source = run.adapter / PROJECTOR
    if not source.exists():
        return False
    with atomic_write(file) as partial:
        shutil.copyfile(source, partial)
    return True
