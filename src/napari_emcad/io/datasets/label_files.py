"""Read the label files of one image: a file, or several masks that are united."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import MOST_CLASSES, UNLABELED
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.notes import note_kind
from napari_emcad.io.datasets.unlabeled_times import without_unlabeled_times
from napari_emcad.io.images.labels import open_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.picture import check_upright

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions

_MOST_LEVELS, _LEAST_WHITE = 6, 0.5
"""Most gray levels of a mask of classes beside 0 and 255, and the least share of 255 among its
pixels above 0 if it is one of black and white with gray edges."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadLabels:
    """The labels of an image.

    Attributes
    ----------
    pixels
        A whole number per pixel, below 0 where it is ignored.
    note
        Remark on how they were read, or "".
    ignored
        Values that were ignored because the coding says so.
    """

    pixels: NDArray[Any]
    note: str = ""
    ignored: frozenset[int] = frozenset()


def read_label_files(
    files: Path | Sequence[Path],
    shape: tuple[int, ...] | None = None,
    image: OpenedImage | None = None,
    options: ReadOptions | None = None,
    coding: LabelCoding | None = None,
    source: Path | None = None,
) -> ReadLabels:
    """Read the labels of an image.

    Parameters
    ----------
    files
        A label file, or several masks of one image, whose pixels above 0 become 1; a pixel that
        one of them ignores and none marks is ignored.
    shape, image, options
        As for `open_labels`.
    coding
        What the values stand for; None takes them as they are.
    source
        The image file, for label files with the outlines of several images.

    Raises
    ------
    ImageFileError
        If a file cannot be read, or the masks have different shapes.
    """
    paths = (files,) if isinstance(files, Path) else tuple(files)
    coding = coding or LabelCoding()
    if not paths:
        raise ImageFileError("There is no label file.")
    if coding.draw is not None:
        if source is not None:
            check_upright(source)
        drawn, note = coding.draw(source or paths[0], paths, shape or ())
        return replace(_coded(drawn, coding), note=note)
    if coding.compose is not None:
        if image is None or shape is None:
            raise ImageFileError(f"{paths[0]} has labels of a part of an image; name the image.")
        composed, note = coding.compose(image, paths, shape, options)
        return replace(_coded(composed, coding), note=note)
    read = [_read_file(path, shape, image, options, coding) for path in paths]
    if image is not None:
        known = note_kind(image.remark(), () if source is None else (source.name,))
        read = [_without_note(path, one, known) for path, one in zip(paths, read, strict=True)]
    labels = read[0] if len(read) == 1 else _united(paths, read)
    return labels if image is None else without_unlabeled_times(labels, image, paths[0].name)


def _read_file(
    path: Path,
    shape: tuple[int, ...] | None,
    image: OpenedImage | None,
    options: ReadOptions | None,
    coding: LabelCoding,
) -> ReadLabels:
    decode = None if coding.colors is None else coding.colors.decode
    opened = open_labels(path, shape, image, options, decode)
    read = ReadLabels(opened.pixels)
    if not coding.ignore:
        read = without_gray_edges(opened.pixels)
    notes = filter(None, (opened.note, read.note))
    return replace(_coded(read.pixels, coding), note=" ".join(notes))


def _without_note(path: Path, read: ReadLabels, known: str) -> ReadLabels:
    """Return labels without a remark that holds for their image as well."""
    return replace(read, note="") if note_kind(read.note, (path.name,)) == known else read


def _coded(labels: NDArray[Any], coding: LabelCoding) -> ReadLabels:
    pixels, ignored = coding.apply(labels)
    return ReadLabels(pixels, "", ignored)


def _united(paths: Sequence[Path], read: Sequence[ReadLabels]) -> ReadLabels:
    """Return 1 where any mask is above 0, `UNLABELED` where one is below 0 and none above."""
    for path, mask in zip(paths, read, strict=True):
        if mask.pixels.shape != read[0].pixels.shape:
            raise ImageFileError(
                f"{path.name} has {mask.pixels.shape} pixels, {paths[0].name} "
                f"{read[0].pixels.shape}; masks of one image must agree."
            )
    values = {value for mask in read for value in np.unique(mask.pixels).tolist() if value > 0}
    if len(values) > 1 and max(values) <= MOST_CLASSES:
        raise ImageFileError(
            f"{paths[0].name} and the other masks of its image have the values "
            f"{', '.join(map(str, sorted(values)))}, which may be classes; unite them into one "
            f"label file."
        )
    united = np.zeros(read[0].pixels.shape, np.int16)
    for mask in read:
        united[(mask.pixels < 0) & (united == 0)] = UNLABELED
        united[mask.pixels > 0] = 1
    notes = {note_kind(m.note, (path.name,)): m.note for path, m in zip(paths, read, strict=True)}
    return ReadLabels(
        united,
        " ".join(filter(None, notes.values())),
        frozenset().union(*(m.ignored for m in read)),
    )


def without_gray_edges(labels: NDArray[Any]) -> ReadLabels:
    """Return a mask of black and white whose edges are gray, thresholded; others as they are.

    Such masks were resized or drawn with smooth edges. They have many gray levels, and most pixels
    above 0 are 255.
    """
    if labels.dtype != np.uint8:
        return ReadLabels(labels)
    counts = np.bincount(labels.ravel(), minlength=256)
    levels = np.flatnonzero(counts[1:255])
    white = counts[255] / max(counts[1:].sum(), 1)
    if len(levels) <= _MOST_LEVELS or white < _LEAST_WHITE:
        return ReadLabels(labels)
    note = f"a mask of 0 and 255 with {len(levels)} gray levels at its edges; above 127 is 255."
    return ReadLabels(np.where(labels > 127, 255, 0).astype(np.uint8), note)
