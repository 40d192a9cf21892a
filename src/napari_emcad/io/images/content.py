"""What kind of image a file holds, by its first bytes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_STARTS = {
    b"\x89PNG\r\n\x1a\n": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"II*\x00": ".tif",
    b"MM\x00*": ".tif",
    b"II+\x00": ".tif",
    b"MM\x00+": ".tif",
    b"\x89HDF\r\n\x1a\n": ".h5",
    b"\x93NUMPY": ".npy",
    b"NRRD00": ".nrrd",
    b"\x00\x00\x00\x0cjP  ": ".jp2",
    b"\xff\x4f\xff\x51": ".j2k",
}
"""First bytes of files, and the extension of their kind."""

_PICTURES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp")
_TIFF = (".tif", ".tiff")
"""Extensions that programs give to pictures of any of these kinds."""

_LONGEST = 352
"""Bytes that tell all kinds apart; the header of NIfTI is the longest."""


def extension_by_content(path: Path) -> str:
    """Return the usual extension of the kind of a file; "" if it is not known."""
    start = b""
    with suppress(OSError), path.open("rb") as file:
        start = file.read(_LONGEST)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return ".webp"
    if start[344:348] in (b"n+1\x00", b"ni1\x00") or start[4:8] in (b"n+2\x00", b"ni2\x00"):
        return ".nii"
    return next((kind for first, kind in _STARTS.items() if start.startswith(first)), "")


def corrected_extension(path: Path, extension: str) -> str:
    """Return the extension by which a file is to be read.

    Pictures and TIFF files with the extension of another of these kinds are read for what they are.
    """
    if extension not in (*_PICTURES, *_TIFF):
        return extension
    kind = extension_by_content(path)
    return kind if kind in (*_PICTURES, *_TIFF) else extension
