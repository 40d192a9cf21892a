"""The layout of text files that list an image and its mask per line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.splits import listed_pairs, split_lists

if TYPE_CHECKING:
    from pathlib import Path


def listed(folder: Path) -> FoundFiles | None:
    """Find the images and masks that ``train.txt``, ``val.txt`` and ``test.txt`` list in pairs."""
    splits = listed_pairs(folder, split_lists(folder))
    if splits is None:
        return None
    pairs = tuple(pair for part in splits.values() for pair in part)
    names = {image: image.relative_to(folder).as_posix() for image, _ in pairs}
    return FoundFiles("lists", pairs, names=names).with_splits(splits)
