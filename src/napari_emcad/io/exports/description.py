"""What the user of an exported network must know, as text and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.model.export import side_step

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

INPUT, OUTPUT = "image", "logits"
"""Names of the input and the output of exported networks."""


def describe_export(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return everything that using an exported network takes, as plain values for JSON.

    Raises
    ------
    UnsupportedZoomError
        If the zoom of the checkpoint cannot be exported.
    """
    preprocessing = checkpoint.preprocessing
    step = side_step(preprocessing.zoom)
    binary = checkpoint.config.num_classes == 1
    return {
        "title": checkpoint.title,
        "description": checkpoint.description,
        "preprocessing": asdict(preprocessing),
        "preprocessing_steps": preprocessing_steps(checkpoint),
        "input": {
            "name": INPUT,
            "axes": "NCHW",
            "channels": checkpoint.config.input_channels,
            "side_multiple": step,
            "least_side": 2 * step,
        },
        "output": {
            "name": OUTPUT,
            "axes": "NKHW",
            "activation": "sigmoid" if binary else "softmax",
        },
        "classes": [label.to_dict() for label in checkpoint.classes],
        "sha256": checkpoint.origin.sha256,
    }


def preprocessing_steps(checkpoint: Checkpoint) -> list[str]:
    """Return what must be done to pixels before they enter the exported network, step by step."""
    preprocessing = checkpoint.preprocessing
    steps = [_intensity_step(checkpoint)]
    if preprocessing.size is not None:
        height, width = preprocessing.size
        steps.append(f"Resize to height {height} and width {width}, bilinear with anti-aliasing.")
    mean, std = list(preprocessing.mean), list(preprocessing.std)
    steps.append(f"Subtract the mean {mean} and divide by the standard deviation {std}.")
    side = side_step(preprocessing.zoom)
    steps.append(
        f"Pad height and width by reflection at the bottom and the right to multiples of {side}, "
        f"at least {2 * side}."
    )
    return steps


def _intensity_step(checkpoint: Checkpoint) -> str:
    preprocessing = checkpoint.preprocessing
    low, high = f"{preprocessing.low:g}", f"{preprocessing.high:g}"
    if preprocessing.intensity == "none":
        return "Keep the values as they are; replace NaN and infinities by 0."
    if preprocessing.intensity == "range":
        return f"Scale values {low} … {high} to 0 … 1 and clip."
    pooled = {
        "all": "of all channels together",
        "color": "of the channels of a color picture together, of other channels by themselves",
        "none": "of every channel by itself",
    }[preprocessing.pool_channels]
    return (
        f"Scale percentiles {low} … {high} of the {preprocessing.over}, {pooled}, to 0 … 1; clip."
    )


def as_text(description: dict[str, Any]) -> dict[str, str]:
    """Return the values of a description as texts: JSON where they are not texts already."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in description.items()
    }


def write_export(path: Path, content: bytes) -> None:
    """Write an exported file atomically.

    Raises
    ------
    CheckpointError
        If it cannot be written; nothing is changed then.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror}); nothing was changed there."
        ) from None
