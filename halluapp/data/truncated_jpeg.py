"""JPEG files that lack their last bytes, as a broken download or an old camera leaves them: read where little is lost.

Pillow refuses every one of them, also where only the end mark is missing and no pixel is.
"""

from __future__ import annotations

import io

from PIL import Image, ImageChops

START, END_MARK, START_OF_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
PROGRESSIVE = (0xC2, 0xCA)  # kinds of a frame that is refined scan by scan
WITHOUT_LENGTH = (0x00, 0x01, *range(0xD0, 0xD9))  # escaped bytes and markers without a segment behind them
NOISE = bytes(range(17, 241, 7)) * 40  # entropy-coded nonsense
MOST_LOST = 1 / 8  # of the pixels; what is lost becomes grey


def complete(data: bytes) -> bytes | None:
    """The bytes with an end mark behind them; None where they are no JPEG or more than MOST_LOST of it is missing.

    A decoder fills what is missing with grey. How much that is shows in a second decoding with nonsense in its place:
    the pixels that differ. Raises what Pillow's decoder raises.
    """
    if not data.startswith(START) or not _has_last_scan(data):
        return None
    data = data.rstrip(b"\xff")  # half of a mark
    ended = data + END_MARK
    with Image.open(io.BytesIO(ended), formats=("JPEG",)) as image:
        filled = image.convert("L")
    with Image.open(io.BytesIO(data + NOISE + END_MARK), formats=("JPEG",)) as image:
        difference = ImageChops.difference(filled, image.convert("L")).point(lambda value: 255 * (value > 0))
    lost = difference.histogram()[255] / (filled.width * filled.height)
    return ended if lost <= MOST_LOST else None


def _has_last_scan(data: bytes) -> bool:
    """Whether the pixels of a scan are there and, of a progressive file, a scan in full precision: only bits lack."""
    position, progressive, has_scan = 2, False, False
    while 0 <= (position := data.find(b"\xff", position)) < len(data) - 4:
        marker = data[position + 1]
        if marker in WITHOUT_LENGTH or marker == 0xFF:
            position += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4])
        progressive = progressive or marker in PROGRESSIVE
        if marker == START_OF_SCAN and position + 2 + length <= len(data):
            has_scan = (
                not progressive or data[position + 1 + length] & 15 == 0
            )  # the last byte: bits that later scans add
        position += 2 + length
    return has_scan
