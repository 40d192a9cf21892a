"""Pictures whose numbers Pillow stretches to 0 … 255 or 0 … 65,535."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

_JPEG2000 = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
_SIZE = b"\xff\x51"
"""Marker of the segment with the size of the image and the bits of its components."""

_HEADERS = {b"P4": 2, b"P5": 3, b"P6": 3}
"""Kinds of Netpbm with packed numbers, of which a file may have several, and the numbers of their
headers: width and height, and the largest number of a pixel."""

_COMMENT = re.compile(rb"#[^\n\r]*")
_NUMBER = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])+(\d+)")
_GRAY, _COLOR = (b"P2", b"P5"), (b"P3", b"P6")
_HEADER = 4096


def is_deep_jpeg2000(path: Path) -> bool:
    """Return whether a file is a JPEG 2000 with signed numbers, or not of 8 bits."""
    with path.open("rb") as file:
        start = file.read(_HEADER)
    place = start.find(_SIZE)
    if not start.startswith(_JPEG2000) or place < 0:
        return False
    (count,) = struct.unpack_from(">H", start, place + 38)
    bits = start[place + 40 : place + 40 + 3 * count : 3]
    return any(one != 7 for one in bits)  # bits - 1, and 128 more for signed numbers


def netpbm_pictures(path: Path) -> int:
    """Return the number of pictures in a file of packed Netpbm; 0 of other files."""
    with path.open("rb") as file:
        if file.read(2) not in _HEADERS:
            return 0
        file.seek(0)
        content = file.read()
    count = start = 0
    while content[start : start + 2] in _HEADERS:
        start = _end_of_picture(content, start)
        count += 1
    return count


def _end_of_picture(content: bytes, start: int) -> int:
    """Return the place behind a packed picture of Netpbm that begins at a place."""
    kind = content[start : start + 2]
    numbers: list[int] = []
    place = start + 2
    while len(numbers) < _HEADERS[kind]:
        found = _NUMBER.match(content, place)
        if found is None:
            return len(content)
        numbers.append(int(found.group(1)))
        place = found.end()
    width, height, largest = (*numbers, 1)[:3]
    row = -(-width // 8) if kind == b"P4" else width * (1 + (largest > 255))
    samples = 3 if kind == b"P6" else 1
    return place + 1 + row * height * samples


def check_levels(path: Path) -> None:
    """Refuse a PGM or PPM whose largest number is not that of 8 bits, or of 16 bits in gray.

    Raises
    ------
    ImageFileError
        The message says what to do.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER)
    if start[:2] not in (*_GRAY, *_COLOR):
        return
    words = _COMMENT.sub(b" ", start).split()
    largest = int(words[3])
    if largest != 255 and not (largest == 65_535 and start[:2] in _GRAY):
        raise ImageFileError(
            f"{path} has numbers from 0 to {largest}, which would be stretched; convert it to TIFF "
            f"or PNG with a program that keeps them, such as netpbm."
        )
