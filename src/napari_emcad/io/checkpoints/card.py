"""Model card: a checkpoint described for the people who use it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.io.plain_text import strip_control_characters
from napari_emcad.model.macs import count_macs

if TYPE_CHECKING:
    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.config import ModelConfig

_ASSUMED = {
    "activation": "activation",
    "dw_parallel": "branches",
    "preprocessing": "preprocessing",
    "head": "prediction",
    "classes": "class names",
}
"""Captions of the settings that may be assumed."""

_POOLS = {
    "color": "of each channel unless they are one color picture",
    "none": "of each channel",
    "all": "of all channels together",
}
"""What a range of percentiles is of, by `Preprocessing.pool_channels`."""


def model_card(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Return captions and texts of the rows of a model card; texts may have several lines."""
    config = checkpoint.config
    rows = [
        ("Network", _network(config)),
        ("Classes", _classes(checkpoint)),
        ("Input", _input(config, checkpoint.preprocessing)),
        ("Prediction", "finest head" if checkpoint.head == "finest" else "sum of the four heads"),
        ("Size", f"{checkpoint.parameters / 1e6:.2f} M parameters"),
        ("Cost", f"{count_macs(config) / 1e9:.2f} GMACs for 256 × 256 pixels"),
        ("Origin", _origin(checkpoint)),
        ("sha256", checkpoint.origin.sha256[:16] or "not saved yet"),
    ]
    if checkpoint.history:
        rows.append(("History", _history(checkpoint)))
    return rows


def usage_notes(checkpoint: Checkpoint) -> str:
    """Return what a user should know before relying on the model, or ""."""
    notes = list(checkpoint.notes)
    if checkpoint.assumed:
        names = ", ".join(_ASSUMED.get(name, name) for name in checkpoint.assumed)
        notes.append(f"The file does not contain: {names}. Defaults are assumed; check them.")
    return " ".join(notes)


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint without its tensors as plain values for JSON."""
    return {
        "title": checkpoint.title,
        "description": checkpoint.description,
        **asdict(checkpoint.origin),
        "config": asdict(checkpoint.config),
        "preprocessing": asdict(checkpoint.preprocessing),
        "classes": [label.to_dict() for label in checkpoint.classes],
        "head": checkpoint.head,
        "parameters": checkpoint.parameters,
        "macs_256": count_macs(checkpoint.config),
        "parent": checkpoint.parent,
        "history": list(checkpoint.history),
        "assumed": list(checkpoint.assumed),
        "notes": list(checkpoint.notes),
    }


def _network(config: ModelConfig) -> str:
    kernels = ", ".join(map(str, config.kernel_sizes))
    branches = "parallel" if config.dw_parallel else "sequential"
    return (
        f"PVTv2-{config.encoder_spec.short_name} + EMCAD\nkernels {kernels} · {branches} · "
        f"{config.aggregation} · {config.activation} · ×{config.expansion_factor}"
    )


def _classes(checkpoint: Checkpoint) -> str:
    return "\n".join(f"{k} {label.name}" for k, label in enumerate(checkpoint.classes, start=1))


def expected_image(channels: int, preprocessing: Preprocessing) -> str:
    """Return channels, range and size of the images that a network takes, in one short line."""
    low, high = f"{preprocessing.low:g}", f"{preprocessing.high:g}"
    ranges = {"range": f"{low} … {high}", "percentile": f"percentiles {low} … {high}"}
    size = preprocessing.size
    parts = [
        "1 channel" if channels == 1 else f"{channels} channels",
        ranges.get(preprocessing.intensity, "any values"),
        "any size" if size is None else f"{size[0]} × {size[1]}",
    ]
    return " · ".join(parts)


def _input(config: ModelConfig, preprocessing: Preprocessing) -> str:
    channels = "3 channels" if config.input_channels == 3 else "1 channel"
    return f"{channels}, {_size(preprocessing)}\n{_intensity(preprocessing)}"


def _size(preprocessing: Preprocessing) -> str:
    if preprocessing.size is None:
        zoom = preprocessing.zoom
        return "native resolution, tiled" if zoom == 1 else f"enlarged {zoom:g} times, tiled"
    return f"resized to {preprocessing.size[0]} × {preprocessing.size[1]}"


def _intensity(preprocessing: Preprocessing) -> str:
    low, high = f"{preprocessing.low:g}", f"{preprocessing.high:g}"
    if preprocessing.intensity == "percentile":
        of_channels = _POOLS[preprocessing.pool_channels]
        return f"percentiles {low} … {high} of each {preprocessing.over}, {of_channels}"
    return "values as they are" if preprocessing.intensity == "none" else f"values {low} … {high}"


def _origin(checkpoint: Checkpoint) -> str:
    origin = checkpoint.origin
    if origin.format == "new":
        return "not saved yet"
    return f"{Path(origin.path).name} ({origin.format} format)"


def _history(checkpoint: Checkpoint) -> str:
    """Return a line per training, oldest first."""
    lines = (strip_control_characters(_training(entry)) for entry in checkpoint.history)
    return "\n".join(" ".join(line.split()) for line in lines)


def _training(entry: dict[str, Any]) -> str:
    """Return a line about a training; values of unexpected types are left out."""
    date, epochs, dice = (entry.get(key) for key in ("date", "epochs", "best_dice"))
    title, sha256 = entry.get("parent_title"), entry.get("parent")
    parent = f"“{title}”" if title else str(sha256 or "")[:16]
    event = str(entry.get("event", "a training"))
    parts = [
        f"{epochs} epoch{'s' * (epochs != 1)}" if isinstance(epochs, int) else event,
        f"best Dice {dice:.3f}" if isinstance(dice, (int, float)) else "",
        str(entry["ending"]) if entry.get("ending") in ("stopped", "diverged") else "",
        f"from {parent}" if parent else "",
    ]
    return f"{str(date)[:10]}: " * bool(date) + ", ".join(part for part in parts if part)
