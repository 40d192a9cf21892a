"""Evaluation: the scores of a checkpoint on images with label files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.annotation.mask_values import MaskValues, has_void, mask_values
from napari_emcad.imaging.exposure import range_mismatch
from napari_emcad.io.datasets.channel_files import check_chosen, read_channels
from napari_emcad.io.datasets.found_files import FoundFiles, as_found
from napari_emcad.io.datasets.label_files import read_label_files
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.pixel_size import PIXEL
from napari_emcad.pipelines.scores import (
    DISTANCE_AXES,
    ImageScore,
    class_hd95,
    overlap_by_class,
    predicted_classes,
    true_classes,
)
from napari_emcad.pipelines.segment import segment, slices_for
from napari_emcad.training.metrics import check_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.io.images.read_options import ReadOptions
    from napari_emcad.pipelines.segmentation_model import SegmentationModel

_NO_MASK_VALUES = MaskValues((), 0)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """An image with its truth, prediction and score.

    Attributes
    ----------
    score
        Score of the prediction.
    slices
        The image.
    predicted, truth
        Class labels of the image's spatial shape; the truth is `UNLABELED` where it is ignored.
    mask_values
        Values of the label file; empty if the network has several classes.
    notices
        Messages for the user, such as that the image is outside of the model's range.
    probabilities
        Of the classes, ``(classes, ...)`` float32, with the option ``probabilities``; else None.
    """

    score: ImageScore
    slices: Slices
    predicted: NDArray[Any]
    truth: NDArray[Any]
    mask_values: MaskValues = _NO_MASK_VALUES
    notices: tuple[str, ...] = ()
    probabilities: NDArray[np.float32] | None = None

    @property
    def ignored(self) -> int:
        """Number of pixels that the label file marks to be ignored."""
        return int(np.count_nonzero(self.truth == UNLABELED))


def evaluate(
    pairs: FoundFiles | Iterable[tuple[Path, Path | Sequence[Path]]],
    checkpoint: SegmentationModel,
    axes: str | None = None,
    **options: Any,
) -> Iterator[ImageScore]:
    """Segment images and yield the score of one after another; see `evaluate_cases`."""
    for case in evaluate_cases(pairs, checkpoint, axes, **options):
        yield case.score


def evaluate_cases(
    pairs: FoundFiles | Iterable[tuple[Path, Path | Sequence[Path]]],
    checkpoint: SegmentationModel,
    axes: str | None = None,
    scale: Mapping[str, float] | None = None,
    unit: str = PIXEL,
    reading: ReadOptions | None = None,
    void: bool = False,
    **options: Any,
) -> Iterator[Case]:
    """Segment images and compare them with their label files, one after another.

    Parameters
    ----------
    pairs
        Image files with their label files, see `napari_emcad.io.datasets.layouts.find_files`.
    checkpoint
        Checkpoint to evaluate. For a binary network all values above 0 are the object, which
        includes instance labels; for several classes the values are the classes (a mask of 0 and
        255 is class 1). Values below 0, and 255 beside other values ("void"), are ignored.
    axes
        One letter per axis; None for the axes of the files.
    scale
        Pixel size along Y and X, for stacks also Z, by letter. None takes it from the image files;
        distances are in pixels if a file lacks one of these axes.
    unit
        Unit of `scale`.
    reading
        Choices where files can be read in several ways.
    void
        Whether 255 is void in all label files, see `mask_target`.
    **options
        Options of `napari_emcad.segment`.

    Raises
    ------
    ImageFileError
        If a file cannot be read.
    ValueError
        If a label file does not fit its image or the classes, `scale` lacks an axis, or an image
        cannot be segmented; the message has the name of the image.
    """
    channels = options.get("channels")
    files = as_found(pairs)
    for image, labels in files.pairs:
        name = files.name_of(image)
        labeled = open_labeled(image, labels, checkpoint, axes, channels, reading, void, files)
        slices, truth = labeled.slices, labeled.truth
        size, its_unit = (labeled.scale, labeled.unit) if scale is None else (scale, unit)
        try:
            if scale is not None:
                _check_scale(scale, slices)
            result = segment(slices.image, checkpoint, slices.axes, **options)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}: {error}") from None
        classes = len(checkpoint.classes)
        predicted = predicted_classes(result.labels, classes)
        scores = overlap_by_class(predicted, truth, classes)
        if _axes_without_size(size, slices):
            size, its_unit = {}, PIXEL
        distances = class_hd95(predicted, truth, classes, slices.spatial_axes, size)
        image_score = ImageScore(name, scores, distances, its_unit)
        yield Case(
            image_score,
            slices,
            predicted,
            truth,
            labeled.mask_values,
            tuple(labeled.notices),
            result.probabilities,
        )


@dataclass(frozen=True, slots=True, eq=False)
class LabeledImage:
    """An image with its truth, ready to be segmented and scored.

    Attributes
    ----------
    slices
        The image.
    truth
        Class labels of its spatial shape, `UNLABELED` where they are ignored.
    mask_values
        Values of the label file; empty if the network has several classes.
    scale, unit
        Pixel size by axis, from the file.
    notices
        Remarks about image and labels.
    has_void
        Whether 255 is void beside other values of the label file.
    ignored
        Values of the label file that the coding of the data set ignores.
    """

    slices: Slices
    truth: NDArray[Any]
    mask_values: MaskValues
    scale: Mapping[str, float]
    unit: str
    notices: tuple[str, ...]
    has_void: bool
    ignored: frozenset[int] = frozenset()


def open_labeled(
    image: Path,
    labels: Path | Sequence[Path],
    checkpoint: SegmentationModel,
    axes: str | None = None,
    channels: Sequence[int | None] | int | None = None,
    reading: ReadOptions | None = None,
    void: bool = False,
    files: FoundFiles | None = None,
) -> LabeledImage:
    """Read an image and its labels, and check that a checkpoint can be scored on them.

    `files` is the data set that they are of, which says how its labels are to be read.

    Raises
    ------
    ImageFileError
        If a file cannot be read.
    ValueError
        If they do not fit each other or the checkpoint; the message has the name of the image.
    """
    classes = len(checkpoint.classes)
    files = files or FoundFiles("files", ())
    opened = read_channels(files.channel_files(image), reading)
    axes = axes or files.axes.get(np.ndim(opened.pixels)) or opened.axes
    try:
        slices = slices_for(opened.pixels, checkpoint, axes, channels)
        check_chosen(files.channel_files(image), slices)
        shape, coding = slices.spatial_shape, files.coding
        read = read_label_files(labels, shape, opened, reading, coding, image)
        given = _reshape_like(read.pixels, shape)
        check_shapes(np.broadcast_to(0, shape), given)
        truth = true_classes(given, classes, void)
    except ImageFileError:
        raise
    except (ValueError, TypeError) as error:
        raise ValueError(f"{files.name_of(image)}: {error}") from None
    kept = np.where(truth == UNLABELED, 0, given)
    values = mask_values(kept) if classes == 1 else _NO_MASK_VALUES
    notices = (opened.remark(axes), range_mismatch(slices, checkpoint.preprocessing), read.note)
    present = {value for value in np.unique(given).tolist() if value > 0}
    return LabeledImage(
        slices,
        truth,
        values,
        opened.scale,
        opened.unit,
        tuple(filter(None, notices)),
        has_void(present, classes),
        read.ignored,
    )


def _reshape_like(truth: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a truth in the given shape if it differs in axes of size 1, which files drop."""
    longer = [size for size in truth.shape if size > 1]
    return truth.reshape(shape) if longer == [size for size in shape if size > 1] else truth


def _axes_without_size(scale: Mapping[str, float], slices: Slices) -> list[str]:
    """Return the axes of more than one pixel whose pixel size is needed and missing."""
    sizes = zip(slices.spatial_axes, slices.spatial_shape, strict=True)
    return [axis for axis, n in sizes if axis in DISTANCE_AXES and n > 1 and axis not in scale]


def _check_scale(scale: Mapping[str, float], slices: Slices) -> None:
    missing = _axes_without_size(scale, slices)
    if missing:
        raise ValueError(
            f"the pixel size is given along {', '.join(scale)}; it is needed along "
            f"{', '.join(missing)} as well."
        )
