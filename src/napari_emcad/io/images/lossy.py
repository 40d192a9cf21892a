"""Whether pictures are packed in a way that changes numbers, by their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.images.jpeg import jpeg_segments

if TYPE_CHECKING:
    from pathlib import Path

_PICTURES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".jp2", ".j2k"}
_PICTURES |= {".jpx", ".jpc", ".j2c", ".avif", ".heic", ".heif", ".jxl", ".mpo", ".tif", ".tiff"}
"""Extensions of pictures, whose content may be of another kind than the name says."""

_HEADER = 4096


def lossy_kind(path: Path) -> str:
    """Return the name of the compression of a picture that changes numbers; "" if none does."""
    if path.suffix.lower() not in _PICTURES or not path.is_file():
        return ""
    with path.open("rb") as file:
        start = file.read(_HEADER)
    if start.startswith(b"\xff\xd8\xff") and is_lossy_jpeg(start):
        return "JPEG"
    if start[8:12] == b"WEBP" and is_lossy_webp(path.read_bytes()):
        return "lossy WebP"
    if start[4:8] == b"jP  " or start.startswith(b"\xff\x4f\xff\x51"):
        return "lossy JPEG 2000" if is_lossy_jpeg2000(start) else ""
    if start[4:8] == b"ftyp":
        return "HEIF or AVIF"
    return "JPEG XL" if path.suffix.lower() == ".jxl" else ""


def is_lossy_jpeg(start: bytes) -> bool:
    """Return whether a JPEG is not of the lossless kind (SOF3)."""
    return 0xC3 not in jpeg_segments(start)


def is_lossy_jpeg2000(start: bytes) -> bool:
    """Return whether the wavelets of a JPEG 2000 are those that round (COD marker)."""
    place = start.find(b"\xff\x52")
    return place >= 0 and start[place + 13 : place + 14] == b"\x00"


def is_lossy_webp(content: bytes) -> bool:
    """Return whether a WebP is not of the lossless kind."""
    return b"VP8 " in content
