"""Which label file belongs to an image, by their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

LABEL_SUFFIXES = (
    "mask",
    "masks",
    "segmentation",
    "seg",
    "gt",
    "label",
    "labels",
    "anno",
    "annotation",
)
"""Words that data sets append to the name of an image for its label file."""

_ENDINGS = (".nii.gz", ".ome.tif", ".ome.tiff", ".ome.zarr")
"""File endings of two parts."""

_SUFFIX = re.compile(rf"[ _.-](?:{'|'.join(LABEL_SUFFIXES)})(?:[ _-]?\d+)?$", re.IGNORECASE)
_FIRST_CHANNEL, _CHANNEL = "_0000", re.compile(r"_\d{4}$")


def stem_of(path: Path) -> str:
    """Return the name of a file without its ending, which may have two parts, composed (NFC)."""
    name = composed(path.name)
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return composed(path.stem)


def image_of_label(path: Path) -> str:
    """Return the stem of the image that a label file belongs to; "" if no suffix says so.

    ``benign (1)_mask_1`` belongs to ``benign (1)``.
    """
    stem = stem_of(path)
    found = _SUFFIX.search(stem)
    return stem[: found.start()] if found else ""


def pair_by_name(
    images: Iterable[Path], labels: Iterable[Path], where: Path
) -> tuple[list[tuple[Path, tuple[Path, ...]]], list[str]]:
    """Pair images with label files of the same name, or of the name with a suffix.

    Parameters
    ----------
    images
        Image files; ``_0000`` at the end of a name, the first channel of nnU-Net, is left out.
    labels
        Label files.
    where
        Folder of the label files, for messages.

    Returns
    -------
    tuple
        Every image with its label files, and a message for every image without any.
    """
    same, suffixed = _by(stem_of, labels), _by(image_of_label, labels)
    pairs, problems, used = [], [], {}
    for image in images:
        stem = stem_of(image)
        names = (stem, stem.removesuffix(_FIRST_CHANNEL))
        found = next((files for name in names if (files := same.get(name))), None)
        found = found or suffixed.get(stem) or []
        if not found:
            problems.append(
                f"{image.name} has no label files of its name in {where}; each image needs one, "
                f"such as {stem}.png."
            )
        elif found[0] in used:
            problems.append(
                f"{used[found[0]].name} and {image.name} have the same labels by their names; "
                f"rename or remove one."
            )
        elif len({image_of_label(file) for file in found}) == 1 and _are_one_kind(found, stem):
            used[found[0]] = image
            pairs.append((image, tuple(found)))
        else:
            names_found = ", ".join(file.name for file in found)
            problems.append(
                f"{image.name} has {len(found)} label files of its name in {where}: {names_found}; "
                f"keep one."
            )
    return pairs, problems


def more_channels(images: Sequence[Path]) -> list[Path]:
    """Return files that are further channels of an image: ``_0001`` beside ``_0000``."""
    stems = {stem_of(image) for image in images}
    return [
        image
        for image in images
        if (found := _CHANNEL.search(stem := stem_of(image)))
        and found.group() != _FIRST_CHANNEL
        and stem[: found.start()] + _FIRST_CHANNEL in stems
    ]


def _are_one_kind(files: Sequence[Path], stem: str) -> bool:
    """Return whether label files are one file, or several masks of one image."""
    return len(files) == 1 or all(stem_of(file) != stem for file in files)


def _by(key: object, files: Iterable[Path]) -> Mapping[str, list[Path]]:
    grouped: dict[str, list[Path]] = {}
    for file in files:
        grouped.setdefault(key(file), []).append(file)  # type: ignore[operator]
    grouped.pop("", None)
    return grouped
