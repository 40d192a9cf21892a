"""Cache of the normalized pixels of annotated patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.inference.patches import Preprocessor
    from napari_emcad.interactive.annotated_patches import AnnotatedImage, PatchKey

    Planes = NDArray[np.float32]


class PlaneCache:
    """Normalized pixels of the patches that were asked for last, so that they are read once."""

    def __init__(self) -> None:
        self._cached: dict[tuple[PatchKey, Preprocessing], tuple[Slices, Planes]] = {}

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
        # Imported here because it loads torch, which the window does only in a thread.
        from napari_emcad.inference.patches import Preprocessor

        slices_by_key = {image.key: image.slices for image in images}
        preprocessors: dict[Hashable, Preprocessor] = {}
        cached, planes_by_key = {}, {}
        for key in keys:
            slices = slices_by_key[key.source]
            before = self._cached.get((key, preprocessing))
            if before is not None and _read_alike(before[0], slices):
                planes = before[1]
            else:
                preprocessor = preprocessors.setdefault(
                    key.source, Preprocessor(slices, preprocessing)
                )
                planes = preprocessor.planes(key.index, key.rows, key.columns)
            cached[key, preprocessing] = slices, planes
            planes_by_key[key] = planes
        self._cached = cached
        return planes_by_key


def _read_alike(one: Slices, other: Slices) -> bool:
    """Return whether two `Slices` read the same array in the same way."""
    return one.image is other.image and (one.axes, one.channels) == (other.axes, other.channels)
