"""Labeled images that a command line names: a data set, or a folder of images and one of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.cli.console import UsageError, as_usage_error
from napari_emcad.io.atomic_write import resolve_links

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from napari_emcad.io.datasets.layouts import FoundFiles


@dataclass(frozen=True, slots=True)
class TrainingFiles:
    """Files of a training.

    Attributes
    ----------
    training
        Images to train on.
    validation
        Images to choose the best epoch by; None holds a share of the others out.
    """

    training: FoundFiles
    validation: FoundFiles | None


def training_files(args: argparse.Namespace) -> TrainingFiles:
    """Find the files of ``napari-emcad train``, and check folders before anything is read.

    Raises
    ------
    UsageError
        If a folder is missing, the output is within images or labels, the training images are the
        validation images too, or the share of held-out images is out of bounds.
    """
    from napari_emcad.io.datasets.layouts import find_files

    training, validation = found_files(args), None
    if args.validation is not None:
        validation = as_usage_error(find_files, args.validation, args.layout)
        if resolve_links(args.validation) == resolve_links(data_folder(args)):
            raise UsageError(
                f"--validation {args.validation} is the folder that is trained on; name another, "
                f"or leave it out to hold a share of the images out."
            )
    output = resolve_links(args.output)
    for folder in sorted(_folders_of(training) | _folders_of(validation)):
        if resolve_links(folder) in (output, *output.parents):
            raise UsageError(f"{args.output} lies in {folder}, which is read; choose another.")
    if not 0 <= args.hold_out < 1:
        raise UsageError(f"--hold-out is {args.hold_out}; it must be 0 to below 1.")
    return TrainingFiles(training, validation)


def found_files(args: argparse.Namespace) -> FoundFiles:
    """Return the labeled images of a command line.

    Raises
    ------
    UsageError
        If nothing is found, or folders are named in two ways.
    """
    from napari_emcad.io.datasets.layouts import find_files, from_folders

    named = args.images is not None, args.labels is not None
    if any(named) and (args.folder is not None or not all(named)):
        raise UsageError("Name a folder of a data set, or --images and --labels, not both.")
    if all(named):
        return as_usage_error(from_folders, args.images, args.labels)
    if args.folder is None:
        raise UsageError("Name a folder of a data set, or --images and --labels.")
    return as_usage_error(find_files, args.folder, args.layout)


def data_folder(args: argparse.Namespace) -> Path:
    """Return the folder of the data set, or that of its images."""
    folder: Path = args.folder or args.images
    return folder


def _folders_of(found: FoundFiles | None) -> set[Path]:
    pairs = () if found is None else found.pairs
    return {path.parent for image, labels in pairs for path in (image, *labels)}
