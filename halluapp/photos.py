"""Opens untrusted photos: size checked before decoding, rotated upright, RGB; every failure in one sentence."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from halluapp.errors import InputError

MOST_PIXELS = 60_000_000  # larger than any phone's photo, small enough to decode in memory
MOST_BYTES = 50_000_000


def read_photo(source: str | Path | bytes | Image.Image) -> Image.Image:
    """A file, its bytes or an image -> upright RGB image. Raises InputError with one sentence.

    Only the first frame of an animation is used; transparency is laid over white.
    """
    if source is None:
        raise InputError("There is no photo yet; upload, paste or take one, or click an example.")
    try:
        image = source if isinstance(source, Image.Image) else _open(source)
        image = ImageOps.exif_transpose(image)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        if image.mode in ("I;16", "I", "F"):
            raise InputError("This image has more than 8 bits a channel; save it as an ordinary JPEG or PNG.")
        return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("The photo is damaged or incomplete and cannot be decoded; try another copy of it.") from error


def _open(source: str | Path | bytes) -> Image.Image:
    data = source if isinstance(source, bytes) else _read(Path(source))
    if not data:
        raise InputError("The photo file is empty; choose another one.")
    if len(data) > MOST_BYTES:
        raise InputError(f"The photo file is larger than {MOST_BYTES // 1_000_000} MB; choose a smaller copy.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # pixels are counted below
            image = Image.open(io.BytesIO(data))
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        if isinstance(error, Image.DecompressionBombError):
            raise InputError(_too_large()) from error
        raise InputError("This file is not a photo we can read (JPEG, PNG, WebP, GIF, BMP or TIFF).") from error
    if image.width * image.height > MOST_PIXELS:
        raise InputError(_too_large())
    image.load()
    return image


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"The photo file is larger than {MOST_BYTES // 1_000_000} MB; choose a smaller copy.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"The photo {path.name} cannot be opened ({error.strerror or error}).") from error


def _too_large() -> str:
    return f"The photo has more than {MOST_PIXELS // 1_000_000} million pixels; choose a smaller copy."
