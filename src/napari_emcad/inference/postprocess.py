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


def stretches(settings: InferenceSettings, channels: int) -> bool:
    """Whether the probabilities of slices are stretched: those of a single channel can be."""
    return settings.stretch and channels == 1


def stretch_plane(
    logits: NDArray[np.float32], threshold: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return labels ``(H, W)`` and probabilities that are stretched to 0 … 1, of a whole slice.

    Parameters
    ----------
    logits
        ``(1, H, W)``.
    threshold
        Stretched probability above which a pixel is foreground.
    """
    probabilities = channel_probabilities(logits)
    low, high = probabilities.min(), probabilities.max()
    stretched: NDArray[np.float32] = (probabilities - low) / (high - low + np.float32(1e-8))
    return (stretched[0] > threshold).astype(np.uint8), stretched


def clean_plane(
    labels: NDArray[Any], clean_up: CleanUp, first: int
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Return the labels of a whole slice after clean-up, and the classes of numbered objects.

    Parameters
    ----------
    labels
        Class labels, ``(H, W)``.
    clean_up
        What is changed.
    first
        Number of objects that are numbered already; those of this slice get the following numbers.
    """
    labels = clean_up_labels(labels, clean_up) if clean_up.active else labels
    if not clean_up.separate:
        return labels, ()
    objects, classes = separate_objects(labels, clean_up.neck)
    return renumbered(objects, first, first + len(classes)), classes


def renumbered(objects: NDArray[Any], first: int, largest: int) -> NDArray[np.unsignedinteger[Any]]:
    """Return object numbers with `first` added, in the type of results with so many objects."""
    moved: NDArray[Any] = np.where(objects > 0, objects.astype(np.int64) + first, 0)
    return moved.astype(object_dtype(largest))


def object_dtype(largest: int) -> type[np.unsignedinteger[Any]]:
    """Return the type of object numbers up to `largest`: uint16, or uint32."""
    return max(label_dtype(largest), np.uint16, key=lambda kind: kind().itemsize)


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
        if stretches(self._settings, len(logits)):
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
            labels, probabilities = stretch_plane(self._logits, self._settings.threshold)
        self.discard_slice()
        if labels is None:
            return None
        first = len(self.object_classes)
        labels, classes = clean_plane(labels, self._settings.clean_up, first)
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
        As for `clean_plane`.
    """
    if settings.stretch and len(logits) == 1:
        labels, _ = stretch_plane(logits, settings.threshold)
    else:
        labels = labels_from_logits(logits, settings.threshold)
    return clean_plane(labels, settings.clean_up, first)
