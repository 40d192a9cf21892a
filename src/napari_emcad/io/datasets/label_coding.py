"""What the values, colors or outlines in the label files of a data set stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.datasets.color_table import ColorTable
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions

    Draw = Callable[[Path, tuple[Path, ...], tuple[int, ...]], tuple[NDArray[Any], str]]
    Compose = Callable[
        [OpenedImage, tuple[Path, ...], tuple[int, ...], ReadOptions | None],
        tuple[NDArray[Any], str],
    ]


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
    compose
        Function of an opened image, its label files, the shape of the image and the options of
        reading that returns the labels and a remark (or ""), for labels in files per class or per
        slice; None reads a file for all of them.
    known
        Values above 0 that label files may have; () takes all.
    """

    ignore: tuple[int, ...] = ()
    classes: tuple[tuple[int, int], ...] = ()
    colors: ColorTable | None = None
    draw: Draw | None = None
    compose: Compose | None = None
    known: tuple[int, ...] = ()

    @property
    def is_per_pixel(self) -> bool:
        """Whether a label file has a number or a color for every pixel of its image."""
        return self.draw is None and self.compose is None

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

        Raises
        ------
        ImageFileError
            If a value is not one of `known`.
        """
        if self.known:
            self._check_known(labels)
        found = frozenset(value for value in self.ignore if (labels == value).any())
        if not found and not self.classes:
            return labels, found
        coded = labels.astype(np.int64)
        for value, label in self.classes:
            coded[labels == value] = label
        coded[np.isin(labels, list(found))] = UNLABELED
        return coded, found

    def _check_known(self, labels: NDArray[Any]) -> None:
        present = np.unique(labels)
        others = present[(present > 0) & ~np.isin(present, (*self.known, *self.ignore))].tolist()
        if others:
            raise ImageFileError(
                f"labels hold {', '.join(map(str, others[:5]))}, but those of this layout are "
                f"{', '.join(map(str, self.known))}; correct the files, or name two folders with "
                f"--images and --labels, which takes numbers as they are."
            )
