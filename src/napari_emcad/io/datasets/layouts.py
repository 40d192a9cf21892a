"""The layouts of data sets: which of them a folder has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.acdc import acdc
from napari_emcad.io.datasets.aperio import aperio
from napari_emcad.io.datasets.arrays import arrays
from napari_emcad.io.datasets.brats import brats
from napari_emcad.io.datasets.case_folders import case_folders
from napari_emcad.io.datasets.case_names import with_cases_by_name
from napari_emcad.io.datasets.cell_tracking import cell_tracking
from napari_emcad.io.datasets.chaos import chaos
from napari_emcad.io.datasets.cityscapes import cityscapes
from napari_emcad.io.datasets.coco import coco
from napari_emcad.io.datasets.color_table import find_color_table, is_color_mask
from napari_emcad.io.datasets.cvat import cvat
from napari_emcad.io.datasets.folder_layouts import from_folders, nested_folders, two_folders
from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
from napari_emcad.io.datasets.labelme import labelme
from napari_emcad.io.datasets.list_layout import listed
from napari_emcad.io.datasets.masks_per_image import masks_per_image
from napari_emcad.io.datasets.nnunet import nnunet
from napari_emcad.io.datasets.paired_folders import paired_folders
from napari_emcad.io.datasets.pairing import folder_images, subfolders
from napari_emcad.io.datasets.pannuke import pannuke
from napari_emcad.io.datasets.run_lengths import run_lengths
from napari_emcad.io.datasets.splits import of_labeled, split_lists, with_listed_splits
from napari_emcad.io.datasets.suffixes import suffixes
from napari_emcad.io.datasets.synapse import synapse
from napari_emcad.io.datasets.total_segmentator import total_segmentator
from napari_emcad.io.datasets.voc import voc
from napari_emcad.io.datasets.yolo import yolo
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_emcad.io.datasets.color_table import ColorTable

__all__ = ["LAYOUTS", "FoundFiles", "LabeledFile", "find_files", "from_folders"]

LAYOUTS: dict[str, Callable[[Path], FoundFiles | None]] = {
    "nnunet": nnunet,
    "synapse": synapse,
    "acdc": acdc,
    "cell-tracking": cell_tracking,
    "brats": brats,
    "total-segmentator": total_segmentator,
    "chaos": chaos,
    "pannuke": pannuke,
    "cityscapes": cityscapes,
    "voc": voc,
    "coco": coco,
    "cvat": cvat,
    "aperio": aperio,
    "yolo": yolo,
    "lists": listed,
    "labelme": labelme,
    "folders": two_folders,
    "masks-per-image": masks_per_image,
    "nested": nested_folders,
    "paired": paired_folders,
    "run-lengths": run_lengths,
    "cases": case_folders,
    "suffixes": suffixes,
    "arrays": arrays,
}
"""The layouts by name, in the order in which a folder is compared with them."""

_SPLIT_BY_LISTS = (
    "folders",
    "masks-per-image",
    "cases",
    "suffixes",
    "labelme",
    "nested",
    "paired",
    "coco",
    "cvat",
    "voc",
    "brats",
    "aperio",
    "run-lengths",
)
"""Layouts whose images text files may divide into parts."""


def find_files(folder: Path, layout: str | None = None) -> FoundFiles:
    """Return the labeled images of a folder.

    Parameters
    ----------
    folder
        Folder of a data set.
    layout
        Name of its layout, one of `LAYOUTS`; None finds out.

    Raises
    ------
    ImageFileError
        If the folder has no such layout, or nothing is labeled in it.
    """
    if not folder.is_dir():
        raise ImageFileError(f"{folder} is not a folder; check the path.")
    if layout is not None and layout not in LAYOUTS:
        raise ImageFileError(f"{layout!r} is no layout; choose {', '.join(LAYOUTS)}.")
    for name in LAYOUTS if layout is None else (layout,):
        found = LAYOUTS[name](folder)
        if found is not None and (found.pairs or found.problems):
            return with_cases_by_name(_complete(folder, name, found))
    inner = subfolders(folder)
    if len(inner) == 1 and not folder_images(folder):  # an archive unpacked into its own folder
        return find_files(inner[0], layout)
    raise ImageFileError(
        f"{folder} is no data set in a layout that is known ({', '.join(LAYOUTS)}): expected are "
        f"images/ and labels/ (or masks/) with files of the same names, or label files with a "
        f"suffix such as _mask. Name two folders with --images and --labels otherwise."
        if layout is None
        else f"{folder} is no data set of the layout {layout}; leave --layout out to find out, or "
        f"see the user guide for the files that it has."
    )


def _complete(folder: Path, layout: str, found: FoundFiles) -> FoundFiles:
    """Return files with the parts that text files list, and with the folder's table of colors."""
    if found.coding.is_per_pixel and found.coding.colors is None:
        found = with_color_table(found, find_color_table(folder))
    lists = split_lists(folder) if layout in _SPLIT_BY_LISTS else {}
    if layout == "voc":
        lists = of_labeled(found, lists)
    if lists and found.splits:
        names = ", ".join(path.name for path in lists.values())
        note = f"{names} are not used, because folders or files name the parts already."
        return replace(found, notes=(*found.notes, note))
    return with_listed_splits(found, lists) if lists else found


def with_color_table(found: FoundFiles, colors: ColorTable | None) -> FoundFiles:
    """Return files whose masks are decoded by a table, if their masks are pictures."""
    labels = [path for _, files in found.pairs[:1] for path in files]
    if colors is None or not labels or not is_color_mask(labels[0]):
        return found
    return found.with_colors(colors)
