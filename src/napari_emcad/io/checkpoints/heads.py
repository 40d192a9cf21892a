"""Changing the classes of a checkpoint; classes that stay keep their output channels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.checkpoints.classes import class_labels, default_classes
from napari_emcad.io.checkpoints.sniff import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.classes import ClassLabel

_INIT_STD = 0.02
"""Standard deviation of the weights of new output channels, as in the paper's decoder."""


def with_class_names(
    checkpoint: Checkpoint, names: Sequence[str], count: int | None = None, seed: int = 0
) -> Checkpoint:
    """Return a checkpoint whose classes 1, 2, … have these names.

    Classes that the checkpoint has, and the background, keep their output channels; those of new
    classes are initialized randomly. One class makes a binary network (one channel, sigmoid),
    several make one with an additional channel for the background (softmax); changing from one to
    the other changes no probability.

    Parameters
    ----------
    checkpoint
        Checkpoint to start from.
    names
        Names of the classes; those missing up to `count` are called class 2, class 3, …
    count
        Number of classes; None for as many as there are names.
    seed
        Seed of the new channels.

    Raises
    ------
    CheckpointError
        If there is no class, two have the same name, or a name is invalid.
    """
    count = len(names) if count is None else count
    if count < 1:
        raise CheckpointError("A network needs at least one class.")
    num_classes = count + 1 if count > 1 else 1
    defaults = [label.name for label in default_classes(num_classes)]
    labels = _class_labels((*names, *defaults[len(names) :])[:count], checkpoint)
    if [label.name for label in labels] == [label.name for label in checkpoint.classes]:
        return checkpoint
    channels = {label.name: k for k, label in enumerate(checkpoint.classes, start=1)}
    sources = [0, *(channels.get(label.name) for label in labels)]
    rng = np.random.default_rng(seed)
    heads = {
        name: _rearrange(tensor, sources, rng)
        for name, tensor in checkpoint.tensors.items()
        if name.startswith("heads.")
    }
    try:
        return replace(
            checkpoint,
            config=replace(checkpoint.config, num_classes=num_classes),
            classes=labels,
            tensors={**checkpoint.tensors, **heads},
        )
    except ValueError as error:
        raise CheckpointError(str(error)) from None


def with_class_labels(checkpoint: Checkpoint, classes: Sequence[ClassLabel]) -> Checkpoint:
    """Return a checkpoint with these names and colors of classes, see `with_class_names`."""
    adapted = with_class_names(checkpoint, [label.name for label in classes])
    same = adapted.classes == tuple(classes)
    return adapted if same else replace(adapted, classes=tuple(classes))


def _class_labels(names: Sequence[str], checkpoint: Checkpoint) -> tuple[ClassLabel, ...]:
    try:
        return class_labels(names, checkpoint.classes)
    except ValueError as error:
        raise CheckpointError(str(error)) from None


def _rearrange(
    tensor: NDArray[Any], sources: Sequence[int | None], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the weight or bias of a head with other output channels.

    Parameters
    ----------
    tensor
        Weight or bias, output channels first.
    sources
        Previous channel of the background and every class, None for a new one.
    rng
        Generator for the weights of new channels; their biases are 0.
    """
    rows = tensor.astype(np.float32)
    if len(rows) == 1:  # sigmoid(z) is the softmax of (0, z)
        rows = np.concatenate([np.zeros_like(rows), rows])
    std = _INIT_STD if rows.ndim > 1 else 0.0
    channels = [
        rng.normal(0, std, rows[0].shape) if source is None else rows[source] for source in sources
    ]
    stacked = np.stack(channels).astype(np.float32)
    return stacked[1:] - stacked[:1] if len(stacked) == 2 else stacked
