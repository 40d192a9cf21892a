"""From logits to labels, and the clean-up of complete slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.regions import clean_up_labels, separate_objects
from napari_emcad.inference.events import Region
from napari_emcad.inference.probabilities import channel_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.regions import CleanUp
    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.inference.events import InferenceSettings


def labels_from_logits(logits: NDArray[np.float32], threshold: float) -> NDArray[Any]:
    """Return the class labels of ``(K, h, w)`` logits, ``(h, w)``.

    A single channel is 1 where its probability is above the threshold; of several channels the
    largest counts. The type is uint8, or uint16 for more than 256 channels.
    """
    if len(logits) == 1:
        above: NDArray[Any] = logits[0] > np.log(threshold / (1 - threshold))
        return above.astype(np.uint8)
    largest: NDArray[Any] = logits.argmax(0)
    return largest.astype(label_dtype(len(logits) - 1))


def label_dtype(largest: int) -> type[np.unsignedinteger[Any]]:
    """Return the narrowest unsigned type that holds labels up to `largest`."""
    return np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32


class Postprocessor:
    """Turns the logits of patches into regions, and a complete slice into its final region.

    Stretching and clean-up need the whole slice, so its logits or labels are kept until then.

    Parameters
    ----------
    slices
        The image that is segmented.
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

    def process_patch(
        self, index: Index, top: int, left: int, logits: NDArray[np.float32]
    ) -> Region:
        """Return the region of a patch, and keep what `finish_slice` needs.

        Parameters
        ----------
        index
            The slice's position along the stacked axes.
        top, left
            Corner of the patch in the slice.
        logits
            ``(K, h, w)``.
        """
        labels = labels_from_logits(logits, self._settings.threshold)
        rows, columns = (top, top + labels.shape[0]), (left, left + labels.shape[1])
        shape = (self._slices.height, self._slices.width)
        if self._settings.stretch and len(logits) == 1:
            if self._logits is None:
                self._logits = np.zeros((1, *shape), np.float32)
            self._logits[:, slice(*rows), slice(*columns)] = logits
        elif self._settings.clean_up.active:
            if self._labels is None:
                self._labels = np.zeros(shape, labels.dtype)
            self._labels[slice(*rows), slice(*columns)] = labels
        probabilities = channel_probabilities(logits) if self._settings.probabilities else None
        kept = logits.copy() if self._settings.logits else None
        return self._region(index, rows, columns, labels, probabilities, kept)

    def finish_slice(self, index: Index) -> Region | None:
        """Return the final region of a slice, or None if the regions of its patches are final."""
        labels, probabilities = self._labels, None
        if self._logits is not None:
            probabilities = _stretch(channel_probabilities(self._logits))
            labels = _above(probabilities, self._settings.threshold)
        self.discard_slice()
        if labels is None:
            return None
        labels, classes = clean_slice(labels, self._settings.clean_up, len(self.object_classes))
        self.object_classes += classes
        rows, columns = (0, labels.shape[0]), (0, labels.shape[1])
        if not self._settings.probabilities:
            probabilities = None
        return self._region(index, rows, columns, labels, probabilities)

    def discard_slice(self) -> None:
        """Drop what is kept of a slice that is finished or will be done again."""
        self._labels = self._logits = None

    def _region(
        self,
        index: Index,
        rows: tuple[int, int],
        columns: tuple[int, int],
        labels: NDArray[Any],
        probabilities: NDArray[np.float32] | None,
        logits: NDArray[np.float32] | None = None,
    ) -> Region:
        where = self._slices.where(index, rows, columns)
        if self._slices.transposed:
            labels = labels.T
            probabilities = None if probabilities is None else probabilities.swapaxes(1, 2)
            logits = None if logits is None else logits.swapaxes(1, 2)
        return Region(where, labels, probabilities, logits)


def clean_slice(
    labels: NDArray[Any], clean_up: CleanUp, first: int = 0
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Return the labels of a complete slice after the clean-up, and the classes of its objects.

    Parameters
    ----------
    labels
        Class labels, ``(H, W)``.
    clean_up
        Changes of the labels.
    first
        Number of objects that are numbered already; those of the slice are numbered on.
    """
    labels = clean_up_labels(labels, clean_up) if clean_up.active else labels
    if not clean_up.separate:
        return labels, ()
    objects, classes = separate_objects(labels, clean_up.neck)
    wide = max(label_dtype(first + len(classes)), np.uint16, key=lambda t: t().itemsize)
    return np.where(objects > 0, objects.astype(np.int64) + first, 0).astype(wide), classes


def label_slice(
    logits: NDArray[np.float32], settings: InferenceSettings, first: int = 0
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Return the labels of a complete slice from its logits, as a job computes them.

    Parameters
    ----------
    logits
        ``(K, H, W)``.
    settings
        Threshold, stretching and clean-up.
    first
        As for `clean_slice`.
    """
    if settings.stretch and len(logits) == 1:
        labels = _above(_stretch(channel_probabilities(logits)), settings.threshold)
    else:
        labels = labels_from_logits(logits, settings.threshold)
    return clean_slice(labels, settings.clean_up, first)


def _above(probabilities: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Return where the only class is more probable than the threshold, ``(H, W)``."""
    above: NDArray[np.uint8] = (probabilities[0] > threshold).astype(np.uint8)
    return above


def _stretch(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities scaled so that the least is 0 and the largest is 1."""
    low, high = probabilities.min(), probabilities.max()
    stretched: NDArray[np.float32] = (probabilities - low) / (high - low + np.float32(1e-8))
    return stretched
