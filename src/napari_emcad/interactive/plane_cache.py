"""The pixels of annotated patches, read once and kept while they are annotated."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.interactive.annotated_patches import AnnotatedImage, PatchKey


class PlaneCache:
    """The pixels of pages, read once and kept while they are painted."""

    def __init__(self) -> None:
        self._kept: dict[tuple[PatchKey, Preprocessing], tuple[Slices, NDArray[np.float32]]] = {}

    def planes(
        self,
        sources: Sequence[AnnotatedImage],
        keys: Iterable[PatchKey],
        preprocessing: Preprocessing,
    ) -> Mapping[PatchKey, NDArray[np.float32]]:
        """Return ``(1 or inputs, h, w)`` normalized planes of pages, and forget all others.

        Parameters
        ----------
        sources
            The pairs that the pages are of.
        keys
            Of the pages.
        preprocessing
            Intensities are prepared as it says.
        """
        from napari_emcad.inference.patches import Preprocessor  # torch; a panel makes values only

        by_key = {each.key: each for each in sources}
        ready: dict[Hashable, Preprocessor] = {}
        kept, read = {}, {}
        for key in keys:
            slices = by_key[key.source].slices
            before = self._kept.get((key, preprocessing))
            if before is not None and _same(before[0], slices):
                planes = before[1]
            else:
                source = ready.setdefault(key.source, Preprocessor(slices, preprocessing))
                planes = source.planes(key.index, key.rows, key.columns)
            kept[key, preprocessing] = slices, planes
            read[key] = planes
        self._kept = kept
        return read


def _same(one: Slices, other: Slices) -> bool:
    return one.image is other.image and (one.axes, one.channels) == (other.axes, other.channels)
