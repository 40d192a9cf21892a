"""The layout of nnU-Net and the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_emcad.io.datasets.channel_files import with_channels
from napari_emcad.io.datasets.folder_layouts import from_folders
from napari_emcad.io.datasets.pairing import subfolder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import FoundFiles


def nnunet(folder: Path) -> FoundFiles | None:
    """Find the training cases of a data set of nnU-Net or the Medical Segmentation Decathlon.

    Images in several modalities have a file per channel (``a_0000``, ``a_0001`` …), or a fourth
    axis of channels.

    Raises
    ------
    ImageFileError
        If images have different numbers of channels.
    """
    images, labels = subfolder(folder, ("imagestr",)), subfolder(folder, ("labelstr",))
    if images is None or labels is None:
        return None
    found = with_channels(from_folders(images, labels, "nnU-Net", channels=True))
    found = _with_validation(folder, found)
    description = _description(folder / "dataset.json")
    names, ignored = _labels(description)
    axes = {4: "CZYX"} if _modalities(description) > 1 else {}
    parts = {
        name: replace(part, class_names=names, axes=axes) for name, part in found.splits.items()
    }
    found = replace(found, class_names=names, axes=axes, splits=parts)
    return found.with_coding(ignore=ignored)


def _with_validation(folder: Path, found: FoundFiles) -> FoundFiles:
    """Return a data set with ``imagesVa/`` and ``labelsVa/`` (AMOS) as its part for validation."""
    images, labels = subfolder(folder, ("imagesva",)), subfolder(folder, ("labelsva",))
    if images is None or labels is None:
        return found
    other = with_channels(from_folders(images, labels, "nnU-Net", channels=True))
    together = replace(
        found,
        pairs=(*found.pairs, *other.pairs),
        problems=(*found.problems, *other.problems),
        names={i: i.relative_to(folder).as_posix() for i, _ in (*found.pairs, *other.pairs)},
        channels={**found.channels, **other.channels},
        notes=(*found.notes, *other.notes),
    )
    return together.with_splits({"train": found.pairs, "val": other.pairs})


def _description(path: Path) -> Mapping[str, Any]:
    """Return the content of ``dataset.json``; nothing if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _modalities(description: Mapping[str, Any]) -> int:
    names = description.get("channel_names", description.get("modality"))
    return len(names) if isinstance(names, dict) else 1


def _labels(description: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    """Return class names in order, and the value of nnU-Net's label ``ignore``.

    The names are None if there are none, or if they number the classes in another way.
    """
    try:
        pairs = [
            (int(name), str(number)) if str(name).isdecimal() else (int(number), str(name))
            for name, number in description["labels"].items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, ()
    ignored = tuple(number for number, name in pairs if name == "ignore")
    names = {number: name for number, name in pairs if number > 0 and name != "ignore"}
    is_in_order = sorted(names) == list(range(1, len(names) + 1))
    return tuple(names[number] for number in sorted(names)) if is_in_order else None, ignored
