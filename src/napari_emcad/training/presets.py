"""Named training configurations."""

from __future__ import annotations

from typing import Any

from napari_emcad.training.config import Augmentation, TrainingConfig
from napari_emcad.training.settings import suggest_names

_MICROSCOPY = Augmentation(
    scale=(0.5, 2.0),
    rotate=180,
    shear=8,
    flip=True,
    brightness=0.25,
    contrast=0.3,
    saturation=0.4,
    hue=0.1,
    gamma=2.0,
    stain=0.5,
    blur=1.5,
    noise=0.06,
    invert=0.12,
    gray=0.2,
    permute=0.1,
)
_FLIPS = Augmentation(flip=True, rotate=20)
_SCRIBBLES = TrainingConfig(
    loss="ce_dice",
    supervision="deep_and_sum",
    learning_rate=3e-4,
    encoder_rate=0.1,
    epochs=1,
    crops_per_epoch=160,
    batch=2,
    warm_up=0.1,
    clip=1.0,
    ema=0.97,
    drop_path=0.0,
    pseudo=5.0,
    teacher="probe",
    freeze_norm_below=10**6,
    foreground=1.0,
    balance=2.0,
    augmentation=Augmentation(flip=True, brightness=0.1, contrast=0.1),
)

PRESETS: dict[str, TrainingConfig] = {
    "paper-polyp": TrainingConfig(
        loss="weighted_bce_iou",
        supervision="deep_and_sum",
        epochs=200,
        batch=16,
        crop=352,
        scales=(0.75, 1.0, 1.25),
        warm_up=0.0,
        clip=0.5,
        foreground=0.0,
        augmentation=_FLIPS,
    ),
    "paper-ct": TrainingConfig(
        loss="ce_dice",
        supervision="mutation",
        epochs=200,
        batch=16,
        crop=224,
        warm_up=0.0,
        foreground=0.0,
        augmentation=_FLIPS,
    ),
    "paper-synapse": TrainingConfig(
        loss="ce_dice",
        supervision="mutation",
        epochs=300,
        batch=6,
        crop=224,
        warm_up=0.0,
        foreground=0.0,
        augmentation=_FLIPS,
    ),
    "paper-256": TrainingConfig(
        loss="weighted_bce_iou",
        supervision="deep_and_sum",
        epochs=200,
        batch=16,
        crop=256,
        warm_up=0.0,
        foreground=0.0,
        augmentation=_FLIPS,
    ),
    "seed-dice": TrainingConfig(
        loss="ce_dice", supervision="deep", learning_rate=5e-5, foreground=0.0, augmentation=_FLIPS
    ),
    "seed-unified": TrainingConfig(
        loss="unified", supervision="deep", learning_rate=5e-5, foreground=0.0, augmentation=_FLIPS
    ),
    "scribbles": _SCRIBBLES,
    "scribbles-from-nothing": _SCRIBBLES.replace(
        learning_rate=1e-3, encoder_rate=1.0, crops_per_epoch=320
    ),
    "from-scratch": TrainingConfig(
        loss="bce_dice",
        supervision="deep_and_sum",
        learning_rate=1e-3,
        weight_decay=0.02,
        epochs=200,
        warm_up=0.05,
        clip=1.0,
        ema=0.998,
        drop_path=0.05,
        validate_every=5,
        augmentation=_MICROSCOPY,
    ),
}
"""By name: the protocols of the EMCAD paper (``paper-…``) and of its replication (``seed-…``), and
those of this project for masks (``from-scratch``) and for scribbles."""


def preset_config(name: str, /, **settings: Any) -> TrainingConfig:
    """Return the configuration of a preset with some settings of its own.

    Raises
    ------
    ValueError
        If there is no such preset, or a setting is unknown or out of bounds.
    """
    if name not in PRESETS:
        raise ValueError(
            f"There is no preset {name}; choose one of {', '.join(PRESETS)}"
            f"{suggest_names([name], PRESETS)}."
        )
    return PRESETS[name].replace(**settings)
