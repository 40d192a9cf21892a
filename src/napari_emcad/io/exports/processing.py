"""Preprocessing of a checkpoint in the terms of bioimage.io, as far as it has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.io.checkpoints.sniff import CheckpointError

if TYPE_CHECKING:
    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_LEAST_STD = 1e-6
_LEAST_HIGH_PERCENTILE = 1.0
"""Bounds of bioimage.io."""


def check_expressible(preprocessing: Preprocessing) -> None:
    """Check that bioimage.io can express a preprocessing.

    Raises
    ------
    CheckpointError
        If it cannot; the message says what to do.
    """
    advice = "export it as ONNX, whose metadata describe it, or"
    percentile = preprocessing.intensity == "percentile"
    if preprocessing.size is not None:
        height, width = preprocessing.size
        raise CheckpointError(
            f"A model package of bioimage.io cannot resize images to {height} × {width}: {advice} "
            f"set size=none if the network also works at the native resolution."
        )
    if percentile and preprocessing.over == "stack":
        raise CheckpointError(
            f"A model package of bioimage.io cannot take percentiles over a whole stack: {advice} "
            f"set over=slice."
        )
    if percentile and preprocessing.high <= _LEAST_HIGH_PERCENTILE:
        raise CheckpointError(
            f"A model package of bioimage.io cannot have an upper percentile of "
            f"{preprocessing.high:g}: {advice} set high above 1."
        )
    if min(preprocessing.std) < _LEAST_STD:
        raise CheckpointError(
            f"A model package of bioimage.io cannot have a standard deviation below "
            f"{_LEAST_STD:g}: {advice} set std."
        )


def preprocessing_operations(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Return the operations from pixels to network inputs, as in rdf.yaml."""
    preprocessing = checkpoint.preprocessing
    operations: list[dict[str, Any]] = [_operation("ensure_dtype", dtype="float32")]
    if preprocessing.intensity != "none":
        operations += [_scale(preprocessing), _operation("clip", min=0.0, max=1.0)]
    mean, std = list(preprocessing.mean), list(preprocessing.std)
    if len(mean) == 1:
        operations.append(_operation("fixed_zero_mean_unit_variance", mean=mean[0], std=std[0]))
    else:
        operations.append(
            _operation("fixed_zero_mean_unit_variance", axis="channel", mean=mean, std=std)
        )
    return operations


def postprocessing_operations(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Return the operation from logits to probabilities, as in rdf.yaml."""
    if checkpoint.config.num_classes == 1:
        return [{"id": "sigmoid"}]
    return [_operation("softmax", axis="channel")]


def _scale(preprocessing: Preprocessing) -> dict[str, Any]:
    low, high = preprocessing.low, preprocessing.high
    if preprocessing.intensity == "range":
        return _operation("scale_linear", gain=1 / (high - low), offset=-low / (high - low))
    # three channels are taken for a color picture, as bioimage.io does not know of others
    pooled = [] if preprocessing.pool_channels == "none" else ["channel"]
    return _operation(
        "scale_range", axes=[*pooled, "y", "x"], min_percentile=low, max_percentile=high
    )


def _operation(name: str, **arguments: Any) -> dict[str, Any]:
    return {"id": name, "kwargs": arguments}
