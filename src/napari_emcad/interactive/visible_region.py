"""The visible part of an image, shared by the window and a running job."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_emcad.imaging.slices import Slices


class VisibleRegion:
    """The visible part of an image; the window sets it, and a running job reads it.

    Attributes
    ----------
    slices
        The visible part of an image; None if nothing is to be predicted.
    """

    def __init__(self, slices: Slices | None = None) -> None:
        self.slices = slices
