"""Images that ``napari-emcad train`` trains on and holds out, and remarks about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.cli.console import UsageError, as_usage_error, print_message
from napari_emcad.cli.labeled_files import (
    data_folder,
    describe_files,
    describe_ignored,
    missing_ignored,
)
from napari_emcad.cli.options import reading_options
from napari_emcad.cli.training_protocol import default_share, protocol_classes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from napari_emcad.cli.labeled_files import TrainingFiles
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.datasets.found_files import FoundFiles
    from napari_emcad.io.datasets.read import Dataset
    from napari_emcad.training.samples import LabeledSlice

HOLD_OUT = 0.15
"""Share of the images that is held out by default."""

_MOST_NAMES = 5
"""Number of names that are listed before the others are counted."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Slices for training and validation.

    Attributes
    ----------
    start
        Checkpoint to start from, with the classes of the labels.
    training, held_out
        Slices to train on, and to choose the best epoch by.
    remarks
        What the user should know about them.
    """

    start: Checkpoint
    training: list[LabeledSlice]
    held_out: list[LabeledSlice]
    remarks: tuple[str, ...]


def read_training_data(
    args: argparse.Namespace, files: TrainingFiles, start: Checkpoint, seed: int
) -> TrainingData:
    """Read the images and labels of a command line.

    Parameters
    ----------
    args
        Command line.
    files
        Its files, from `training_files`.
    start
        Checkpoint to start from, with its own classes.
    seed
        Seed of the choice of held-out images.

    Raises
    ------
    UsageError
        If folders, class names and labels do not fit each other.
    """
    from napari_emcad.io.checkpoints.heads import with_class_names
    from napari_emcad.pipelines.train import split

    names = _class_names(args, files)
    data = _read(args, files.training, start, len(names) if names else None)
    count = max(data.classes, len(names or ()))
    class_names = names or tuple(label.name for label in start.classes)[:count]
    start = as_usage_error(with_class_names, start, class_names, count)
    remarks = describe_files(files.found, files.training)
    remarks += [] if names or args.foreground else _remark_on_instances(data)
    remarks += _remark_on_shares(data.slices) if count == 1 else []
    if files.validation is None:
        training, held_out = split(data.slices, default_share(args, HOLD_OUT), seed)
    else:
        training = list(data.slices)
        held_out = list(_read(args, files.validation, start, count).slices)
        remarks += _check_copies(training, held_out, args)
    remarks += _remarks(training, start, "to learn from")
    remarks += _remarks(held_out, start, "held out")
    if not held_out:
        remarks.append("Nothing is held out; the last epoch is kept, its score is unknown.")
    return TrainingData(start, training, held_out, tuple(remarks))


def _check_copies(
    training: Sequence[LabeledSlice], held_out: Sequence[LabeledSlice], args: argparse.Namespace
) -> list[str]:
    """Refuse validation images that are trained on as well, under any name.

    Returns
    -------
    list of str
        A remark if images are the same but their labels differ.
    """
    from napari_emcad.training.contents import find_copies, same_labels

    copies = find_copies(training, held_out)
    if not copies:
        return []
    exact = [pair for pair in copies if same_labels(*pair)]
    name, original = (labeled.name for labeled in (exact or copies)[0])
    more = f" and {len(exact or copies) - 1} more" if len(exact or copies) > 1 else ""
    message = (
        f"--validation {args.validation} holds images that are trained on: {name}{more} with the "
        f"same pixels as {original} of {data_folder(args)}. The score would be of what was learned"
    )
    if exact:
        raise UsageError(
            f"{message}; remove the copies, or leave --validation out to hold a share of the "
            f"images out."
        )
    return [f"{message}, but the labels differ."]


def describe_data(data: TrainingData) -> str:
    """Return the classes, and the numbers of images for training and held out, as text."""
    classes = [f"{k} {label.name}" for k, label in enumerate(data.start.classes, start=1)]
    count = f"{len(classes)} class{'es' * (len(classes) > 1)}"
    held_out = _count_images(data.held_out) if data.held_out else "none"
    training = _count_images(data.training)
    return f"{count} ({', '.join(classes)}); {training} to learn from, {held_out} held out"


def _class_names(args: argparse.Namespace, files: TrainingFiles) -> tuple[str, ...] | None:
    """Return the names of the classes from ``classes.yaml``; validation must have the same."""
    from napari_emcad.io.datasets.class_names import class_names

    source = data_folder(args)
    names = as_usage_error(class_names, source) or files.training.class_names
    names = names or protocol_classes(args)
    if args.foreground and names is not None and len(names) > 1:
        raise UsageError(
            f"--foreground makes one class of all labels; classes.yaml of {source} names "
            f"{len(names)}: {', '.join(names)}. Leave one of both out."
        )
    _check_validation_names(args, files, names)
    return names


def _check_validation_names(
    args: argparse.Namespace, files: TrainingFiles, names: tuple[str, ...] | None
) -> None:
    """Refuse a folder for validation whose classes are not those that are trained on."""
    from napari_emcad.io.datasets.class_names import class_names

    if args.validation is None or files.validation is None:
        return
    listed = as_usage_error(class_names, args.validation)
    validation = listed or files.validation.class_names
    if validation is None or validation == names:
        return
    where = "classes.yaml" if listed else files.validation.layout
    training = "has none" if names is None else f"names {', '.join(names)}"
    raise UsageError(
        f"{where} of {args.validation} names {', '.join(validation)}; that of "
        f"{data_folder(args)} {training}. They must be the same, as a number means one class."
    )


def _read(
    args: argparse.Namespace, found: FoundFiles, start: Checkpoint, classes: int | None
) -> Dataset:
    from napari_emcad.io.datasets.notes import once_per_kind
    from napari_emcad.io.datasets.read import SKIP_ADVICE, read_dataset

    if found.problems and not args.skip_bad:
        raise UsageError(f"{found.problems[0]} {SKIP_ADVICE}")
    for problem in found.problems:
        print_message(f"left out: {problem}")
    if not found.pairs:
        raise UsageError(
            f"No image has labels (layout: {found.layout}); see the user guide for the layouts."
        )
    data = as_usage_error(
        read_dataset,
        found,
        start.config.input_channels,
        start.preprocessing,
        classes,
        args.foreground,
        args.skip_bad,
        args.axes,
        args.channels,
        reading_options(args),
    )
    for message in data.skipped:
        print_message(f"left out: {message}")
    if data.range_notices:
        print_message(f"{data.range_notices[0]}{_and_others(data.range_notices)}")
    for notes in (data.image_notes, data.label_notes):
        for message in once_per_kind(notes):
            print_message(message)
    if count := data.images_with_ignored:
        rule = describe_ignored(found.coding.ignore)
        print_message(f"ignored are {rule}, in {count} image{'s' * (count > 1)}.")
    for message in missing_ignored(args.ignore, data.ignored_values):
        print_message(message)
    return data


def _and_others(notices: Sequence[str]) -> str:
    """Return a sentence about the notices after the first."""
    more = len(notices) - 1
    return f" The same holds for {more} other image{'s' * (more > 1)}." if more else ""


def _remark_on_instances(data: Dataset) -> list[str]:
    """Return a remark if the labels seem to number single objects."""
    from napari_emcad.annotation.mask_values import look_like_instances

    if not look_like_instances(data.mask_values):
        return []
    return [
        f"The labels seem to number single objects, and each number up to {data.classes} is taken "
        f"as a class of its own. If they do, add --foreground; if not, list the classes in "
        f"classes.yaml."
    ]


def _remark_on_shares(slices: Sequence[LabeledSlice]) -> list[str]:
    """Return a remark if the objects cover most of every slice."""
    from napari_emcad.annotation.mask_values import COVERS_MOST, cover_most

    return [COVERS_MOST] if cover_most([float((s.target > 0).mean()) for s in slices]) else []


def _remarks(slices: Sequence[LabeledSlice], start: Checkpoint, where: str) -> list[str]:
    """Return remarks on slices without contrast or labels, and on classes that never occur."""
    if not slices:
        return []
    classes_by_image = _classes_by_image(slices)
    present = set().union(*classes_by_image.values())
    constant = [s.name for s in slices if s.planes.min() == s.planes.max()]
    unlabeled = [image for image, classes in classes_by_image.items() if not classes]
    absent = [label.name for k, label in enumerate(start.classes, start=1) if k not in present]
    remarks = []
    if constant:
        remarks.append(f"The same value everywhere ({where}): {_list_names(constant)}.")
    if unlabeled:
        remarks.append(f"No label, background only ({where}): {_list_names(unlabeled)}.")
    if absent:
        remarks.append(f"No image {where} has {_list_names(absent)}.")
    return remarks


def _classes_by_image(slices: Iterable[LabeledSlice]) -> dict[str, set[int]]:
    import numpy as np

    classes: dict[str, set[int]] = {}
    for labeled in slices:
        values = {int(value) for value in np.unique(labeled.target) if value > 0}
        classes.setdefault(labeled.image_name, set()).update(values)
    return classes


def _list_names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _count_images(slices: Sequence[LabeledSlice]) -> str:
    images = len({labeled.image_name for labeled in slices})
    several_slices = f" ({len(slices)} slices)" if len(slices) > images else ""
    return f"{images} image{'s' * (images > 1)}{several_slices}"
