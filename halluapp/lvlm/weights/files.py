"""The files of a checkpoint: whether they are here, and fetching them, with the bytes that have arrived."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from halluapp.errors import InputError

Progress = Callable[[int, int], None]  # (done, in all)
PATTERNS = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors")
LEFT_OUT = ("consolidated*", "original/*", "onnx/*")  # the same weights in other layouts
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
POLL_SECONDS = 0.5
OFFLINE = "The files of {name} are not on this machine, and the hub is switched off here (HF_HUB_OFFLINE)."
NOT_FETCHED = "The files of {name} could not be fetched from the hub ({reason}); check the name and the network."


def are_here(model: str) -> bool:
    """Whether all weights of a folder or a hub id lie on this machine; asks no network."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return (folder / "config.json").is_file()
    index = _cached(model, INDEX)
    if index is None:
        return all(_cached(model, name) for name in ("config.json", SINGLE))
    shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return all(_cached(model, name) for name in ("config.json", *sorted(shards)))


def _cached(model: str, name: str) -> Path | None:
    """A file of a hub id in the hub's cache, None where it is not there."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model, name)
    return Path(path) if isinstance(path, str) and Path(path).is_file() else None


def is_offline() -> bool:
    """Whether the hub may not be asked."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def fetch(model: str, progress: Progress) -> None:
    """Downloads what is lacking of a hub id. progress: bytes that have arrived. Raises InputError."""
    if is_offline():
        raise InputError(OFFLINE.format(name=model))
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import filter_repo_objects

    try:
        siblings = HfApi().model_info(model, files_metadata=True).siblings or []
        sizes = {item.rfilename: item.size or 0 for item in siblings}
        names = filter_repo_objects(sizes, allow_patterns=list(PATTERNS), ignore_patterns=list(LEFT_OUT))
        total = sum(sizes[name] for name in names)
        blobs = _cache_folder() / repo_folder_name(repo_id=model, repo_type="model") / "blobs"
        with _Watch(blobs, total, progress):
            snapshot_download(model, allow_patterns=list(PATTERNS), ignore_patterns=list(LEFT_OUT))
    except Exception as error:  # of whatever client the hub's library uses: no such name, a licence, no network
        raise InputError(NOT_FETCHED.format(name=model, reason=" ".join(str(error).split())[:160])) from error


def _cache_folder() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


class _Watch:
    """Reports the bytes in a folder of the hub's cache while files arrive there."""

    def __init__(self, folder: Path, total: int, progress: Progress):
        self._folder, self._total, self._progress = folder, total, progress
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(POLL_SECONDS):
            self._progress(min(folder_bytes(self._folder), self._total), self._total)


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in a folder; one that is renamed at this moment counts as none."""
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
