"""Which detector a setting names: the embedded one, or one of transformers by hub id or folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from halluapp.errors import InputError

EMBEDDED = "pocket"
# Where a hub, its cache or a GPU is at hand these are the better eyes, best first (Apache-2.0, 80 COCO names).
STRONG = ("ustc-community/dfine-medium-coco", "PekingU/rtdetr_v2_r50vd")


def load_detector(source: str, assets: Path, device: str = "cpu") -> Any:
    """source: "pocket", "auto" (D-FINE or RT-DETRv2 if one is in the hub's cache or can be had, else the embedded one),
    a hub id or a folder. Raises InputError with one sentence.
    """
    if source == EMBEDDED:
        return _embedded(assets)
    if source == "auto":
        return _strongest(device) or _embedded(assets)
    from transformers import AutoConfig

    from halluapp.grounding.detectors.open_vocabulary import MODEL_TYPES, OpenVocabularyDetector
    from halluapp.grounding.detectors.transformers import TransformersDetector

    try:
        model_type = AutoConfig.from_pretrained(source, trust_remote_code=False).model_type
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"The detector {source} cannot be loaded: it is neither a folder of a transformers checkpoint nor a hub id "
            "that can be reached or is cached; check the name, or use the embedded one (pocket)."
        ) from error
    kind = OpenVocabularyDetector if model_type in MODEL_TYPES else TransformersDetector
    return kind(source, device=device)


def _embedded(assets: Path) -> Any:
    from halluapp.grounding.detectors.own import PresenceDetector

    return PresenceDetector(assets / "presence")


def _strongest(device: str) -> Any | None:
    """The first of STRONG that loads; None without a hub."""
    from halluapp.grounding.detectors.transformers import TransformersDetector

    for source in STRONG:
        try:
            return TransformersDetector(source, device=device)
        except InputError:
            continue
    return None
