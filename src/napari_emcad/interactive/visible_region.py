"""The visible part of an image, shared by the window and a running job."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_emcad.imaging.slices import Slices, Where


class VisibleRegion:
    """The visible part of an image; the window sets it, and a running job reads it.

    Attributes
    ----------
    slices
        The visible part of an image; None if nothing is to be predicted.
    """

    def __init__(self, slices: Slices | None = None) -> None:
        self.slices = slices


def place_of(slices: Slices) -> Where:
    """Return the NumPy index of a visible part in a segmentation of the whole image."""
    return slices.where(slices.indices[0], (0, slices.height), (0, slices.width))
