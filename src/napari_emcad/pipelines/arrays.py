"""Training and evaluation of a checkpoint on arrays."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import LabelRule, target_of
from napari_emcad.annotation.mask_values import has_void, mask_target
from napari_emcad.imaging.exposure import range_mismatch
from napari_emcad.inference.jobs import run_job
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.read import labeled_slices_of
from napari_emcad.io.images.pixel_size import PIXEL
from napari_emcad.pipelines.scores import ImageScore, class_hd95, class_scores
from napari_emcad.pipelines.segment import segment, slices_for
from napari_emcad.pipelines.segmentation_model import check_checkpoint, check_model
from napari_emcad.pipelines.warn import warn_about_range

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.pipelines.train import TrainResult
    from napari_emcad.training.samples import LabeledSlice


def train(
    images: Iterable[Any],
    labels: Iterable[Any],
    checkpoint: Checkpoint,
    axes: str | None = None,
    device: str = "auto",
    *,
    classes: Sequence[str] | None = None,
    preset: str = "from-scratch",
    held_out: float = 0.2,
    ignore: Collection[int] = (),
    stop: threading.Event | None = None,
    on_event: Callable[[Any], object] | None = None,
    **settings: Any,
) -> TrainResult:
    """Train a copy of a checkpoint on completely labeled images.

    Parameters
    ----------
    images
        Image arrays, as `segment` takes them.
    labels
        Integer arrays, one per image, of its shape without channels: class k is k, 0 is the
        background. Values below 0 are ignored, and so is 255 if it stands beside other values in
        any of the arrays; a mask of 0 and 255 has the class 1.
    checkpoint
        Checkpoint to start from; it does not change. See `initialize_checkpoint`.
    axes
        A letter per axis of every image; None guesses as `segment` does.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    classes
        Names of the classes, if they are not those of the checkpoint.
    preset
        Name of a training configuration; see `napari_emcad.training.presets.PRESETS`.
    held_out
        Share of the images whose score selects the best epoch; 0 keeps the last epoch.
    ignore
        Further values whose pixels are ignored.
    stop
        Set it from another thread to end after the current step with the best weights so far.
    on_event
        Called with the `StepEnd` and `EpochEnd` events of the training.
    **settings
        Single settings of the configuration, such as ``epochs=20``.

    Returns
    -------
    TrainResult
        The trained checkpoint and the course of the training.

    Raises
    ------
    ValueError
        If images and labels do not match, or a setting is unknown or out of bounds.
    """
    from napari_emcad.pipelines.train import split, train_job
    from napari_emcad.training.presets import preset_config

    check_checkpoint(checkpoint)
    config = preset_config(preset, **settings)
    start = checkpoint if classes is None else with_class_names(checkpoint, classes)
    slices: list[LabeledSlice] = []
    targets = _targets(labels, len(start.classes), ignore)
    for name, stack, classes_of in pair_arrays(images, targets, start, axes):
        if mismatch := range_mismatch(stack, start.preprocessing):
            warn_about_range(f"{name}: {mismatch}")
        count = len(start.classes)
        target = target_of(classes_of, LabelRule("mask"), count)
        slices += labeled_slices_of(name, stack, target, start.preprocessing)
    training, validation = split(slices, held_out, config.seed)
    stop = stop or threading.Event()
    return run_job(train_job(start, training, validation, config, stop, device), on_event)


def evaluate(
    images: Iterable[Any],
    labels: Iterable[Any],
    checkpoint: SegmentationModel,
    axes: str | None = None,
    device: str = "auto",
    *,
    scale: Mapping[str, float] | None = None,
    unit: str = PIXEL,
    ignore: Collection[int] = (),
    **options: Any,
) -> list[ImageScore]:
    """Segment images and score the results against their labels.

    Parameters
    ----------
    images
        Image arrays, as `segment` takes them.
    labels
        Integer arrays, one per image, of its shape without channels. For a binary network all
        values above 0 are the object, else class k is k. Values below 0 are ignored, and so is 255
        if it stands beside other values in any of the arrays.
    checkpoint
        Checkpoint or instant model to evaluate.
    axes
        A letter per axis of every image; None guesses as `segment` does.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    scale
        Pixel size by axis letter for Hausdorff distances; None measures them in pixels.
    unit
        Unit of `scale`.
    ignore
        Further values whose pixels are ignored.
    **options
        Options of `segment`, such as ``tile=1024``.

    Returns
    -------
    list of ImageScore
        Dice, IoU, precision, recall and the 95th percentile of the Hausdorff distance by class.

    Raises
    ------
    ValueError
        If images and labels do not match, or a label is no class of the checkpoint.
    """
    check_model(checkpoint)
    classes = len(checkpoint.classes)
    scores = []
    targets = _targets(labels, classes, ignore, foreground=classes == 1)
    for number, (image, target) in enumerate(zip(images, targets, strict=True)):
        result = segment(image, checkpoint, axes, device, **options)
        by_class = class_scores(result.labels, target, classes)
        distances = class_hd95(result.labels, target, classes, result.axes, scale or {})
        scores.append(ImageScore(f"image {number}", by_class, distances, unit))
    return scores


def _targets(
    labels: Iterable[Any], classes: int, ignore: Collection[int], foreground: bool = False
) -> list[NDArray[np.int64]]:
    """Return the class of each pixel of label arrays, `UNLABELED` where it is ignored.

    Whether 255 is void is decided for all arrays together; see `mask_target` for the parameters.
    """
    coding = LabelCoding(ignore=tuple(ignore))
    arrays = [coding.apply(np.asarray(one))[0] for one in labels]
    positive = [{value for value in np.unique(one).tolist() if value > 0} for one in arrays]
    void = any(has_void(values, 1 if foreground else classes) for values in positive)
    return [mask_target(one, classes, foreground, void) for one in arrays]


def pair_arrays(
    images: Iterable[Any], labels: Iterable[Any], checkpoint: Checkpoint, axes: str | None
) -> Iterator[tuple[str, Slices, NDArray[Any]]]:
    """Yield a name for messages, the slices and the labels of every image.

    Raises
    ------
    ValueError
        If there are not as many labels as images, or shapes do not match.
    """
    for number, (image, truth) in enumerate(zip(images, labels, strict=True)):
        slices, values = slices_for(image, checkpoint, axes), np.asarray(truth)
        if values.shape != slices.spatial_shape:
            raise ValueError(
                f"Image {number} has {slices.spatial_shape} pixels, its labels {values.shape}; "
                f"they must agree."
            )
        yield f"image {number}", slices, values
