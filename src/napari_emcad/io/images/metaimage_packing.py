"""Whether the packed pixels of a MetaImage are whole: SimpleITK returns an image in any case."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

_MOST_LINES, _PART = 1000, 2**22
_LOCAL = "local"


def check_packed_pixels(path: Path) -> None:
    """Refuse packed pixels that are damaged or cut off.

    Parameters
    ----------
    path
        A MetaImage, whose pixels may be in another file.

    Raises
    ------
    ImageFileError
        The message names the file with the pixels.
    """
    fields, end = _header(path)
    name = fields.get("elementdatafile", "")
    if fields.get("compresseddata", "").lower() != "true" or not name:
        return
    source = path if name.lower() == _LOCAL else path.with_name(name)
    if not source.is_file():
        return  # a list of files, or a missing one, which SimpleITK refuses
    if not _is_whole(source, end if source == path else 0):
        raise ImageFileError(
            f"{path}: the packed pixels in {source.name} are damaged; copy them again."
        )


def _header(path: Path) -> tuple[dict[str, str], int]:
    """Return the fields in the header by their names in lower case, and where it ends."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for _ in range(_MOST_LINES):
            name, equals, value = file.readline().decode("latin-1").partition("=")
            fields[name.strip().lower()] = value.strip()
            if not equals or name.strip().lower() == "elementdatafile":
                break
        return fields, file.tell()


def _is_whole(path: Path, start: int) -> bool:
    """Return whether the stream of zlib that begins at a byte has a valid end and checksum."""
    stream = zlib.decompressobj(32 + zlib.MAX_WBITS)
    with path.open("rb") as file:
        file.seek(start)
        try:
            while not stream.eof and (part := file.read(_PART)):
                while part:
                    stream.decompress(part, _PART)
                    part = stream.unconsumed_tail
        except zlib.error:
            return False
    return stream.eof
