"""A loaded LVLM and detector, carried through a comparison instead of being loaded where they are needed."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from halluapp.errors import InputError
from halluapp.grounding.detectors.loading import load_detector
from halluapp.grounding.detectors.loading import notice as detector_notice
from halluapp.settings import FAST_MODES, QUANTIZATIONS, Settings

SHARED = "shared"  # the earlier embedded detector, on the LVLM's own trunk: to compare with

if TYPE_CHECKING:
    from halluapp.lvlm.base import LVLM


@dataclass(frozen=True)
class Session:
    """A loaded LVLM and detector; `notice` is a sentence for the person ("" if there is nothing to say)."""

    lvlm: LVLM
    detector: Any
    notice: str = ""


MOST_SESSIONS = 2  # of one process, such as a notebook that compares two models, where both fit
_loading = threading.RLock()
_sessions: OrderedDict[Settings, Session] = OrderedDict()  # the one that was asked for last at the end


def load_session(settings: Settings) -> Session:
    """Loads the LVLM and the detector that the settings name, once a process. Raises InputError with one sentence.

    Earlier sessions go before where both would not fit the memory, or where there are MOST_SESSIONS of them.
    """
    with _loading:
        if settings not in _sessions:
            _make_room(settings)
            lvlm, notice = lvlm_of(settings)
            detector = detector_of(settings, lvlm)
            notices = notice, detector_notice(settings.detector, lvlm.device.type, detector)
            _sessions[settings] = Session(lvlm, detector, " ".join(filter(None, notices)))
        _sessions.move_to_end(settings)
        return _sessions[settings]


def is_loaded() -> bool:
    """Whether this process has loaded models."""
    return bool(_sessions)


def loaded_session(settings: Settings, wait: bool = False) -> Session | None:
    """The session of these settings if it is loaded. wait: for what another thread loads at this moment."""
    with _loading if wait else nullcontext():
        return _sessions.get(settings)


def unload(settings: Settings) -> None:
    """Lets the session of these settings go, and its memory, as soon as nobody else holds it."""
    with _loading:
        if _sessions.pop(settings, None) is None:
            return
    _free_memory()


def unload_all() -> None:
    """Lets all sessions go: the next one loads as in a process of its own."""
    with _loading:
        _sessions.clear()
    _free_memory()


def _free_memory() -> None:
    import torch

    gc.collect()  # a model's hooks and parts hold each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _make_room(settings: Settings) -> None:
    """Lets earlier sessions go that would keep these settings' model from fitting, as far as the catalogue knows it."""
    if not _sessions:
        return
    from halluapp.lvlm import catalog
    from halluapp.lvlm.weights import memory

    entry = catalog.find(settings.model)
    free, on_gpu = memory.free_memory(settings.device, bool(settings.device_map))
    if (
        entry
        and settings.quantization in QUANTIZATIONS
        and entry.bytes(settings.quantization, memory.dense_bytes(settings.dtype, on_gpu)) > free
    ):
        unload_all()
    while len(_sessions) >= MOST_SESSIONS:
        unload(next(iter(_sessions)))


def lvlm_of(settings: Settings) -> tuple[LVLM, str]:
    """Loads the LVLM that the settings name -> (LVLM, notice). Raises InputError."""
    import torch

    from halluapp.lvlm import catalog
    from halluapp.lvlm.weights.placement import Placement

    if settings.fast not in FAST_MODES:
        raise InputError(f"HALLUAPP_FAST is {settings.fast!r}; use {', '.join(FAST_MODES[:-1])} or {FAST_MODES[-1]}.")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    spread = Placement(settings.device_map, settings.max_memory, settings.offload) if settings.device_map else None
    lvlm, notice = catalog.load(
        settings.model, settings.quantization, settings.device, settings.assets, settings.dtype, spread
    )
    # A worker on ZeroGPU lives for one answer: whatever it measured would be measured again by the next one.
    lvlm.replay_mode = "off" if settings.zero_gpu and settings.fast == "auto" else settings.fast
    return lvlm, notice


def detector_of(settings: Settings, lvlm: LVLM) -> Any:
    """Loads the detector that the settings name. Raises InputError."""
    if settings.detector != SHARED:
        return load_detector(settings.detector, settings.assets, str(lvlm.device))
    from halluapp.grounding.detectors.pocket import PocketDetector
    from halluapp.lvlm import catalog

    tower = lvlm.tower
    if settings.model != "pocket":  # the head brings its own copy of the tower that it was trained with
        device = settings.device if hasattr(tower, "features") else "cpu"  # where shared maps of the trunk would be
        tower = catalog.load("pocket", "none", device, settings.assets)[0].tower
    return PocketDetector(settings.assets / "pocket", tower)
