"""Instant: a model that is fitted to strokes at once, in a fraction of a second.

It is a linear classifier on the features of a general encoder and has no trained decoder; `segment`
takes it like a checkpoint.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.inference.devices import choose_device
from napari_emcad.interactive.fine_tune import scribble_task
from napari_emcad.interactive.instant_events import ScoredInstant
from napari_emcad.interactive.plane_cache import PlaneCache
from napari_emcad.interactive.preview import predict_visible
from napari_emcad.interactive.samples import labeled_slices, read_planes
from napari_emcad.io.checkpoints.feature_extractors import bundled_feature_extractor
from napari_emcad.io.checkpoints.files import bundled_checkpoint
from napari_emcad.io.checkpoints.instant_model import InstantModel
from napari_emcad.training.ensemble_trainer import EnsembleTrainer
from napari_emcad.training.presets import preset_config
from napari_emcad.training.samples import LabeledSlice
from napari_emcad.training.validation import mean_dice, pool_by_image, validate

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.inference.events import Region
    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.interactive.visible_region import VisibleRegion
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.feature_extractor import FeatureExtractor


class InstantTrainer:
    """Fits an `InstantModel` to the annotations of a task whenever they change.

    Parameters
    ----------
    device
        Name of the device.
    extractor
        Gives the features; None takes the one that comes with the package.
    """

    def __init__(self, device: str = "auto", extractor: FeatureExtractor | None = None) -> None:
        self._extractor = extractor or bundled_feature_extractor()
        self._device = device
        self._trainer = EnsembleTrainer(self._extractor, choose_device(device))
        self._cache = PlaneCache()

    def fit(
        self, task: TrainingTask, held_out: bool = True, first: bool = False
    ) -> InstantModel | None:
        """Return the model of all strokes; None unless two classes are annotated.

        Parameters
        ----------
        task
            Annotations to learn.
        held_out
            Whether held-out strokes are left out.
        first
            Whether only the fastest probe is fitted, for a first prediction.
        """
        training, _ = self._slices(task, held_out)
        classes = max(task.checkpoint.config.num_classes, 2)
        probe = self._trainer.fit(training, classes, first)
        if probe is None:
            return None
        preprocessing = instant_preprocessing(task.checkpoint, self._extractor)
        return InstantModel(probe, preprocessing, task.checkpoint.classes, task.strokes)

    def score(self, model: InstantModel, task: TrainingTask, stop: threading.Event) -> float | None:
        """Return the mean Dice of a model on held-out pixels; None if it was stopped."""
        _, held_out = self._slices(task)
        scores = validate(model.probe, held_out, model.preprocessing, stop)
        return None if len(scores) < len(held_out) else mean_dice(pool_by_image(scores, held_out))

    def predict(
        self, model: InstantModel, visible: VisibleRegion, stop: threading.Event
    ) -> Iterator[Region]:
        """Yield regions of a prediction of the visible part."""
        yield from predict_visible(
            model.probe, visible, model.preprocessing, model.head, self._device, stop
        )

    def _slices(
        self, task: TrainingTask, held_out: bool = True
    ) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
        """Return training and held-out slices at their own size."""
        preprocessing = instant_preprocessing(task.checkpoint, self._extractor)
        planes_by_key: Mapping[Any, NDArray[np.float32]] = read_planes(
            task, self._cache, preprocessing
        ).planes
        if held_out:
            return labeled_slices(task.record, planes_by_key)
        first = task.record.first_strokes()
        slices = [
            LabeledSlice(
                str(key),
                planes_by_key[key],
                patch.target,
                first_strokes=None if key not in first else first[key] != UNLABELED,
            )
            for key, patch in task.record.patches.items()
        ]
        return slices, []


def scored_instant(task: TrainingTask, stop: threading.Event) -> ScoredInstant | None:
    """Return an instant model of a task with its score on held-out pixels, to compare with.

    None if nothing is held out, one class alone is annotated, or the job was stopped.
    """
    if not task.held_out_pixels or stop.is_set():
        return None
    trainer = InstantTrainer(task.device)
    model = trainer.fit(task)
    dice = None if model is None else trainer.score(model, task, stop)
    return None if model is None or dice is None else ScoredInstant(model, dice)


def fit_instant(
    images: Iterable[Any],
    scribbles: Iterable[Any],
    axes: str | None = None,
    device: str = "auto",
    *,
    classes: Sequence[str] = ("object",),
) -> InstantModel:
    """Return an instant model of scribbles; it takes a fraction of a second per image.

    Parameters
    ----------
    images, scribbles, axes, device
        As for `fine_tune`; no scribble is held out.
    classes
        Names of the classes 1, 2, …

    Raises
    ------
    LabelValueError
        If a scribble is none of the classes.
    ValueError
        If scribbles of fewer than two classes (the background is one) are given, or arrays do not
        match.

    Examples
    --------
    >>> model = napari_emcad.fit_instant([image], [scribbles])  # doctest: +SKIP
    >>> labels = napari_emcad.segment(another_image, model).labels  # doctest: +SKIP
    """
    config = preset_config("scribbles")
    bundled = bundled_checkpoint()
    task = scribble_task(images, scribbles, bundled, axes, list(classes), config, device)
    model = InstantTrainer(device).fit(task, held_out=False)
    if model is None:
        raise ValueError("Scribbles of at least two classes are needed; the background is 255.")
    return model


def instant_preprocessing(checkpoint: Checkpoint, extractor: FeatureExtractor) -> Preprocessing:
    """Return the preprocessing of an instant model: intensities as for a checkpoint.

    The probes enlarge images themselves.
    Values that a checkpoint takes as they are can have any range; they are normalized by
    percentiles.
    """
    preprocessing = checkpoint.preprocessing
    if preprocessing.intensity == "none":
        preprocessing = replace(preprocessing, intensity="percentile", low=0.5, high=99.5)
    return replace(preprocessing, mean=extractor.mean, std=extractor.std, size=None, zoom=1.0)
