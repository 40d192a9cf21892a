"""What a user may choose when a file can be read in several ways."""

from __future__ import annotations

from dataclasses import dataclass

PLANES = ("axial", "coronal", "sagittal")
"""Planes in which a volume can be sliced."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Choices for `napari_emcad.io.images.read.read_image`; None takes the default.

    Attributes
    ----------
    plane
        Plane in which a volume with an orientation is sliced, one of `PLANES`.
    series
        Series of a DICOM folder: its number, description or UID.
    image_key, label_key
        Name of the array with the image and the labels in an HDF5 or NPZ file.
    level
        Level of an image in several resolutions, 0 for the finest.
    as_labels
        Whether the labels of an HDF5 or NPZ file are read instead of its image.
    """

    plane: str | None = None
    series: str | None = None
    image_key: str | None = None
    label_key: str | None = None
    level: int | None = None
    as_labels: bool = False

    def __post_init__(self) -> None:
        if self.plane is not None and self.plane not in PLANES:
            raise ValueError(f"slices is {self.plane!r}; it must be one of {', '.join(PLANES)}.")
