"""A checkpoint and labeled images in, a better checkpoint out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.checkpoints.checkpoint import UNTRAINED, Checkpoint, Origin
from napari_emcad.training.events import StepEnd, Trained, TrainingEvent
from napari_emcad.training.loop import train
from napari_emcad.training.trainer import Trainer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from torch import Tensor

    from napari_emcad.inference.events import Region
    from napari_emcad.model.network import PvtEmcad
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.samples import LabeledSlice

    Watch = Callable[[PvtEmcad], Iterable[Region]]


@dataclass(frozen=True, slots=True, eq=False)
class TrainResult:
    """What came of a training: the new checkpoint, and how the training went."""

    checkpoint: Checkpoint
    trained: Trained


def teach(
    checkpoint: Checkpoint,
    slices: Sequence[LabeledSlice],
    held_out: Sequence[LabeledSlice],
    config: TrainingConfig,
    stop: threading.Event,
    device: str = "auto",
    state: dict[str, Any] | None = None,
    watch: Watch | None = None,
) -> Generator[TrainingEvent | Region, None, TrainResult]:
    """Train a private copy of a checkpoint's network.

    Parameters
    ----------
    checkpoint
        What to start from; it does not change.
    slices, held_out
        What to learn from, and what to choose the best epoch by.
    config
        How.
    stop
        Ends after the current step; the best so far is kept.
    device
        Where.
    state
        Of a `training.events.Snapshot`, to go on from.
    watch
        Called after each step with the network as it is; what it yields is passed on.

    Raises
    ------
    ValueError
        If there is nothing to train on, or the device is not there.
    """
    from napari_emcad.inference.devices import choose_device

    trainer = Trainer(checkpoint.network(config.drop_path).to(choose_device(device)), config)
    job = train(trainer, slices, held_out, checkpoint.preprocessing, checkpoint.head, stop, state)
    trained = yield from _watched(job, trainer, watch)
    weights, epochs = trained.weights, trained.epochs
    score = max((each.dice for each in epochs if each.dice is not None), default=None)
    taught = trained_checkpoint(
        checkpoint, weights, config, f"trained on {_count(len(slices))}", score, len(epochs)
    )
    return TrainResult(taught, trained)


def _watched(
    job: Generator[TrainingEvent, None, Trained], trainer: Trainer, watch: Watch | None
) -> Generator[TrainingEvent | Region, None, Trained]:
    while True:
        try:
            event = next(job)
        except StopIteration as ended:
            trained: Trained = ended.value
            return trained
        yield event
        if watch is not None and isinstance(event, StepEnd):
            yield from watch(trainer.averaged)


def split(
    slices: Sequence[LabeledSlice], share: float, seed: int
) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """Return slices to learn from and slices held out; slices of one image stay together.

    Parameters
    ----------
    slices
        Of a dataset.
    share
        Of the images that are held out; at least one, as long as one is left to learn from.
    seed
        Of the draw.
    """
    images = sorted({_image(each) for each in slices})
    count = min(max(round(share * len(images)), int(share > 0)), len(images) - 1)
    chosen = set(np.random.default_rng(seed).permutation(images)[:count].tolist())
    held_out = [each for each in slices if _image(each) in chosen]
    return [each for each in slices if _image(each) not in chosen], held_out


def _image(source: LabeledSlice) -> str:
    return source.image or source.name


def trained_checkpoint(
    parent: Checkpoint,
    weights: Mapping[str, Tensor],
    config: TrainingConfig,
    event: str,
    score: float | None,
    epochs: int | None = None,
) -> Checkpoint:
    """Return the checkpoint that came of a training.

    Parameters
    ----------
    parent
        What it started from.
    weights
        State dict of the network, on the CPU.
    config
        How it was trained.
    event
        What happened, for the history: "trained on 12 slices".
    score
        Dice of what was held out; None if nothing was.
    epochs
        How many there were; None where the word means nothing.
    """
    names = ", ".join(each.name for each in parent.classes)
    told = "nothing was held out" if score is None else f"Dice {score:.3f} on what was held out"
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
        title=f"{names}: trained PVT-EMCAD-{parent.config.encoder_spec.short_name}",
        description=f"{event[0].upper()}{event[1:]}, from “{entry['parent_title']}”; {told}.",
        tensors={k: v.numpy() for k, v in weights.items()},
        history=(*parent.history, entry),
        parent=parent.origin.sha256 or parent.parent,
        origin=Origin("", "", "new"),
        notes=tuple(each for each in parent.notes if each != UNTRAINED),
    )


def _count(slices: int) -> str:
    return f"{slices} slice{'s' if slices > 1 else ''}"
