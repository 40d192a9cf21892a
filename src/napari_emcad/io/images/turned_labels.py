"""Labels of pictures that are meant to be turned or mirrored when they are shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.opened_image import OpenedImage

_MIRRORED, _FIRST_TO_EXCHANGE, _LAST = 2, 5, 8
"""First orientation that is not upright, first one that exchanges rows and columns, last one."""

_INVERSE = {6: 8, 8: 6}
"""Orientations that are undone by another one; all others are undone by themselves."""


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return a picture ``(Y, X)`` or ``(Y, X, C)`` as it is to be shown.

    Parameters
    ----------
    pixels
        The picture as it is stored.
    orientation
        Number of TIFF and EXIF, 1 (upright) to 8.
    """
    if orientation >= _FIRST_TO_EXCHANGE:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def as_image_is_stored(path: Path, labels: OpenedImage, image: OpenedImage) -> OpenedImage:
    """Return labels as the pixels of their image are stored, if one of both is to be turned.

    The size shows whether labels were drawn on the stored or on the turned picture, if rows and
    columns are exchanged and differ in number.

    Raises
    ------
    ImageFileError
        If the size does not show it.
    """
    own, other = _orientation(labels), _orientation(image)
    if own == other:
        return labels
    sizes = _size(labels), _size(image)
    is_shown_by_size = 1 in (own, other) and max(own, other) >= _FIRST_TO_EXCHANGE
    if not is_shown_by_size or None in sizes or len(set(sizes[1] or ())) == 1:
        raise ImageFileError(
            f"{path} and its image are turned differently when they are shown (orientations {own} "
            f"and {other}), and their sizes do not show whether the labels were drawn on the "
            f"turned picture; save both upright, as PIL.ImageOps.exif_transpose does."
        )
    if sizes[0] == sizes[1] or sizes[0] != (sizes[1] or ())[::-1]:
        return labels  # of the stored pixels; labels of another size are refused later
    turn = own if other == 1 else _INVERSE.get(other, other)
    palette = None if labels.palette is None else turned(labels.palette, turn)
    note = f"{labels.note} {path.name} has the size of the turned picture, and is turned with it."
    pixels = turned(np.asarray(labels.pixels), turn)
    return replace(labels, pixels=pixels, palette=palette, note=note.strip(), orientation=other)


def _orientation(opened: OpenedImage) -> int:
    """Return the orientation; numbers without a meaning, which some cameras write, are upright."""
    return opened.orientation if _MIRRORED <= opened.orientation <= _LAST else 1


def _size(opened: OpenedImage) -> tuple[int, ...] | None:
    """Return the numbers of rows and columns of a picture; None of other images."""
    return tuple(opened.pixels.shape[:2]) if opened.axes in ("YX", "YXC") else None
