"""What an image file holds, and the one error that reading or writing one ends with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_emcad.io.images.pixel_size import PIXEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class ImageFileError(ValueError):
    """An image file cannot be read or written; one sentence says why."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenedImage:
    """What an image file holds.

    Attributes
    ----------
    pixels
        The array, perhaps memory-mapped or lazy.
    axes
        A letter per axis as `napari_emcad.segment` takes them; None where the file does not say.
    palette
        The numbers behind the colors, where a picture stores them: what a label file means.
    note
        What a user should know of it, or "".
    scale
        Size of a pixel in `unit` along Z, Y and X by letter, as far as the file says it.
    unit
        Of length, ``"pixel"`` without a scale.
    """

    pixels: Any
    axes: str | None = None
    palette: NDArray[Any] | None = None
    note: str = ""
    scale: Mapping[str, float] = field(default_factory=dict)
    unit: str = PIXEL
