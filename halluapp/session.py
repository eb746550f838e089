"""A loaded LVLM and detector, carried through a comparison instead of being loaded where they are needed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from halluapp.errors import InputError
from halluapp.grounding.detectors.loading import load_detector
from halluapp.settings import FAST_MODES, Settings

SHARED = "shared"  # the earlier embedded detector, on the LVLM's own trunk: to compare with

if TYPE_CHECKING:
    from halluapp.lvlm.base import LVLM


@dataclass(frozen=True)
class Session:
    """A loaded LVLM and detector; `notice` is a sentence for the person ("" if there is nothing to say)."""

    lvlm: LVLM
    detector: Any
    notice: str = ""


_loading = threading.Lock()


def load_session(settings: Settings) -> Session:
    """Loads the LVLM and the detector that the settings name, once a process. Raises InputError with one sentence."""
    with _loading:
        return _load(settings)


def is_loaded() -> bool:
    """Whether this process has loaded models."""
    return _load.cache_info().currsize > 0


@lru_cache(maxsize=2)
def _load(settings: Settings) -> Session:
    lvlm, notice = lvlm_of(settings)
    return Session(lvlm, detector_of(settings, lvlm), notice)


def lvlm_of(settings: Settings) -> tuple[LVLM, str]:
    """Loads the LVLM that the settings name -> (LVLM, notice). Raises InputError."""
    import torch

    from halluapp.lvlm import catalog

    if settings.fast not in FAST_MODES:
        raise InputError(f"HALLUAPP_FAST is {settings.fast!r}; use {', '.join(FAST_MODES[:-1])} or {FAST_MODES[-1]}.")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    lvlm, notice = catalog.load(settings.model, settings.quantization, settings.device, settings.assets, settings.dtype)
    # A worker on ZeroGPU lives for one answer: whatever it measured would be measured again by the next one.
    lvlm.replay_mode = "off" if settings.zero_gpu and settings.fast == "auto" else settings.fast
    return lvlm, notice


def detector_of(settings: Settings, lvlm: LVLM) -> Any:
    """Loads the detector that the settings name. Raises InputError."""
    if settings.detector != SHARED:
        return load_detector(settings.detector, settings.assets, "cpu" if lvlm.device.type == "cpu" else "cuda")
    from halluapp.grounding.detectors.pocket import PocketDetector
    from halluapp.lvlm import catalog

    tower = lvlm.tower
    if settings.model != "pocket":  # the head brings its own copy of the tower that it was trained with
        device = settings.device if hasattr(tower, "features") else "cpu"  # where shared maps of the trunk would be
        tower = catalog.load("pocket", "none", device, settings.assets)[0].tower
    return PocketDetector(settings.assets / "pocket", tower)
