"""What the values, colors or outlines in the label files of a data set stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.datasets.color_table import ColorTable

    Draw = Callable[[Path, tuple[Path, ...], tuple[int, ...]], tuple[NDArray[Any], str]]


@dataclass(frozen=True, slots=True, eq=False)
class LabelCoding:
    """How label files become classes.

    Attributes
    ----------
    ignore
        Values whose pixels are ignored.
    classes
        Pairs (value, class) of values that stand for another class than their number; class 0 is
        the background.
    colors
        Classes of the colors of masks that are pictures; None refuses such masks.
    draw
        Function of an image file, its label files and the shape of the image that returns the
        labels and a remark (or ""), for files that hold outlines instead of pixels; None reads
        pixels.
    """

    ignore: tuple[int, ...] = ()
    classes: tuple[tuple[int, int], ...] = ()
    colors: ColorTable | None = None
    draw: Draw | None = None

    def apply(self, labels: NDArray[Any]) -> tuple[NDArray[Any], frozenset[int]]:
        """Return labels with other classes and ignored pixels, and the ignored values in them.

        Parameters
        ----------
        labels
            Whole numbers of any shape.

        Returns
        -------
        labels
            The same array if nothing changes, else int64 with `UNLABELED` where it is ignored.
        ignored
            Those of `ignore` that occur.
        """
        found = frozenset(value for value in self.ignore if (labels == value).any())
        if not found and not self.classes:
            return labels, found
        coded = labels.astype(np.int64)
        for value, label in self.classes:
            coded[labels == value] = label
        coded[np.isin(labels, list(found))] = UNLABELED
        return coded, found
