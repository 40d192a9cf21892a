"""A checkpoint with other classes: the heads of those that stay are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.checkpoints.checkpoint import Checkpoint, class_labels, default_classes
from napari_emcad.io.checkpoints.sniff import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.checkpoint import ClassLabel

_SPREAD = 0.02
"""Standard deviation of a new head's weights, as the paper initializes decoders."""


def with_class_names(
    checkpoint: Checkpoint, names: Sequence[str], count: int | None = None, seed: int = 0
) -> Checkpoint:
    """Return a checkpoint for classes 1, 2, … of these names.

    A class that the checkpoint knows keeps its head, and so does the background; the channels of
    the others are drawn anew. One class makes a binary network (one channel), several make one with
    the background as a channel of its own; going from one to the other changes no probability.

    Parameters
    ----------
    checkpoint
        What to start from.
    names
        Of the classes; those missing up to `count` are called class 2, class 3, …
    count
        How many classes; None takes as many as there are names.
    seed
        Of the new channels.

    Raises
    ------
    CheckpointError
        If there is no class, two have the same name, or a name is no name of a class.
    """
    count = len(names) if count is None else count
    if count < 1:
        raise CheckpointError("A network needs at least one class.")
    usual = [each.name for each in default_classes(count + 1 if count > 1 else 1)]
    wanted = _labels((*names, *usual[len(names) :])[:count], checkpoint)
    if [each.name for each in wanted] == [each.name for each in checkpoint.classes]:
        return checkpoint
    config = replace(checkpoint.config, num_classes=count + 1 if count > 1 else 1)
    known = {each.name: k for k, each in enumerate(checkpoint.classes, start=1)}
    sources = [0, *(known.get(each.name) for each in wanted)]
    rng = np.random.default_rng(seed)
    heads = {
        name: _head(tensor, sources, rng)
        for name, tensor in checkpoint.tensors.items()
        if name.startswith("heads.")
    }
    try:
        return replace(
            checkpoint,
            config=config,
            classes=wanted,
            tensors={**checkpoint.tensors, **heads},
        )
    except ValueError as error:
        raise CheckpointError(str(error)) from None


def _labels(names: Sequence[str], checkpoint: Checkpoint) -> tuple[ClassLabel, ...]:
    try:
        return class_labels(names, checkpoint.classes)
    except ValueError as error:
        raise CheckpointError(str(error)) from None


def with_class_labels(checkpoint: Checkpoint, classes: Sequence[ClassLabel]) -> Checkpoint:
    """Return a checkpoint for these classes, with their colors; see `with_class_names`."""
    adapted = with_class_names(checkpoint, [each.name for each in classes])
    same = adapted.classes == tuple(classes)
    return adapted if same else replace(adapted, classes=tuple(classes))


def _head(
    tensor: NDArray[Any], sources: Sequence[int | None], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a head's weight or bias with its channels rearranged; None draws one anew."""
    rows = tensor.astype(np.float32)
    if len(rows) == 1:  # a sigmoid of z is a softmax of (0, z)
        rows = np.concatenate([np.zeros_like(rows), rows])
    spread = _SPREAD if rows.ndim > 1 else 0.0
    picked = [
        rng.normal(0, spread, rows[0].shape) if source is None else rows[source]
        for source in sources
    ]
    stacked = np.stack(picked).astype(np.float32)
    return stacked[1:] - stacked[:1] if len(stacked) == 2 else stacked
