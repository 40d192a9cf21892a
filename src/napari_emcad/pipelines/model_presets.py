"""Settings of published models by their data set, for files that do not contain them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.checkpoints.card import expected_image
from napari_emcad.io.checkpoints.classes import class_labels
from napari_emcad.io.checkpoints.known import GRAY_DEFAULT, RGB_DEFAULT
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.io.datasets.acdc import HEART
from napari_emcad.io.datasets.synapse import ORGANS
from napari_emcad.io.model_shelf import ModelSummary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_GRAY, _RGB = asdict(GRAY_DEFAULT), asdict(RGB_DEFAULT)

MODEL_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "Synapse: abdominal CT, in HU": {**_GRAY, "input_channels": 1, "classes": ORGANS},
    "Synapse: slices scaled to 0 … 1": {
        **_GRAY,
        "low": 0.0,
        "high": 1.0,
        "input_channels": 1,
        "classes": ORGANS,
    },
    "ACDC: cardiac MR, slices scaled to 0 … 1": {
        **_GRAY,
        "low": 0.0,
        "high": 1.0,
        "input_channels": 1,
        "classes": HEART,
    },
    "Polyps: colonoscopy": {**_RGB, "input_channels": 3, "classes": ("polyp",)},
    "ISIC: skin lesions": {**_RGB, "input_channels": 3, "classes": ("lesion",)},
    "BUSI: breast ultrasound": {
        **_RGB,
        "size": (256, 256),
        "input_channels": 3,
        "classes": ("lesion",),
    },
}
"""Arguments of `Checkpoint.override` by title; sizes and ranges are those of the paper."""


def preset_summary(title: str) -> ModelSummary:
    """Return what a shelf shows of a published model."""
    values = dict(MODEL_PRESETS[title])
    channels, names = values.pop("input_channels"), values.pop("classes")
    labels = class_labels(names)
    purpose = ", ".join(names)
    expects = expected_image(channels, Preprocessing(**values))
    return ModelSummary(title, purpose, expects, None, tuple(label.color for label in labels))


def fitting_presets(checkpoint: Checkpoint) -> list[str]:
    """Return the titles of the presets whose classes and inputs a checkpoint can have."""
    return [title for title, values in MODEL_PRESETS.items() if _fits(checkpoint, values)]


def _fits(checkpoint: Checkpoint, values: Mapping[str, Any]) -> bool:
    if len(values["classes"]) != len(checkpoint.classes):
        return False
    try:
        checkpoint.override(**values)
    except CheckpointError:
        return False
    return True
