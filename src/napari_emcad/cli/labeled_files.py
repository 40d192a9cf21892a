"""Labeled images that a command line names: a data set, or a folder of images and one of labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_emcad.cli.console import UsageError, as_usage_error
from napari_emcad.io.atomic_write import resolve_links

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import FoundFiles


_SCORED_FIRST = ("test", "val", "volumes")
"""Parts of a data set that are scored, the first that it has."""


@dataclass(frozen=True, slots=True)
class TrainingFiles:
    """Files of a training.

    Attributes
    ----------
    found
        All labeled images of the data set.
    training
        Images to train on.
    validation
        Images to choose the best epoch by; None holds a share of the others out.
    """

    found: FoundFiles
    training: FoundFiles
    validation: FoundFiles | None


def training_files(args: argparse.Namespace) -> TrainingFiles:
    """Find the files of ``napari-emcad train``, and check folders before anything is read.

    A data set with parts for training and validation is used so, without ``--validation``.

    Raises
    ------
    UsageError
        If a folder is missing, the output is within images or labels, the training images are the
        validation images too, or the share of held-out images is out of bounds.
    """
    found, validation = found_files(args), None
    training = found.splits.get("train", found)
    if training is found and found.splits:
        raise UsageError(
            f"The parts of the data set are {', '.join(found.splits)}, and none is to train on; "
            f"name the folder of a part, or call it train."
        )
    if args.validation is not None:
        validation = _validation_files(args)
    elif "val" in found.splits and args.hold_out is None:
        validation = replace(found.splits["val"], problems=())  # those of the whole are reported
    output = resolve_links(args.output)
    for folder in sorted(_folders_of(training) | _folders_of(validation)):
        if resolve_links(folder) in (output, *output.parents):
            raise UsageError(f"{args.output} lies in {folder}, which is read; choose another.")
    if args.hold_out is not None and not 0 <= args.hold_out < 1:
        raise UsageError(f"--hold-out is {args.hold_out}; it must be 0 to below 1.")
    return TrainingFiles(found, training, validation)


def _validation_files(args: argparse.Namespace) -> FoundFiles:
    """Return the files of ``--validation``, of a data set with parts those for validation."""
    from napari_emcad.io.datasets.layouts import find_files

    if resolve_links(args.validation) == resolve_links(data_folder(args)):
        raise UsageError(
            f"--validation {args.validation} is the folder that is trained on; name another, "
            f"or leave it out to hold a share of the images out."
        )
    found = _as_asked(as_usage_error(find_files, args.validation, args.layout), args)
    return found.splits.get("val", found)


def found_files(args: argparse.Namespace) -> FoundFiles:
    """Return the labeled images of a command line.

    Raises
    ------
    UsageError
        If nothing is found, folders are named in two ways, or ``--colors`` is no table.
    """
    from napari_emcad.io.datasets.case_names import with_cases_by_name
    from napari_emcad.io.datasets.layouts import find_files, from_folders

    named = args.images is not None, args.labels is not None
    if any(named) and (args.folder is not None or not all(named)):
        raise UsageError("Name a folder of a data set, or --images and --labels, not both.")
    if all(named):
        if args.layout is not None:
            raise UsageError("--layout is of a folder; leave it out with --images and --labels.")
        found = as_usage_error(from_folders, args.images, args.labels)
        return _as_asked(with_cases_by_name(found), args)
    if args.folder is None:
        raise UsageError("Name a folder of a data set, or --images and --labels.")
    return _as_asked(as_usage_error(find_files, args.folder, args.layout), args)


def _as_asked(found: FoundFiles, args: argparse.Namespace) -> FoundFiles:
    """Return files with the values of ``--ignore`` and the classes of ``--colors``."""
    from napari_emcad.io.datasets.color_table import read_color_table

    if args.colors is not None:
        colors = as_usage_error(read_color_table, args.colors)
        if not found.coding.is_per_pixel:
            raise UsageError(f"--colors is for masks; the labels of {found.layout} are none.")
        found = found.with_colors(colors)
    return found.with_coding(ignore=tuple(dict.fromkeys((*found.coding.ignore, *args.ignore))))


def evaluation_files(args: argparse.Namespace, found: FoundFiles) -> FoundFiles:
    """Return the part of a data set to score: that of ``--split``, else the one for testing.

    Raises
    ------
    UsageError
        If it has no such part.
    """
    if args.split is None:
        split = next((name for name in _SCORED_FIRST if name in found.splits), None)
        return found if split is None else found.splits[split]
    if args.split == "all":
        return found
    if args.split not in found.splits:
        names = ", ".join(found.splits) or "none"
        raise UsageError(f"--split {args.split}: the parts of the data set are {names}; or all.")
    return found.splits[args.split]


def describe_files(found: FoundFiles, part: FoundFiles) -> list[str]:
    """Return what was found, which part of it is used, and the remarks on it."""
    name = next((name for name, one in found.splits.items() if one is part), None)
    count = len(part.pairs)
    used = f" Used is its part {name}: {count:,} file{'s' * (count != 1)}." if name else ""
    return [f"{found}.{used}", *found.notes]


def describe_ignored(ignore: Sequence[int]) -> str:
    """Return which labels are ignored, as text."""
    values = f", {', '.join(map(str, ignore))}" if ignore else ""
    return f"the pixels whose label is below 0{values}, or 255 beside other values"


def missing_ignored(ignore: Sequence[int], present: Collection[int]) -> list[str]:
    """Return a remark on values of ``--ignore`` that no label file has."""
    missing = [str(value) for value in ignore if value not in present]
    return [f"--ignore {', '.join(missing)}: no label file has it."] if missing else []


def data_folder(args: argparse.Namespace) -> Path:
    """Return the folder of the data set, or that of its images."""
    folder: Path = args.folder or args.images
    return folder


def _folders_of(found: FoundFiles | None) -> set[Path]:
    pairs = () if found is None else found.pairs
    return {path.parent for image, labels in pairs for path in (image, *labels)}
