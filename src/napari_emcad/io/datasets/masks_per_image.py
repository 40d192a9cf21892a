"""The layout of a folder per image, with a mask per object: Data Science Bowl 2018."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.datasets.folder_layouts import IMAGE_FOLDERS
from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
from napari_emcad.io.datasets.pairing import folder_images, subfolder, subfolders
from napari_emcad.io.datasets.splits import with_splits_by_folder
from napari_emcad.io.images.folder import image_files

if TYPE_CHECKING:
    from pathlib import Path


def masks_per_image(folder: Path) -> FoundFiles | None:
    """Find a folder per image, with ``images/`` and one mask per object in ``masks/``.

    The folders of the images may be in folders of parts, such as ``stage1_train/``; parts without
    masks, such as ``stage1_test/``, are left out.
    """
    pairs = _cases(folder) or [pair for part in subfolders(folder) for pair in _cases(part)]
    if not pairs:
        return None
    names = {image: image.relative_to(folder).as_posix() for image, _ in pairs}
    return with_splits_by_folder(FoundFiles("masks per image", tuple(pairs), names=names))


def _cases(folder: Path) -> list[LabeledFile]:
    """Return the images of the folders in a folder, if all of them have one image and masks."""
    pairs: list[LabeledFile] = []
    for case in subfolders(folder):
        images, masks = subfolder(case, IMAGE_FOLDERS), subfolder(case, ("masks",))
        files = [] if images is None else folder_images(images)
        if masks is None or len(files) != 1:
            return []
        pairs.append((files[0], tuple(image_files(masks))))
    return pairs
