"""Where the pairs and the photo of a run come from: shipped, typed, uploaded. Uploads are stored beside the runs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.data.pairs import Pair, read_pairs
from halluapp.data.photos import read_photo, small_jpeg
from halluapp.errors import InputError
from halluapp.settings import Settings
from halluapp.ui.train import texts

if TYPE_CHECKING:
    from PIL import Image

UPLOADS, PHOTOS = ".uploads", ".photos"  # beside the runs: a gradio upload may be gone before the run is over
SHOWN_PAIRS = 2
TABLES = (".jsonl", ".json", ".parquet")


def pairs_path(settings: Settings, source: str, path: str, upload_path: str | None) -> str:
    """What `--data` is: an absolute path where there is one, because a run has its own working directory.

    Raises InputError where nothing is given.
    """
    if source == texts.SHIPPED_PAIRS:
        return str((settings.assets / "pairs").resolve())
    if source == texts.UPLOADED_PAIRS:
        if not upload_path or not Path(upload_path).exists():
            raise InputError(texts.NO_UPLOAD)
        return upload_path
    if settings.public:
        raise InputError(texts.NO_PATHS)
    path = (path or "").strip()
    if not path:
        raise InputError("Say which pairs to learn from: a folder with pairs.jsonl, a file, or a data set's id.")
    return str(Path(path).resolve()) if Path(path).exists() else path


def preview(path: str) -> list[tuple[Image.Image, str]]:
    """The first pairs of the first photos as (photo, question and both answers). Raises InputError."""
    first: dict[Any, Pair] = {}
    for pair in read_pairs(path):
        first.setdefault(pair.photo, pair)
        if len(first) == SHOWN_PAIRS:
            break
    return [
        (pair.open(), texts.PAIR.format(question=pair.question, chosen=pair.chosen, rejected=pair.rejected))
        for pair in first.values()
    ]


def check(path: str) -> str:
    """One sentence about good pairs. Raises InputError with one that names the bad line."""
    pairs = read_pairs(path)
    return texts.PAIRS_GOOD.format(pairs=f"{len(pairs):,}", photos=f"{len({pair.photo for pair in pairs}):,}")


def store_upload(root: Path, files: Sequence[str] | None) -> str:
    """Copies uploaded pairs and photos to a folder named by their content -> the file of pairs. Raises InputError."""
    paths = [Path(file) for file in files or ()]
    tables = [path for path in paths if path.suffix.lower() in TABLES]
    if not paths:
        raise InputError(texts.NO_UPLOAD)
    if len(tables) != 1:
        raise InputError(texts.TWO_FILES.format(n=len(tables)))
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        digest.update(f"{path.name}/{path.stat().st_size}/".encode() + hashlib.sha256(path.read_bytes()).digest())
    folder = (root / UPLOADS / digest.hexdigest()[:16]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copyfile(path, folder / path.name)
    table = folder / tables[0].name
    _refuse_other_files(read_pairs(table, check_photos=False), folder)  # before any of them is opened
    return str(table)


def _refuse_other_files(pairs: list[Pair], folder: Path) -> None:
    """A line that names a file of this machine must not show it to a visitor."""
    for pair in pairs:
        if isinstance(pair.image, Path) and pair.image.resolve().parent != folder:
            raise InputError(texts.OUTSIDE.format(name=pair.name[:80]))


def store_photo(root: Path, path: str | None) -> str:
    """A copy of the photo to caption, upright and small -> its path ("" for none). Raises InputError."""
    if not path:
        return ""
    content = small_jpeg(read_photo(path))
    (root / PHOTOS).mkdir(parents=True, exist_ok=True)
    copy = (root / PHOTOS / f"{hashlib.sha256(content).hexdigest()[:16]}.jpg").resolve()
    copy.write_bytes(content)
    return str(copy)
