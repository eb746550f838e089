"""What a server may switch to, what that would need here, and why it cannot be loaded: one sentence."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from halluapp.errors import InputError, quotation
from halluapp.lvlm import catalog
from halluapp.lvlm.base import EMBEDDED
from halluapp.lvlm.catalog import CatalogModel
from halluapp.lvlm.weights import counting, files, memory
from halluapp.session import Session
from halluapp.settings import QUANTIZATIONS, RANDOM, Settings, model_problem

POCKET, WORDS = "pocket", ("pocket", "auto")
POCKET_WEIGHTS = (18_477_488, 7_618_560)  # in all, those that NF4 reaches
FIXED = "This server answers with one model; whoever runs it may allow others by HALLUAPP_MODELS."
NOT_ALLOWED = "This server does not switch to {model}; choose a model of the list."
NO_QUANTIZATION = "The quantization {name} is not known; use nf4, int8 or none."
TOO_LARGE = "{model} needs about {need} GB with this quantization, and {free} GB are free on {where}{more}."
AFTER = " once the loaded model is gone"


@dataclass(frozen=True)
class Room:
    """Bytes: free ones, and those that the loaded model would give back; on_gpu: where they are."""

    free: int
    loaded: int
    on_gpu: bool

    @classmethod
    def now(cls, settings: Settings, session: Session | None) -> Room:
        """What there is at this moment for a model on the device, or the devices, of these settings."""
        free, on_gpu = memory.free_memory(settings.device, bool(settings.device_map))
        return cls(free, memory.footprint(session.lvlm.model) if session else 0, on_gpu)

    def dense_bytes(self, settings: Settings) -> float:
        """Bytes of a weight that is not quantized, of a model that is loaded here with these settings."""
        return memory.dense_bytes(settings.dtype, self.on_gpu)


@dataclass(frozen=True)
class Choice:
    """A model that can be switched to. entry: of the catalogue, where it is there."""

    model: str
    entry: CatalogModel | None = None

    @property
    def title(self) -> str:
        """Its name without the folders before it, which are nobody's business."""
        if self.model == POCKET:
            return EMBEDDED
        return Path(self.model).name if is_path(self.model) else self.model

    @property
    def is_here(self) -> bool:
        """Whether its files lie on this machine."""
        return self.model in WORDS or self.model.startswith(RANDOM) or files.are_here(self.model)

    def need(self, quantization: str, dense_bytes: float) -> int | None:
        """Bytes of memory to start with, an estimate; None where its weights were not counted yet."""
        if self.model == POCKET:
            return memory.estimate(*POCKET_WEIGHTS, quantization, dense_bytes)
        return self.entry.bytes(quantization, dense_bytes) if self.entry else None


def is_path(model: str) -> bool:
    """Whether the name of a model is a folder's and not a hub id's or a word."""
    return os.path.isdir(os.path.expanduser(model)) or model.startswith((".", "~", "/")) or model.count("/") > 1


def is_fixed(settings: Settings) -> bool:
    """Whether the server keeps the model that it started with; ZeroGPU's workers fork from what was loaded then."""
    return settings.zero_gpu or (settings.public and not settings.models)


def allows_any(settings: Settings) -> bool:
    """Whether a typed folder or hub id is loaded."""
    return not settings.public and not settings.zero_gpu and not settings.models


def choices(settings: Settings) -> list[Choice]:
    """What may be switched to, the same list for as long as a server runs; its own model is always among them."""
    if allows_any(settings):
        models = [POCKET, *(entry.id for entry in catalog.CATALOG)]
    else:
        models = [] if is_fixed(settings) else list(settings.models)
    if settings.model not in models:
        models.insert(0, settings.model)
    return [Choice(model, catalog.find(model)) for model in dict.fromkeys(models)]


def target(settings: Settings, model: str, quantization: str) -> Settings:
    """The settings with another model. Raises InputError for what this server does not switch to, in one sentence."""
    model = model.strip()
    if quantization not in QUANTIZATIONS:
        raise InputError(NO_QUANTIZATION.format(name=quotation(quantization)))
    if is_fixed(settings):
        raise InputError(FIXED)
    if not allows_any(settings) and model not in {choice.model for choice in choices(settings)}:
        raise InputError(NOT_ALLOWED.format(model=quotation(model)))
    if problem := model_problem(model):
        raise InputError(problem)
    if is_path(model):
        model = os.path.expanduser(model)
    return replace(settings, model=model, quantization=quantization)


def need(settings: Settings) -> int:
    """Bytes that the settings' model needs, an estimate; counts the weights of one that is not in the catalogue.

    0 where the model is chosen by what is free, or made up. Raises InputError for a config.json that cannot be loaded.
    """
    if settings.model == "auto" or settings.model.startswith(RANDOM):
        return 0
    each = memory.dense_bytes(settings.dtype, memory.free_memory(settings.device)[1])
    estimate = Choice(settings.model, catalog.find(settings.model)).need(settings.quantization, each)
    if estimate is not None:
        return estimate
    return memory.estimate(*counting.count_apart(settings.model), settings.quantization, each)


def most_bytes(settings: Settings, room: Room) -> float:
    """Bytes that a model may need here; any number where it is spread, which `lvlm.weights.placement` judges."""
    return math.inf if settings.device_map else room.free + room.loaded


def shortage(title: str, need: int, free: float, room: Room) -> str:
    """Why a model does not fit into so many free bytes, in one sentence; "" where it does."""
    if need <= free:
        return ""
    where, more = "the GPU" if room.on_gpu else "this machine", AFTER if free > room.free else ""
    return TOO_LARGE.format(model=title, need=gigabytes(need), free=gigabytes(free), where=where, more=more)


def absence(choice: Choice) -> str:
    """Why the files of a model cannot be had, in one sentence; "" where they are here or can be fetched."""
    return "" if choice.is_here or not files.is_offline() else files.OFFLINE.format(name=choice.title)


def gigabytes(count: float) -> str:
    """Bytes in GB, as a person reads them."""
    value = count / memory.GIGABYTE
    return f"{value:.1f}" if value >= 0.1 else f"{value:.2f}"
