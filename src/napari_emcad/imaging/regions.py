"""Clean-up of a finished segmentation, and its separation into single objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from napari_emcad.imaging.validation import as_bool, as_int

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Labels: TypeAlias = NDArray[Any]

_SIGMA = 1.0
"""Pixels; smoothing of the distance map, so that a rough border does not split an object."""

_RISE = 0.5
"""Pixels by which a maximum of the distance map must rise above the neck to the next one; lower
maxima belong to one object."""


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Changes of the labels of a slice, in this order.

    Parameters
    ----------
    fill_holes
        Background areas of up to this many pixels that one class encloses become that class.
    smallest_object
        Connected areas of fewer pixels than this become background.
    largest_component
        Whether only the largest connected area of a class stays.
    separate
        Whether objects are numbered; touching ones are cut at their necks.
    neck
        Smallest distance of the centers of touching objects in pixels, 1 or more.

    Raises
    ------
    ValueError
        If a value is of another type, or out of bounds.
    """

    fill_holes: int = 0
    smallest_object: int = 0
    largest_component: bool = False
    separate: bool = False
    neck: int = 5

    def __post_init__(self) -> None:
        for name, least in (("fill_holes", 0), ("smallest_object", 0), ("neck", 1)):
            pixels = as_int(name, getattr(self, name))
            if pixels < least:
                raise ValueError(f"{name} is {pixels} pixels; it must be {least} or more.")
            object.__setattr__(self, name, pixels)
        for name in ("largest_component", "separate"):
            object.__setattr__(self, name, as_bool(name, getattr(self, name)))

    @property
    def active(self) -> bool:
        """Whether labels are changed at all."""
        return bool(
            self.fill_holes or self.smallest_object or self.largest_component or self.separate
        )


def clean_up_labels(labels: Labels, clean_up: CleanUp) -> Labels:
    """Return class labels ``(H, W)`` with holes filled and unwanted areas removed."""
    result = labels.copy()
    for value in _values(labels) if clean_up.fill_holes else ():
        holes = ndimage.binary_fill_holes(result == value) & (result == 0)
        result[holes & ~_areas_of_at_least(holes, clean_up.fill_holes + 1)] = value
    for value in _values(labels):
        remaining = mask = result == value
        if clean_up.smallest_object:
            remaining = _areas_of_at_least(remaining, clean_up.smallest_object)
        if clean_up.largest_component:
            remaining = _largest_area(remaining)
        result[mask & ~remaining] = 0
    return result


def separate_objects(labels: Labels, neck: int) -> tuple[Labels, tuple[int, ...]]:
    """Return the single objects of a labeled slice.

    Parameters
    ----------
    labels
        Class labels, ``(H, W)``.
    neck
        Smallest distance of the centers of touching objects in pixels.

    Returns
    -------
    tuple
        Object numbers 1 … n, ``(H, W)`` int32, and the classes of the objects.
    """
    objects = np.zeros(labels.shape, np.int32)
    classes: list[int] = []
    for value in _values(labels):
        mask = labels == value
        parts = _cut_at_necks(mask, neck)
        objects[mask] = parts[mask] + len(classes)
        classes += [value] * int(parts.max())
    return objects, tuple(classes)


def _cut_at_necks(mask: Labels, neck: int) -> Labels:
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), _SIGMA)
    seeds = _centers((h_maxima(depth, _RISE) > 0) & mask, mask, neck)
    parts: Labels = watershed(-depth, seeds, mask=mask)
    without_center = label(mask & (parts == 0), connectivity=1)  # areas too flat for a maximum
    parts[without_center > 0] = without_center[without_center > 0] + seeds.max()
    return parts


def _centers(maxima: Labels, mask: Labels, neck: int) -> Labels:
    """Return numbered maxima of the distance map; those nearer than `neck` share a number."""
    if not maxima.any():
        return np.zeros(mask.shape, np.int32)
    near = label((ndimage.distance_transform_edt(~maxima) * 2 < neck) & mask, connectivity=1)
    numbers = np.zeros(near.max() + 1, np.int32)
    present = np.unique(near[maxima])
    numbers[present] = np.arange(1, len(present) + 1)
    centers: Labels = numbers[near]
    return centers


def _values(labels: Labels) -> list[int]:
    return [int(value) for value in np.unique(labels) if value]


def _areas_of_at_least(mask: Labels, pixels: int) -> Labels:
    parts = label(mask, connectivity=1)
    large = np.bincount(parts.ravel()) >= pixels
    large[0] = False
    areas: Labels = large[parts]
    return areas


def _largest_area(mask: Labels) -> Labels:
    parts = label(mask, connectivity=1)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax() if len(sizes) > 1 else mask
