"""Clean-up of a finished segmentation, and single objects out of it."""

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

_SMOOTH = 1.0
"""Pixels; smoothing of the distance map, so that a rough border does not split an object."""

_RISE = 0.5
"""Pixels that a center must rise above the neck to the next one, or both are one object's."""


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What is done to the labels of each slice, in this order.

    Parameters
    ----------
    fill_holes
        Background areas of up to this many pixels that one class encloses become that class.
    smallest_object
        Connected areas of fewer pixels than this become background.
    largest_component
        Whether only the largest connected area of each class stays.
    separate
        Whether each object gets a number of its own; touching ones are cut at their necks.
    neck
        Pixels, 1 or more; centers of touching objects lie at least this far apart.

    Raises
    ------
    ValueError
        If a value is of another kind, or out of bounds.
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
        """Whether anything is done at all."""
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
        kept = mask = result == value
        if clean_up.smallest_object:
            kept = _areas_of_at_least(kept, clean_up.smallest_object)
        if clean_up.largest_component:
            kept = _largest_area(kept)
        result[mask & ~kept] = 0
    return result


def separate_objects(labels: Labels, neck: int) -> tuple[Labels, tuple[int, ...]]:
    """Return single objects of a labeled slice.

    Parameters
    ----------
    labels
        Class labels, ``(H, W)``.
    neck
        Pixels; centers of touching objects lie at least this far apart.

    Returns
    -------
    tuple
        Object numbers 1 … n, ``(H, W)`` int32, and the class of each object.
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
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), _SMOOTH)
    seeds = _centers((h_maxima(depth, _RISE) > 0) & mask, mask, neck)
    cut: Labels = watershed(-depth, seeds, mask=mask)
    missed = label(mask & (cut == 0), connectivity=1)  # areas too flat to have a center
    cut[missed > 0] = missed[missed > 0] + seeds.max()
    return cut


def _centers(ridges: Labels, mask: Labels, neck: int) -> Labels:
    """Return ridges of the distance map by number; those nearer than `neck` have one in common."""
    if not ridges.any():
        return np.zeros(mask.shape, np.int32)
    near = label((ndimage.distance_transform_edt(~ridges) * 2 < neck) & mask, connectivity=1)
    numbers = np.zeros(near.max() + 1, np.int32)
    kept = np.unique(near[ridges])
    numbers[kept] = np.arange(1, len(kept) + 1)
    centers: Labels = numbers[near]
    return centers


def _values(labels: Labels) -> list[int]:
    return [int(value) for value in np.unique(labels) if value]


def _areas_of_at_least(mask: Labels, pixels: int) -> Labels:
    parts = label(mask, connectivity=1)
    large = np.bincount(parts.ravel()) >= pixels
    large[0] = False
    kept: Labels = large[parts]
    return kept


def _largest_area(mask: Labels) -> Labels:
    parts = label(mask, connectivity=1)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax() if len(sizes) > 1 else mask
