"""Training: a checkpoint and labeled slices in, a trained checkpoint out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.inference.jobs import relay_job
from napari_emcad.io.checkpoints.checkpoint import UNTRAINED, Checkpoint, Origin
from napari_emcad.training.contents import images_with_copies
from napari_emcad.training.events import StepEnd, Trained, TrainingEvent
from napari_emcad.training.loop import train
from napari_emcad.training.trainer import Trainer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from napari_emcad.inference.events import Region
    from napari_emcad.model.feature_extractor import FeatureExtractor
    from napari_emcad.model.network import PvtEmcad
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.samples import LabeledSlice

    Preview = Callable[[PvtEmcad], Iterable[Region]]


@dataclass(frozen=True, slots=True, eq=False)
class TrainResult:
    """Result of a training.

    Attributes
    ----------
    checkpoint
        Trained checkpoint.
    course
        Epochs, ending and remark of the training.
    """

    checkpoint: Checkpoint
    course: Trained


def train_job(
    checkpoint: Checkpoint,
    training: Sequence[LabeledSlice],
    held_out: Sequence[LabeledSlice],
    config: TrainingConfig,
    stop: threading.Event,
    device: str = "auto",
    state: dict[str, Any] | None = None,
    preview: Preview | None = None,
) -> Generator[TrainingEvent | Region, None, TrainResult]:
    """Train a private copy of a checkpoint's network.

    Parameters
    ----------
    checkpoint
        Checkpoint to start from; it does not change.
    training, held_out
        Slices to learn from, and slices whose score selects the best epoch.
    config
        Training configuration.
    stop
        Ends the training after the current step; the best weights so far are returned.
    device
        Name of the device.
    state
        State of a `training.events.Snapshot` to resume from.
    preview
        Called after each step with the averaged network; the events it yields are passed on.

    Raises
    ------
    ValueError
        If there is nothing to train on, or the device is not available.
    """
    from napari_emcad.inference.devices import choose_device

    network = checkpoint.network(config.drop_path).to(choose_device(device))
    trainer = Trainer(network, config, probe_extractor(config))
    job = train(trainer, training, held_out, checkpoint.preprocessing, checkpoint.head, stop, state)

    def with_preview(event: TrainingEvent) -> Iterator[TrainingEvent | Region]:
        yield event
        if preview is not None and isinstance(event, StepEnd):
            yield from preview(trainer.averaged)

    course = yield from relay_job(job, with_preview)
    scores = [epoch.dice for epoch in course.epochs if epoch.dice is not None]
    count = len(training)
    event = f"trained on {count} slice{'s' if count > 1 else ''}"
    best = max(scores, default=None)
    trained = trained_checkpoint(
        checkpoint, course.weights, config, event, best, len(course.epochs)
    )
    return TrainResult(trained, course)


def probe_extractor(config: TrainingConfig) -> FeatureExtractor | None:
    """Return the extractor whose features a training's pseudo-labels need, or None."""
    from napari_emcad.io.checkpoints.feature_extractors import bundled_feature_extractor

    needed = config.pseudo and config.teacher in ("probe", "consensus")
    return bundled_feature_extractor() if needed else None


def split(
    slices: Sequence[LabeledSlice], share: float, seed: int
) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """Return training slices and held-out slices; slices of one image, and copies, stay together.

    Parameters
    ----------
    slices
        Slices of a data set.
    share
        Share of the images to hold out; at least one image is held out if it is above 0, and at
        least one is left to train on.
    seed
        Seed of the random choice.
    """
    groups = images_with_copies(slices)
    images = sorted(set(groups.values()))
    count = min(max(round(share * len(images)), int(share > 0)), len(images) - 1)
    chosen = set(np.random.default_rng(seed).permutation(images)[:count].tolist())
    held_out = [labeled for labeled in slices if groups[labeled.image_name] in chosen]
    return [labeled for labeled in slices if groups[labeled.image_name] not in chosen], held_out


def trained_checkpoint(
    parent: Checkpoint,
    weights: Mapping[str, Tensor],
    config: TrainingConfig,
    event: str,
    score: float | None,
    epochs: int | None = None,
) -> Checkpoint:
    """Return the checkpoint of a trained network, with the training in its history.

    Parameters
    ----------
    parent
        Checkpoint from which the training started.
    weights
        State dict of the network, on the CPU.
    config
        Training configuration.
    event
        Description of the training for the history, such as "trained on 12 slices".
    score
        Dice on held-out slices; None if there were none.
    epochs
        Number of epochs; None for trainings that have none (Live mode).
    """
    names = ", ".join(label.name for label in parent.classes)
    scored = "nothing was held out" if score is None else f"Dice {score:.3f} on held-out pixels"
    entry = {
        "event": event,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": asdict(config),
        "epochs": epochs,
        "best_dice": score,
        "parent": parent.origin.sha256 or parent.parent,
        "parent_title": parent.title or "a new network",
    }
    return replace(
        parent,
        title=f"{names}: trained PVT-EMCAD-{parent.config.encoder[-2:].upper()}",
        description=f"{event[0].upper()}{event[1:]}, from “{entry['parent_title']}”; {scored}.",
        tensors={name: tensor.numpy() for name, tensor in weights.items()},
        history=(*parent.history, entry),
        parent=parent.origin.sha256 or parent.parent,
        origin=Origin("", "", "new"),
        notes=tuple(note for note in parent.notes if note != UNTRAINED),
    )
