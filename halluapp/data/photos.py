"""Opens untrusted photos: size checked before decoding, rotated upright, RGB; every failure in one sentence."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from halluapp.errors import InputError

MOST_PIXELS = 60_000_000  # larger than any phone's photo, small enough to decode in memory
MOST_BYTES = 50_000_000
MOST_ASPECT = 50  # image processors scale the short side up: a thin strip would grow to gigabytes
# No other decoder sees untrusted bytes: Pillow knows many, and the one for EPS starts a program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# Pillow's decoders are parsers of many authors: damaged bytes end in nearly any of these.
DECODER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError,
    RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
DAMAGED = "The photo is damaged or incomplete and cannot be decoded; try another copy of it."


def read_photo(source: str | Path | bytes | Image.Image) -> Image.Image:
    """A file, its bytes or an image -> upright RGB image. Raises InputError with one sentence.

    Only the first frame of an animation is used; transparency is laid over white.
    """
    if source is None or source == "":
        raise InputError("There is no photo yet; upload, paste or take one, or click an example.")
    image = source if isinstance(source, Image.Image) else _open(source)
    _check_size(*image.size)
    try:
        image.load()
        return _rgb(_upright(image))
    except InputError:
        raise
    except DECODER_ERRORS as error:
        raise InputError(DAMAGED) from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except DECODER_ERRORS:  # unreadable EXIF: the pixels are still a photo
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        raise InputError("This image has more than 8 bits a channel; save it as an ordinary JPEG or PNG.")
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _open(source: str | Path | bytes) -> Image.Image:
    """Reads the header; pixels are decoded later."""
    data = bytes(source) if isinstance(source, bytes | bytearray) else _read(source)
    if not data:
        raise InputError("The photo file is empty; choose another one.")
    if len(data) > MOST_BYTES:
        raise InputError(f"The photo file is larger than {MOST_BYTES // 1_000_000} MB; choose a smaller copy.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pixels are counted by us
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InputError("This file is not a photo we can read (JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF).") from error
    except Image.DecompressionBombError as error:
        raise InputError(_too_large()) from error
    except DECODER_ERRORS as error:
        raise InputError(DAMAGED) from error


def _read(source: str | Path) -> bytes:
    try:
        path = Path(source)
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"The photo file is larger than {MOST_BYTES // 1_000_000} MB; choose a smaller copy.")
        return path.read_bytes()
    except OSError as error:
        name = " ".join(path.name.split()) or str(path)
        raise InputError(f"The photo {name} cannot be opened ({error.strerror or 'unknown reason'}).") from error
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("A photo is given as a file, its bytes or an image.") from error


def _check_size(width: int, height: int) -> None:
    if not width or not height:
        raise InputError("The photo has no pixels; choose another one.")
    if width * height > MOST_PIXELS:
        raise InputError(_too_large())
    if max(width, height) > MOST_ASPECT * min(width, height):
        raise InputError(f"The photo is more than {MOST_ASPECT} times as long as it is wide; crop it first.")


def _too_large() -> str:
    return f"The photo has more than {MOST_PIXELS // 1_000_000} million pixels; choose a smaller copy."


def small_jpeg(photo: Image.Image, side: int = 900) -> bytes:
    """The photo for a page: JPEG bytes, the longer side at most `side` pixels, without metadata."""
    small = photo.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
