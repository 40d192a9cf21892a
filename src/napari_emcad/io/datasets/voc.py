"""The layout of Pascal VOC: palette masks whose index is the class, and lists of splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from napari_emcad.io.datasets.color_table import find_color_table
from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.pairing import case_name, folder_images, pair_by_name, subfolder

if TYPE_CHECKING:
    from pathlib import Path

_VOID = 255
"""Index of the border around objects."""


def voc(folder: Path) -> FoundFiles | None:
    """Find ``JPEGImages/`` and ``SegmentationClass/``, where 255 is ignored.

    Only images with a mask are taken: most of the pictures of VOC have none. A ``labelmap.txt``
    gives the classes by their colors, as annotation tools export them.
    """
    images = subfolder(folder, ("jpegimages",))
    masks = subfolder(folder, ("segmentationclass",))
    if images is None or masks is None:
        return None
    mask_files = folder_images(masks)
    colors = find_color_table(folder)
    if not mask_files or (colors is None and not _has_palette(mask_files[0])):
        return None
    stems = {case_name(path) for path in mask_files}
    files = folder_images(images)
    pairs, problems = pair_by_name([i for i in files if case_name(i) in stems], mask_files, masks)
    missing = stems - {case_name(image) for image in files}
    problems += [f"{name} has a mask in {masks}, but no image in {images}." for name in missing]
    others = len(files) - len(pairs)
    coding = LabelCoding(ignore=(_VOID,), colors=colors)
    return FoundFiles(
        "VOC",
        tuple(pairs),
        tuple(sorted(problems)),
        None if colors is None else colors.names,
        coding,
        notes=(f"{others:,} images without a mask are left out.",) if others else (),
    )


def _has_palette(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            return bool(picture.mode == "P")
    except OSError:
        return False
