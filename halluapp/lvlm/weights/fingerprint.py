"""What a loaded model computes with, as one hash: other weights, processors or templates, another hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import torch
import transformers
from torch import Tensor

from halluapp.lvlm.base import LVLM
from halluapp.lvlm.weights import placement


def fingerprint(lvlm: LVLM) -> str:
    """SHA-256, 32 hex digits, of every byte of the weights and of all that turns photos and texts into their inputs.

    Models of one name with different contents differ, and so does one model on two kinds of device or under two
    versions of transformers, which may round in another way; one model in two folders is the same. What lies beside
    the model is not part of it (`sidecar_hash`).
    """
    config = {key: value for key, value in lvlm.model.config.to_dict().items() if key != "_name_or_path"}
    about = [
        lvlm.quantization, lvlm.device.type, transformers.__version__, config, lvlm.image_processor.to_dict(),
        lvlm.template, lvlm.tokenizer.chat_template, lvlm.tokenizer.get_vocab(),
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    for name, tensor in placement.tensors(lvlm.model):
        _update(digest, name, tensor)
        scales = getattr(tensor, "quant_state", None)  # of 4-bit weights: equal codes under other scales differ
        for part in (scales, getattr(scales, "state2", None)):
            if part is not None:
                _update(digest, f"{name}.scale", part.absmax)
    return digest.hexdigest()[:32]


def sidecar_hash(lvlm: LVLM, spaces: Iterable[str], projectors: Iterable[str], adapters: Iterable[str]) -> str:
    """The same for what lies beside the model: HalluSpaces, projectors, adapters by name; those not loaded are none."""
    digest = hashlib.sha256()
    for name in sorted(set(spaces) & set(lvlm.spaces)):
        for layer, directions in sorted(lvlm.spaces[name].layers.items()):
            _update(digest, f"{name} {layer}", directions)
    for name in sorted(set(projectors) & set(lvlm.projectors)):
        _update_module(digest, name, lvlm.projectors[name])
    for name in sorted(set(adapters) & set(lvlm.adapters)):
        adapter = lvlm.adapters[name]
        for key, delta in sorted((adapter.deltas | adapter.vision_deltas).items()):
            _update(digest, f"{key} {delta.scale}", torch.cat([delta.down.flatten(), delta.up.flatten()]))
        _update_module(digest, "projector", adapter.projector)
    return digest.hexdigest()[:32]


def _update_module(digest: Any, name: str, module: torch.nn.Module | None) -> None:
    for key, tensor in sorted(module.state_dict().items()) if module is not None else ():
        _update(digest, f"{name} {key}", tensor)


def _update(digest: Any, name: str, tensor: Tensor) -> None:
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    flat = tensor.data.cpu().contiguous().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy() if flat.numel() else b"")
