"""Methods that learn from strokes, for `domains.py`: a record and planes in, classes out."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier
from torch.nn import functional as F

import napari_emcad
from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.intensity import standardize
from napari_emcad.interactive.familiarity import UNFAMILIAR, adapted_config, measure_familiarity
from napari_emcad.interactive.samples import labeled_slices
from napari_emcad.io.checkpoints.feature_extractors import (
    bundled_feature_extractor,
)
from napari_emcad.io.checkpoints.general import general_checkpoint
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.model.padding import pad_to_multiple
from napari_emcad.pipelines.train import train_job
from napari_emcad.training.ensemble_trainer import EnsembleTrainer
from napari_emcad.training.presets import PRESETS
from napari_emcad.training.probe_trainer import standardized
from napari_emcad.training.samples import LabeledSlice

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_emcad.annotation.record import Record
    from napari_emcad.model.probe_ensemble import ProbeEnsemble

TREES = 100

CPU = torch.device("cpu")


class Method(Protocol):
    """A method that learns from strokes; `full` ones get all pixels instead."""

    full: bool

    def update(self, record: Record, planes: dict[str, Any]) -> None:
        """Learn the annotated pixels of a record; planes ``(3, H, W)`` by image name."""
        ...

    def predict(self, planes: NDArray[np.float32]) -> NDArray[np.integer]:
        """Return the classes ``(H, W)`` of an image; 0 before the first update."""
        ...


class Instant:
    """The probe, as on the Teach tab."""

    full = False

    def __init__(self, classes: int, seed: int, quick: bool) -> None:
        self._classes = classes
        self._extractor = bundled_feature_extractor()
        self._trainer = EnsembleTrainer(self._extractor, CPU)
        self._probe: ProbeEnsemble | None = None

    def update(self, record: Record, planes: dict[str, Any]) -> None:
        """Fit the probes."""
        training, _ = labeled_slices(record, planes)
        self._probe = self._trainer.fit(training, self._classes)

    @torch.inference_mode()
    def predict(self, planes: NDArray[np.float32]) -> NDArray[np.integer]:
        """Return the classes."""
        if self._probe is None:
            return np.zeros(planes.shape[1:], int)
        pixels = standardized(self._extractor, torch.tensor(planes)[None])
        return classes_of(self._probe.predict(pixels)[0].numpy())


class Train:
    """Training with strokes, as on the Teach tab."""

    def __init__(
        self, classes: int, seed: int, quick: bool, start: str = "model", full: bool = False
    ) -> None:
        self.full = full
        checkpoint, self._config = napari_emcad.bundled_checkpoint(), PRESETS["scribbles"]
        if start != "model":
            rate = 1.0 if start == "nothing" else self._config.encoder_rate
            self._config = PRESETS["scribbles-from-nothing"].replace(encoder_rate=rate)
            checkpoint = new_network(start, checkpoint)
        names = [f"class {k}" for k in range(1, classes)]
        self._start = with_class_names(checkpoint, names) if classes > 2 else checkpoint
        if quick:
            self._config = self._config.replace(crops_per_epoch=4)
        self._checkpoint, self._network = self._start, self._start.network()
        self._familiarity, self._round = UNFAMILIAR, seed

    def update(self, record: Record, planes: dict[str, Any]) -> None:
        """Train; familiar images change which pseudo-labels are used, as in the Teach tab."""
        training, _ = labeled_slices(record, planes)
        self._round += 1
        if len(record.pixel_counts) > 1 and not self._start.untrained:
            first = record.first_strokes()
            slices = {key: LabeledSlice(key, planes[key], target) for key, target in first.items()}
            others = [
                LabeledSlice(key, planes[key], patch.target)
                for key, patch in record.patches.items()
                if key not in first
            ]
            self._familiarity = measure_familiarity(
                self._start, list(slices.values()), others, self._config
            )
        trained = self._checkpoint is not self._start and not self._start.untrained
        strokes = sum(record.strokes.values())
        config = adapted_config(
            self._config, len(record.pixel_counts), strokes, self._familiarity, trained
        ).replace(seed=self._round)
        start = self._start if self._start.untrained else self._checkpoint
        job = train_job(start, training, [], config, threading.Event())
        while True:
            try:
                next(job)
            except StopIteration as end:
                self._checkpoint = end.value.checkpoint
                self._network = self._checkpoint.network()
                return

    @torch.inference_mode()
    def predict(self, planes: NDArray[np.float32]) -> NDArray[np.integer]:
        """Return the classes."""
        preprocessing, head = self._checkpoint.preprocessing, self._checkpoint.head
        pixels = torch.from_numpy(standardize(planes, preprocessing))[None]
        return classes_of(self._network.predict(pixels, head, preprocessing.zoom)[0].numpy())


def new_network(start: str, like: napari_emcad.Checkpoint) -> napari_emcad.Checkpoint:
    """Return a B0 from ``"nothing"``, or the ``"general"`` one of the package."""
    if start == "general":
        return general_checkpoint()
    return replace(napari_emcad.initialize_checkpoint(), preprocessing=like.preprocessing)


class Forest:
    """A random forest on features of pixels."""

    full = False

    def __init__(self, classes: int, seed: int, quick: bool, eyes: bool = False) -> None:
        threads = torch.get_num_threads()
        self._trees = RandomForestClassifier(TREES, n_jobs=threads, random_state=seed)
        self._features = (
            LastResults(encoder_features, 4) if eyes else LastResults(multiscale_features, 40)
        )

    def update(self, record: Record, planes: dict[str, Any]) -> None:
        """Grow the trees."""
        samples, classes = [], []
        for name, patch in record.patches.items():
            known = patch.target != UNLABELED
            samples.append(self._features(planes[name])[known])
            classes.append(patch.target[known])
        self._trees.fit(np.concatenate(samples), np.concatenate(classes))

    def predict(self, planes: NDArray[np.float32]) -> NDArray[np.integer]:
        """Return the classes."""
        if not hasattr(self._trees, "classes_"):
            return np.zeros(planes.shape[1:], int)
        features = self._features(planes)
        flat = self._trees.predict(features.reshape(-1, features.shape[-1]))
        return flat.reshape(planes.shape[1:]).astype(int)


class LastResults:
    """A function of arrays that keeps its last results.

    Parameters
    ----------
    function
        The function.
    size
        Number of results.
    """

    def __init__(self, function: Callable[[Any], Any], size: int) -> None:
        self._function, self._size = function, size
        self._results: dict[int, tuple[Any, Any]] = {}

    def __call__(self, array: Any) -> Any:
        """Return the result for an array; it is kept, so that its id stays its own."""
        if id(array) not in self._results:
            if len(self._results) == self._size:
                del self._results[next(iter(self._results))]
            self._results[id(array)] = array, self._function(array)
        return self._results[id(array)][1]


def multiscale_features(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scikit-image's features of ilastik's kind, ``(H, W, features)``."""
    last = np.moveaxis(planes, 0, -1)
    features = multiscale_basic_features(last, sigma_min=0.7, sigma_max=10, channel_axis=-1)
    return features.astype(np.float32)


@torch.inference_mode()
def encoder_features(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return pixels and the encoder's maps, enlarged to the image, ``(H, W, features)``."""
    extractor = bundled_feature_extractor()
    image = torch.tensor(planes)[None]
    padded = pad_to_multiple(standardized(extractor, image))
    maps = [padded, *extractor.levels(padded)]
    size = padded.shape[-2:]
    large = torch.cat([F.interpolate(one, size, mode="bilinear") for one in maps], 1)
    return large[0, :, : planes.shape[1], : planes.shape[2]].permute(1, 2, 0).numpy()


def classes_of(logits: NDArray[np.float32]) -> NDArray[np.integer]:
    """Return the classes ``(H, W)`` of logits ``(K, H, W)``."""
    return logits.argmax(0) if len(logits) > 1 else (logits[0] > 0).astype(int)


METHODS: dict[str, Callable[[int, int, bool], Method]] = {
    "instant": Instant,
    "train": Train,
    "general": lambda *arguments: Train(*arguments, start="general"),
    "nothing": lambda *arguments: Train(*arguments, start="nothing"),
    "forest": Forest,
    "eyes-forest": lambda *arguments: Forest(*arguments, eyes=True),
    "full": lambda *arguments: Train(*arguments, full=True),
}
"""Methods by name, made from number of classes, seed, and whether the run is a quick one."""
