"""Floor 4: a checkpoint and labelled images in, a better checkpoint out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.paint import UNPAINTED
from napari_emcad.io.checkpoint import Origin
from napari_emcad.training.loop import Trained, train
from napari_emcad.training.samples import LabelledSlice

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.strokes import Record
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.training.config import TrainingConfig
    from napari_emcad.training.loop import TrainingEvent

_NEW_WEIGHT = 3.0
"""How much oftener a slice with new paint is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """What came of a training: the new checkpoint, and how the training went."""

    checkpoint: Checkpoint
    trained: Trained


def teach(
    checkpoint: Checkpoint,
    slices: Sequence[LabelledSlice],
    held_out: Sequence[LabelledSlice],
    config: TrainingConfig,
    stop: threading.Event,
    device: str = "auto",
    state: dict[str, Any] | None = None,
) -> Generator[TrainingEvent, None, Taught]:
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
        Of a `training.loop.Snapshot`, to go on from.

    Raises
    ------
    ValueError
        If there is nothing to train on, or the device is not there.
    """
    from napari_emcad.inference.devices import choose_device

    network = checkpoint.network(config.drop_path).to(choose_device(device))
    trained = yield from train(
        network, slices, held_out, checkpoint.preprocessing, checkpoint.head, config, stop, state
    )
    return Taught(_new_checkpoint(checkpoint, trained, config, len(slices)), trained)


def split(
    slices: Sequence[LabelledSlice], share: float, seed: int
) -> tuple[list[LabelledSlice], list[LabelledSlice]]:
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


def _image(source: LabelledSlice) -> str:
    return source.image or source.name


def _new_checkpoint(
    parent: Checkpoint, trained: Trained, config: TrainingConfig, count: int
) -> Checkpoint:
    scores = [each.dice for each in trained.epochs if each.dice is not None]
    names = ", ".join(each.name for each in parent.classes)
    told = f"Dice {max(scores):.3f} on what was held out" if scores else "nothing was held out"
    entry = {
        "event": f"trained on {count} slices",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": asdict(config),
        "epochs": len(trained.epochs),
        "best_dice": max(scores, default=None),
        "ending": trained.ending,
    }
    return replace(
        parent,
        title=f"{names}: trained PVT-EMCAD-{parent.config.encoder[-2:].upper()}",
        description=f"Trained from “{parent.title or 'a new network'}” on {count} slices; {told}.",
        tensors={k: v.numpy() for k, v in trained.weights.items()},
        history=(*parent.history, entry),
        parent=parent.origin.sha256 or parent.parent,
        origin=Origin("", "", "new"),
        notes=tuple(each for each in parent.notes if not each.startswith("Untrained")),
    )


def painted_slices(
    record: Record, planes: Mapping[Hashable, NDArray[np.float32]]
) -> tuple[list[LabelledSlice], list[LabelledSlice]]:
    """Return what is to be learnt of a record of painting, and what is held out.

    Parameters
    ----------
    record
        Its pages are the slices; those with new paint are drawn more often.
    planes
        ``(1 or inputs, H, W)`` normalised planes of each page.
    """
    learnt: list[LabelledSlice] = []
    tested: list[LabelledSlice] = []
    for key, page in record.pages.items():
        new = record.new(key)
        slices = (page.learnt(), learnt), (page.tested(), tested)
        for target, into in slices:
            if (target != UNPAINTED).any():
                weight = _NEW_WEIGHT if new.any() else 1.0
                into.append(LabelledSlice(str(key), planes[key], target, weight, new))
    return learnt, tested
