"""The content of an image file, and the error of reading or writing one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_emcad.io.images.pixel_size import PIXEL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.geometry import Geometry


@dataclass(frozen=True, slots=True)
class NrrdPlace:
    """Fields of the header of a NRRD file that say where it lies, for its axes of space alone."""

    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FlatPlace:
    """Pixel size, origin and direction of a flat MetaImage, as SimpleITK returns them."""

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ZarrPlace:
    """Axes of a level of an OME-Zarr image as its metadata have them, and its transform.

    Attributes
    ----------
    axes
        Entries of the metadata: names with types and units.
    letters
        The letter of every axis.
    scale, translation
        Size of a pixel along every axis, and position of the first pixel, in the unit of the axis.
    """

    axes: tuple[Mapping[str, str], ...]
    letters: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


class ImageFileError(ValueError):
    """An image file cannot be read or written; the message says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenedImage:
    """The content of an image file.

    Attributes
    ----------
    pixels
        Array of the pixels, possibly memory-mapped or lazy.
    axes
        A letter per axis as `napari_emcad.segment` takes them; None if the file does not say.
    palette
        Palette indices of a picture with a color palette, which are the labels of a label file;
        None otherwise.
    note
        Remark for the user about what was read, or "".
    scale
        Size of a pixel in `unit` by axis letter (Z, Y, X), as far as the file contains it.
    unit
        Unit of length of `scale`; ``"pixel"`` without a scale.
    geometry
        Position in the patient of a volume whose last spatial axes are slices, rows and columns;
        None if the file does not contain it.
    is_labels
        Whether the file says that it holds labels.
    levels
        Number of resolutions that the file has.
    place
        What a file without a `geometry` contains about its place, for labels in the same format: a
        `NrrdPlace`, `FlatPlace` or `ZarrPlace`; None of other files.
    source_planes
        DICOM file and number of the frame of every plane along the third axis of the geometry, for
        every time; () of other files.
    orientation
        How a picture is to be turned or mirrored when it is shown, a number of TIFF and EXIF from 1
        (upright) to 8; the pixels are as they are stored.
    axes_note
        Remark about `axes`, or ""; it does not hold if other axes are used.
    """

    pixels: Any
    axes: str | None = None
    palette: NDArray[Any] | None = None
    note: str = ""
    scale: Mapping[str, float] = field(default_factory=dict)
    unit: str = PIXEL
    geometry: Geometry | None = None
    is_labels: bool = False
    levels: int = 1
    place: NrrdPlace | FlatPlace | ZarrPlace | None = None
    source_planes: tuple[tuple[tuple[Path, int], ...], ...] = ()
    orientation: int = 1
    axes_note: str = ""

    def remark(self, axes: str | None = None) -> str:
        """Return the remarks that hold if these axes are used; None are those of the file."""
        is_own = axes is None or axes == self.axes
        other = f"Its axes are taken as {axes}." if self.axes_note else ""
        return f"{self.note} {self.axes_note if is_own else other}".strip()


def first_line(error: Exception) -> str:
    """Return the first line of an error's message without its full stop."""
    message = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(message).splitlines()[0].strip().rstrip(".")
