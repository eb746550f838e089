"""Opens untrusted photos: size checked before decoding, rotated upright, RGB; every failure in one sentence."""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import threading
import warnings
import zlib
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from halluapp.data import truncated_jpeg
from halluapp.errors import InputError

# Endings of photo files, in small letters; files end in capitals too.
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif",
)  # fmt: skip

MOST_PIXELS = 60_000_000  # larger than any phone's photo, small enough to decode in memory
MOST_BYTES = 50_000_000
MOST_ASPECT = 50  # image processors scale the short side up: a thin strip would grow to gigabytes
# No other decoder sees untrusted bytes: Pillow knows many, and the one for EPS starts a program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")  # at byte 8; phones write them
DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N")  # 16 bits: white is 65,535. What is white in 32 bits is not said
PHOTOMETRIC = 262  # TIFF's tag that says which end is white
# Pillow's decoders are parsers of many authors: damaged bytes end in nearly any of these.
DECODER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError,
    RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
_decoders = threading.Semaphore(2)  # a photo of 60 megapixels takes half a gigabyte while it is decoded
DAMAGED = "The photo is damaged or incomplete and cannot be decoded; try another copy of it."


def read_photo(source: str | Path | bytes | Image.Image) -> Image.Image:
    """A file, its bytes or an image -> upright RGB image. Raises InputError with one sentence.

    Only the first frame of an animation is used; transparency is laid over white.
    """
    if source is None or (isinstance(source, str) and not source):
        raise InputError("There is no photo yet; upload, paste or take one, or click an example.")
    if isinstance(source, Image.Image):
        return _decoded(source)
    data = _content(source)
    with _decoders:
        try:
            return _decoded(_open(data))
        except InputError:
            if (whole := _completed(data)) is None:
                raise
            return _decoded(_open(whole))


def _decoded(image: Image.Image) -> Image.Image:
    _check_size(*image.size)
    try:
        image.load()
        # Pillow heeds for 8 bits only that white is zero.
        is_negative = image.mode in DEEP_GREY and getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0
        photo = _rgb(_upright(image))
        return ImageOps.invert(photo) if is_negative else photo
    except InputError:
        raise
    except DECODER_ERRORS as error:
        raise InputError(DAMAGED) from error


def _completed(data: bytes) -> bytes | None:
    """A JPEG that lacks its last bytes, with an end; None for everything else that cannot be decoded."""
    try:
        _check_size(*_open(data).size)  # before it is decoded to see how much is missing
        return truncated_jpeg.complete(data)
    except DECODER_ERRORS:  # InputError is one of them
        return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except DECODER_ERRORS:  # unreadable EXIF: the pixels are still a photo
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in DEEP_GREY:
        image = _eight_bits(image)
    if image.mode.startswith("I") or image.mode == "F":
        raise InputError("This image has more than 8 bits a channel; save it as an ordinary JPEG or PNG.")
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey -> 8 bits, the upper half of every value; its transparent value, if it has one, becomes white."""
    import numpy as np

    values = np.asarray(image)
    grey = (values >> 8).astype(np.uint8)
    if isinstance(transparent := image.info.get("transparency"), int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _content(source: str | Path | bytes) -> bytes:
    data = bytes(source) if isinstance(source, bytes | bytearray) else _read(source)
    if not data:
        raise InputError("The photo file is empty; choose another one.")
    if len(data) > MOST_BYTES:
        raise InputError(f"The photo file is larger than {MOST_BYTES // 1_000_000} MB; choose a smaller copy.")
    return data


def _open(data: bytes) -> Image.Image:
    """Reads the header; pixels are decoded later."""
    formats = FORMATS
    if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        formats = (*FORMATS, _heic_format())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pixels are counted by us
            return Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError as error:
        if formats != FORMATS:  # its beginning is that of a HEIC file
            raise InputError(DAMAGED) from error
        raise InputError(
            "This file is not a photo we can read (JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF)."
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(_too_large()) from error
    except DECODER_ERRORS as error:
        raise InputError(DAMAGED) from error


def _heic_format() -> str:
    """Pillow's name of the format, which it knows from now on. Raises InputError."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:  # no wheel for this platform
        raise InputError("This is a HEIC photo; install pillow-heif, or save the photo as JPEG.") from error
    register_heif_opener(thumbnails=False)
    return "HEIF"


def _read(source: str | Path) -> bytes:
    if not isinstance(source, str | Path):
        raise InputError("A photo is given as a file, its bytes or an image.")
    try:
        path = Path(source)
        info = path.stat()
        if info.st_size > MOST_BYTES:
            raise InputError(f"The photo file is larger than {MOST_BYTES // 1_000_000} MB; choose a smaller copy.")
        if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):  # a device never ends, a pipe never begins
            raise InputError(f"The photo {printable(path.name)} is a device or a pipe, not a file; choose a photo.")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)  # whatever stat said
    except OSError as error:
        name = printable(" ".join(path.name.split()) or str(path))
        raise InputError(f"The photo {name} cannot be opened ({error.strerror or 'unknown reason'}).") from error
    except InputError:
        raise
    except ValueError as error:  # half a character, or the character zero
        raise InputError(f"A photo cannot have the name {printable(str(source))}; rename the file.") from error


def printable(text: str, most: int = 80) -> str:
    """A text from outside for a sentence: at most `most` characters, those that no console prints escaped."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in short)


def _check_size(width: int, height: int) -> None:
    if not width or not height:
        raise InputError("The photo has no pixels; choose another one.")
    if width * height > MOST_PIXELS:
        raise InputError(_too_large())
    if max(width, height) > MOST_ASPECT * min(width, height):
        raise InputError(f"The photo is more than {MOST_ASPECT} times as long as it is wide; crop it first.")


def _too_large() -> str:
    return f"The photo has more than {MOST_PIXELS // 1_000_000} million pixels; choose a smaller copy."


def pixels_id(photo: Image.Image) -> str:
    """The hash of a photo's size and pixels, 16 hex digits: equal for copies under other names or with other metadata.

    photo: as `read_photo` gives it.
    """
    return hashlib.sha256(f"{photo.mode} {photo.size} ".encode() + photo.tobytes()).hexdigest()[:16]


def small_jpeg(photo: Image.Image, side: int = 900) -> bytes:
    """The photo for a page: JPEG bytes, the longer side at most `side` pixels, without metadata."""
    small = photo.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
