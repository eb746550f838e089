"""Flags that the subcommands of `halluapp train` share, and the model that they name."""

from __future__ import annotations

import argparse
import json
from typing import Any

from halluapp.errors import InputError
from halluapp.settings import Settings


def add_model(subcommand: argparse.ArgumentParser) -> None:
    """Adds --model and --quantization."""
    subcommand.add_argument("--model", default=None, help="pocket (embedded), a hub id or a folder")
    subcommand.add_argument("--quantization", choices=("nf4", "none"), default=None)


def add_setting(subcommand: argparse.ArgumentParser, item) -> None:
    """Adds the flag of a field of a recipe."""
    metadata, flag = item.metadata, "--" + item.name.replace("_", "-")
    default = json.dumps(item.default) if isinstance(item.default, bool) else item.default
    options = {"help": f"{metadata['help']} (default: {default})", "default": None, "dest": f"setting_{item.name}"}
    if isinstance(item.default, bool):
        subcommand.add_argument(flag, type=_truth, metavar="true|false", **options)
    elif metadata["choices"]:
        subcommand.add_argument(flag, choices=metadata["choices"], type=str.lower, **options)
    else:
        subcommand.add_argument(flag, type=type(item.default), metavar="N", **options)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of a recipe that were given as flags."""
    return {name.removeprefix("setting_"): value for name, value in vars(options).items()
            if name.startswith("setting_") and value is not None}  # fmt: skip


def load(settings: Settings):
    """The LVLM that the settings name. Raises InputError."""
    import torch

    from halluapp.lvlm import catalog

    if settings.device_map:
        raise InputError("Training needs a model that lies on one device; start it without HALLUAPP_DEVICE_MAP.")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    return catalog.load(settings.model, settings.quantization, settings.device, settings.assets, settings.dtype)[0]
