"""Which detector a setting names: the embedded one, or one of transformers by hub id or folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from halluapp.errors import InputError

EMBEDDED = "pocket"
# Where the hub's cache holds one these are the better eyes, best first (Apache-2.0, 80 COCO names).
STRONG = ("ustc-community/dfine-medium-coco", "PekingU/rtdetr_v2_r50vd")
NEEDED = ("config.json", "preprocessor_config.json", "model.safetensors")


def load_detector(source: str, assets: Path, device: str = "cpu", cache: Path | None = None) -> Any:
    """source: "auto" (D-FINE or RT-DETRv2 where the hub's cache on this machine holds one, else the embedded detector;
    the network is never asked), "pocket" (the embedded one), a hub id or a folder. cache: the hub's cache (default:
    that of huggingface_hub). Raises InputError in one sentence.
    """
    if source == EMBEDDED:
        return _embedded(assets)
    if source == "auto":
        return _strongest(device, cache) or _embedded(assets)
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


def notice(source: str, device: str, detector: Any) -> str:
    """What to say of the detector that "auto" took; "" on a CPU, where the embedded one is the quick one."""
    if source != "auto" or device == "cpu" or detector.name in STRONG:
        return ""
    return f"The embedded detector judges; HALLUAPP_DETECTOR={STRONG[0]} fetches a stronger one for this GPU."


def _embedded(assets: Path) -> Any:
    from halluapp.grounding.detectors.own import PresenceDetector

    return PresenceDetector(assets / "presence")


def _strongest(device: str, cache: Path | None) -> Any | None:
    """The first of STRONG that lies whole in the hub's cache on this machine and loads; None where none does."""
    for source in STRONG:
        folder = _cached(source, cache)
        if folder is None:
            continue
        from halluapp.grounding.detectors.transformers import TransformersDetector

        try:
            return TransformersDetector(folder, device=device, name=source)
        except InputError:
            continue
    return None


def _cached(source: str, cache: Path | None) -> Path | None:
    """The folder in the hub's cache that holds a checkpoint's configuration, image processor and weights."""
    from huggingface_hub import try_to_load_from_cache

    files = [try_to_load_from_cache(source, name, cache) for name in NEEDED]
    paths = [Path(file) for file in files if isinstance(file, str)]
    return paths[0].parent if len(paths) == len(NEEDED) else None
