"""From logits to labels, and what is done once a slice is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, softmax

from napari_emcad.imaging.regions import clean_up_labels, separate_objects
from napari_emcad.inference.events import Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.inference.events import InferenceSettings


def channel_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return sigmoid of one channel or softmax over several, ``(K, h, w)``."""
    result: NDArray[np.float32] = expit(logits) if len(logits) == 1 else softmax(logits, axis=0)
    return result


def labels_from_logits(logits: NDArray[np.float32], threshold: float) -> NDArray[Any]:
    """Return ``(h, w)`` labels: 1 above the threshold, or the largest of several channels.

    uint8, or uint16 for more than 256 channels.
    """
    if len(logits) == 1:
        above: NDArray[Any] = logits[0] > np.log(threshold / (1 - threshold))
        return above.astype(np.uint8)
    largest: NDArray[Any] = logits.argmax(0)
    return largest.astype(label_dtype(len(logits) - 1))


def label_dtype(largest: int) -> type[np.unsignedinteger[Any]]:
    """Return the narrowest type that holds a label; never narrower."""
    return np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32


class Postprocessor:
    """Turns the logits of pieces into regions, and a complete slice into its final region.

    Parameters
    ----------
    slices
        What is being segmented.
    settings
        Threshold, probabilities, clean-up.
    object_classes
        Classes of the objects that are numbered already.
    """

    def __init__(
        self, slices: Slices, settings: InferenceSettings, object_classes: Sequence[int] = ()
    ) -> None:
        self._slices = slices
        self._settings = settings
        self._logits: NDArray[np.float32] | None = None
        self._labels: NDArray[Any] | None = None
        self.object_classes = list(object_classes)

    def process_patch(self, index: Index, top: int, left: int, logits: NDArray[np.float32]) -> Region:
        """Return the region of a piece, and remember what completing the slice will need."""
        labels = labels_from_logits(logits, self._settings.threshold)
        rows, columns = (top, top + labels.shape[0]), (left, left + labels.shape[1])
        shape = (self._slices.height, self._slices.width)
        if self._stretches(logits):
            if self._logits is None:
                self._logits = np.zeros((1, *shape), np.float32)
            self._logits[:, slice(*rows), slice(*columns)] = logits
        elif self._settings.clean_up.active:
            if self._labels is None:
                self._labels = np.zeros(shape, labels.dtype)
            self._labels[slice(*rows), slice(*columns)] = labels
        chances = channel_probabilities(logits) if self._settings.probabilities else None
        return self._region(index, rows, columns, labels, chances)

    def finish_slice(self, index: Index) -> Region | None:
        """Return the final region of a slice, or None if its pieces are final already."""
        labels, chances = self._labels, None
        if self._logits is not None:
            chances = _stretch(channel_probabilities(self._logits))
            labels = (chances[0] > self._settings.threshold).astype(np.uint8)
        self._labels = self._logits = None
        if labels is None:
            return None
        labels = self._clean_up(labels)
        rows, columns = (0, labels.shape[0]), (0, labels.shape[1])
        kept = chances if self._settings.probabilities else None
        return self._region(index, rows, columns, labels, kept)

    def discard_slice(self) -> None:
        """Drop a slice that will be done again."""
        self._labels = self._logits = None

    def _stretches(self, logits: NDArray[np.float32]) -> bool:
        return self._settings.stretch and len(logits) == 1

    def _clean_up(self, labels: NDArray[Any]) -> NDArray[Any]:
        clean_up = self._settings.clean_up
        labels = clean_up_labels(labels, clean_up) if clean_up.active else labels
        if not clean_up.separate:
            return labels
        objects, classes = separate_objects(labels, clean_up.neck)
        first = len(self.object_classes)
        self.object_classes += classes
        wide = max(label_dtype(len(self.object_classes)), np.uint16, key=lambda t: t().itemsize)
        return np.where(objects > 0, objects.astype(np.int64) + first, 0).astype(wide)

    def _region(
        self,
        index: Index,
        rows: tuple[int, int],
        columns: tuple[int, int],
        labels: NDArray[Any],
        chances: NDArray[np.float32] | None,
    ) -> Region:
        where = self._slices.where(index, rows, columns)
        if self._slices.transposed:
            labels = labels.T
            chances = None if chances is None else chances.swapaxes(1, 2)
        return Region(where, labels, chances)


def _stretch(chances: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = chances.min(), chances.max()
    stretched: NDArray[np.float32] = (chances - low) / (high - low + np.float32(1e-8))
    return stretched
