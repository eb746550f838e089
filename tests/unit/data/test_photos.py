"""Untrusted photos: either the right upright RGB image, or an InputError of exactly one sentence."""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from halluapp.data import photos
from halluapp.data.photos import read_photo
from halluapp.errors import InputError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def _bytes(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _halves() -> Image.Image:
    """Left half red, right half blue; 40 x 20."""
    image = Image.new("RGB", (40, 20), RED)
    image.paste(BLUE, (20, 0, 40, 20))
    return image


def _near(pixel: tuple[int, ...], colour: tuple[int, ...], by: int = 12) -> bool:
    return len(pixel) == 3 and all(abs(a - b) <= by for a, b in zip(pixel, colour, strict=True))


def _refusal(source) -> str:
    with pytest.raises(InputError) as caught:
        read_photo(source)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert sentence[0].isupper()
    assert not re.search(r"\w\. ", sentence)
    assert "Traceback" not in sentence
    return sentence


def _bomb_png(width: int, height: int) -> bytes:
    """A valid PNG header and compressed rows of 1-bit zeros: huge when decoded, tiny as a file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" * (1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("orientation", "left_colour", "size"),
    [(1, RED, (40, 20)), (2, BLUE, (40, 20)), (3, BLUE, (40, 20)), (6, RED, (20, 40))],
)
def test_exif_orientation_is_applied(orientation, left_colour, size) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_photo(_bytes(_halves(), "JPEG", quality=95, exif=exif))
    assert image.size == size
    assert image.mode == "RGB"
    assert _near(image.getpixel((2, 2)), left_colour, 40)
    assert image.getexif().get(0x0112, 1) == 1  # nobody downstream turns it a second time


def test_broken_exif_does_not_lose_the_photo() -> None:
    for junk in (b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        assert read_photo(_bytes(_halves(), "JPEG", exif=junk)).size == (40, 20)


def test_every_common_mode_and_format_becomes_rgb() -> None:
    plain = Image.new("RGB", (8, 6), RED)
    for data in (
        _bytes(plain.convert("CMYK"), "JPEG", quality=95),
        _bytes(plain.convert("P", palette=Image.Palette.ADAPTIVE)),
        _bytes(plain.convert("RGBA"), "WEBP", lossless=True),
        _bytes(plain, "BMP"),
        _bytes(plain, "TIFF"),
        _bytes(plain.convert("YCbCr"), "JPEG", quality=95),
        _bytes(plain, "GIF"),
    ):
        image = read_photo(data)
        assert (image.mode, image.size) == ("RGB", (8, 6))
        assert _near(image.getpixel((3, 3)), RED)
    assert read_photo(_bytes(Image.new("L", (3, 3), 128))).getpixel((1, 1)) == (128, 128, 128)
    assert read_photo(_bytes(Image.new("1", (3, 3), 1))).getpixel((1, 1)) == WHITE


def test_transparency_is_laid_over_white() -> None:
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half.putpixel((0, 0), (0, 255, 0, 255))
    image = read_photo(_bytes(half))
    assert image.getpixel((0, 0)) == GREEN
    assert image.getpixel((3, 3)) == WHITE
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((0, 0), 1)
    image = read_photo(_bytes(palette, transparency=0))
    assert image.getpixel((0, 0)) == BLUE
    assert image.getpixel((3, 3)) == WHITE
    assert read_photo(_bytes(Image.new("LA", (2, 2), (0, 0)))).getpixel((0, 0)) == WHITE


def test_one_pixel() -> None:
    image = read_photo(_bytes(Image.new("RGB", (1, 1), GREEN)))
    assert image.size == (1, 1)
    assert image.getpixel((0, 0)) == GREEN


def test_only_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (6, 6), colour) for colour in (RED, GREEN, BLUE)]
    for kind in ("GIF", "WEBP", "PNG"):
        image = read_photo(_bytes(frames[0], kind, save_all=True, append_images=frames[1:]))
        assert _near(image.getpixel((3, 3)), RED), kind


def test_sixteen_bits_of_grey_become_eight() -> None:
    """Public kind: 16-bit photos of cameras and scanners."""
    values = Image.new("I;16", (4, 4), 40000)
    values.putpixel((0, 0), 65535)
    for data in (_bytes(values), _bytes(values, "TIFF"), values, Image.new("I;16B", (4, 4), 40000)):
        image = read_photo(data)
        assert (image.mode, image.getpixel((2, 2))) == ("RGB", (156, 156, 156))
    assert read_photo(_bytes(values)).getpixel((0, 0)) == WHITE
    assert read_photo(_bytes(values, "TIFF", tiffinfo={photos.PHOTOMETRIC: 0})).getpixel((0, 0)) == (0, 0, 0)
    assert read_photo(_bytes(values, transparency=40000)).getpixel((2, 2)) == WHITE


def test_values_whose_white_is_unknown_are_refused_in_words() -> None:
    for deep in (Image.new("F", (4, 4), 0.5), Image.new("I", (4, 4), 70000)):
        assert "8 bits" in _refusal(_bytes(deep, "TIFF"))
        assert "8 bits" in _refusal(deep)


def test_photos_of_phones_are_read() -> None:
    """Public kind: HEIC, which phones write and a page's own decoder refuses."""
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = _bytes(_halves(), "HEIF", quality=95)
    image = read_photo(data)
    assert (image.mode, image.size) == ("RGB", (40, 20))
    assert _near(image.getpixel((2, 2)), RED, 40)
    for cut in (2, len(data) // 2):
        assert "damaged" in _refusal(data[:-cut])


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_bytes_is_read(progressive) -> None:
    """Public kind: broken downloads. What is missing must be little: half of the photo is refused."""
    noisy = Image.effect_noise((200, 150), 90).convert("RGB")
    data = _bytes(noisy, "JPEG", progressive=progressive)
    whole = read_photo(data)
    for cut in (1, 2, 5, 60):
        image = read_photo(data[:-cut])
        assert image.size == whole.size
        assert ImageChops.difference(image, whole).crop((0, 0, 200, 120)).getextrema() <= ((0, 40),) * 3
    for cut in (len(data) // 3, len(data) // 2):
        assert "damaged" in _refusal(data[:-cut])


def test_arrays_are_no_photos() -> None:
    """Public kind: a program hands its pixels over instead of a file."""
    np = pytest.importorskip("numpy")
    for odd in (np.zeros((8, 8, 3), "uint8"), np.zeros(()), np.array(["a.jpg", "b.jpg"]), {"path": "a.jpg"}, object()):
        assert _refusal(odd) == "A photo is given as a file, its bytes or an image."
    assert "rename" in _refusal("half \ud83d a character.jpg")


def test_the_identity_of_a_photo_is_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x010E] = "another description"
    one, other = (read_photo(_bytes(_halves(), "PNG", **options)) for options in ({}, {"exif": exif}))
    assert photos.pixels_id(one) == photos.pixels_id(other) == photos.pixels_id(read_photo(_bytes(_halves(), "BMP")))
    assert photos.pixels_id(one) != photos.pixels_id(one.transpose(Image.Transpose.ROTATE_90))
    assert len(photos.pixels_id(one)) == 16


def test_truncated_files_are_refused() -> None:
    noisy = Image.effect_noise((200, 200), 90).convert("RGB")
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        data = _bytes(noisy, kind)
        _refusal(data[: len(data) // 2])


def test_what_is_no_photo_is_refused(tmp_path: Path) -> None:
    assert "empty" in _refusal(b"")
    empty = tmp_path / "empty.png"
    empty.touch()
    assert "empty" in _refusal(empty)
    text = tmp_path / "letter.jpg"
    text.write_text("Dear reader, this is not a photo. " * 20)
    assert "not a photo" in _refusal(text)
    assert "missing.jpg" in _refusal(tmp_path / "missing.jpg")
    assert "no photo yet" in _refusal(None)
    assert "no photo yet" in _refusal("")
    for odd in (tmp_path, ".", "line\nbreak.jpg", "nul\0byte.jpg", 7, [1, 2]):
        _refusal(odd)


def test_only_photo_formats_are_decoded() -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    assert "not a photo" in _refusal(postscript)  # its decoder would start an external program
    assert "not a photo" in _refusal(_bytes(Image.new("RGB", (4, 4)), "PPM"))


def test_a_decompression_bomb_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = _bomb_png(20_000, 20_000)
    assert len(bomb) < 60_000
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were decoded"))
    assert "million pixels" in _refusal(bomb)  # beyond Pillow's own limit
    assert "million pixels" in _refusal(_bomb_png(10_000, 7_000))  # below it, beyond ours
    assert "million pixels" in _refusal(Image.open(io.BytesIO(_bomb_png(10_000, 7_000))))  # opened by somebody else


def test_too_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MOST_BYTES", 100)
    data = _bytes(_halves(), "BMP")
    path = tmp_path / "large.bmp"
    path.write_bytes(data)
    assert "larger than" in _refusal(data)
    assert "larger than" in _refusal(path)


def test_strips_and_images_without_pixels_are_refused() -> None:
    assert "crop" in _refusal(Image.new("RGB", (5100, 100)))
    assert "crop" in _refusal(Image.new("RGB", (100, 5100)))
    assert read_photo(Image.new("RGB", (5000, 100))).size == (5000, 100)
    assert "no pixels" in _refusal(Image.new("RGB", (0, 5)))


def test_the_given_image_is_not_changed() -> None:
    image = _halves().convert("RGBA")
    before = image.tobytes()
    read_photo(image)
    assert image.mode == "RGBA"
    assert image.tobytes() == before


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_else(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")))
    content = bytearray(_bytes(_halves(), kind))
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert read_photo(bytes(content)).mode == "RGB"
    except InputError as error:
        assert str(error).endswith(".")
        assert "\n" not in str(error)


def test_devices_and_pipes_are_refused_at_once(tmp_path) -> None:
    """A device never ends and a pipe never begins: neither may be waited for, whoever names it."""
    paths = ["/dev/zero", "/dev/urandom"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        paths.append(str(tmp_path / "pipe.jpg"))
    for path in filter(os.path.exists, paths):
        with pytest.raises(InputError, match="not a file"):
            read_photo(path)
