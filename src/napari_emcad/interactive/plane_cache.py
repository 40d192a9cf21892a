"""Cache of the normalized pixels of annotated patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.imaging.fingerprint import checksum
from napari_emcad.imaging.ranges import intensity_ranges, training_planes

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.interactive.annotated_patches import AnnotatedImage, PatchKey

    Planes = NDArray[np.float32]


class PlaneCache:
    """Normalized pixels of the patches that were asked for last, so that they are read once.

    An array in memory may be changed in place, so its planes are valid for a checksum of the pixels
    and the range of intensities; those of other arrays are valid for a revision of the image.
    """

    def __init__(self) -> None:
        self._cached: dict[tuple[PatchKey, Preprocessing], _Cached] = {}

    def planes(
        self,
        images: Sequence[AnnotatedImage],
        keys: Iterable[PatchKey],
        preprocessing: Preprocessing,
    ) -> Mapping[PatchKey, Planes]:
        """Return the normalized planes of patches, ``(1 or channels, H, W)``, by key.

        All other patches are dropped from the cache.

        Parameters
        ----------
        images
            Images of the patches.
        keys
            Keys of the patches.
        preprocessing
            Normalization of intensities.
        """
        image_by_key = {image.key: image for image in images}
        cached, planes_by_key = {}, {}
        for key in keys:
            image = image_by_key[key.source]
            state = _state(image, key, preprocessing)
            before = self._cached.get((key, preprocessing))
            if before is not None and before.is_valid(image.slices, state):
                planes = before.planes
            else:
                planes = training_planes(
                    image.slices, key.index, preprocessing, key.rows, key.columns
                )
            cached[key, preprocessing] = _Cached(image.slices, state, planes)
            planes_by_key[key] = planes
        self._cached = cached
        return planes_by_key


@dataclass(frozen=True, slots=True, eq=False)
class _Cached:
    """Planes with the array that they were read from, and its state at that time."""

    slices: Slices
    state: Hashable
    planes: Planes

    def is_valid(self, slices: Slices, state: Hashable) -> bool:
        """Return whether the planes are those of an array in a state, read in the same way."""
        before = self.slices
        same_array = before.image is slices.image and before.axes == slices.axes
        return same_array and before.channels == slices.channels and self.state == state


def _state(image: AnnotatedImage, key: PatchKey, preprocessing: Preprocessing) -> Hashable:
    """Return a value that differs if the normalized pixels of a patch have changed."""
    slices = image.slices
    if not isinstance(slices.image, np.ndarray):
        return image.revision
    raw = slices.read(key.index, key.rows)[:, :, slice(*key.columns)]
    return checksum(raw), intensity_ranges(slices, key.index, preprocessing)
