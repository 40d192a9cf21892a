"""Settings of a checkpoint that the user changes, because its file lacks or contradicts them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.checkpoints.classes import class_labels
from napari_emcad.io.checkpoints.known import default_preprocessing
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.model.config import ModelConfig
from napari_emcad.model.tensor_shapes import tensor_shapes
from napari_emcad.training.settings import suggest_names

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.classes import ClassLabel

_CONFIG = {field.name for field in fields(ModelConfig)}
_PREPROCESSING = {field.name for field in fields(Preprocessing)}
_OTHER = {"head", "title", "description", "classes"}
_POSSIBLE = _CONFIG | _PREPROCESSING | _OTHER


def override(checkpoint: Checkpoint, overrides: dict[str, Any]) -> Checkpoint:
    """Return a checkpoint with other settings, see `Checkpoint.override`.

    Raises
    ------
    CheckpointError
        If a name is unknown, or a value contradicts the tensors or is out of bounds.
    """
    unknown = set(overrides) - _POSSIBLE
    try:
        if unknown:
            raise ValueError(
                f"{', '.join(sorted(unknown))} cannot be set; possible are "
                f"{', '.join(sorted(_POSSIBLE))}{suggest_names(unknown, _POSSIBLE)}."
            )
        config = _override_config(checkpoint, _select(overrides, _CONFIG))
        return _override_rest(checkpoint, config, overrides)
    except (ValueError, TypeError) as error:
        raise CheckpointError(str(error)) from None


def _override_config(checkpoint: Checkpoint, values: dict[str, Any]) -> ModelConfig:
    config = replace(checkpoint.config, **values)
    if tensor_shapes(config) != tensor_shapes(checkpoint.config):
        wrong = [
            name for name in values if getattr(config, name) != getattr(checkpoint.config, name)
        ]
        raise ValueError(f"{', '.join(wrong)}: the tensors of the file say otherwise.")
    return config


def _override_rest(
    checkpoint: Checkpoint, config: ModelConfig, overrides: dict[str, Any]
) -> Checkpoint:
    """Return the checkpoint with another configuration, preprocessing, head, texts and classes."""
    preprocessing = checkpoint.preprocessing
    if config.input_channels != checkpoint.config.input_channels:
        preprocessing = default_preprocessing(config.input_channels)
    values = _select(overrides, _PREPROCESSING)
    if values.get("size") is not None:
        values.setdefault("zoom", 1.0)
    other = _select(overrides, _OTHER)
    if "classes" in other:
        other["classes"] = class_labels(_class_list(other["classes"]), checkpoint.classes)
    guessed = preprocessing is not checkpoint.preprocessing and not values
    resolved = {*overrides, "preprocessing"} if values or guessed else set(overrides)
    assumed = [name for name in checkpoint.assumed if name not in resolved]
    return replace(
        checkpoint,
        config=config,
        preprocessing=replace(preprocessing, **values),
        assumed=(*assumed, *["preprocessing"] * guessed),
        **other,
    )


def _class_list(classes: str | Iterable[str | ClassLabel]) -> tuple[str | ClassLabel, ...]:
    """Return class names; a string is a name, or several separated by commas."""
    if isinstance(classes, str):
        classes = [name.strip() for name in classes.split(",") if name.strip()]
    if not isinstance(classes, Iterable):
        raise ValueError(f"classes is {cast('object', classes)!r}; it must be a list of names.")
    return tuple(classes)


def _select(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}
