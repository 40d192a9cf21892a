"""What ``napari-emcad train`` learns from and is judged by, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.cli.console import UsageError, as_usage_error, print_status
from napari_emcad.io.atomic_write import resolve_links

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.images.dataset import Dataset
    from napari_emcad.training.samples import LabeledSlice

_NAMED = 5
"""So many images are named before the others are counted."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What is trained on.

    Attributes
    ----------
    start
        The checkpoint to start from, with the classes of the labels.
    learned, held_out
        Slices to learn from, and to choose the best epoch by.
    remarks
        What the user should know of them, a sentence each.
    """

    start: Checkpoint
    learned: list[LabeledSlice]
    held_out: list[LabeledSlice]
    remarks: tuple[str, ...]


def read_training_data(args: argparse.Namespace, begun: Checkpoint, seed: int) -> TrainingData:
    """Read a command line's folders.

    Parameters
    ----------
    chosen
        The command line.
    begun
        What to start from, with classes of its own.
    seed
        Of what is held out.

    Raises
    ------
    Mistake
        If folders, class names and labels do not fit each other.
    """
    from napari_emcad.io.checkpoints.heads import with_class_names
    from napari_emcad.pipelines.train import split

    names = _names(args)
    limit = len(names) if names else None
    data = _read(args, args.folder, begun, limit)
    count = max(data.classes, len(names or ()))
    wanted = names or tuple(each.name for each in begun.classes)[:count]
    start = as_usage_error(with_class_names, begun, wanted, count)
    remarks = [] if names or args.foreground else _counted(data)
    if args.validation is None:
        learned, held_out = split(data.slices, args.hold_out, seed)
    else:
        learned = list(data.slices)
        held_out = list(_read(args, args.validation, start, count).slices)
    remarks += [*_remarks(learned, start, "to learn from"), *_remarks(held_out, start, "held out")]
    if not held_out:
        remarks.append("Nothing is held out; the last epoch is kept, its score is unknown.")
    return TrainingData(start, learned, held_out, tuple(remarks))


def check_folders(args: argparse.Namespace) -> None:
    """Refuse folders that cannot be what they are said to be, before anything is read.

    Raises
    ------
    Mistake
        If the output lies among images or labels, or the training images are held out as well.
    """
    from napari_emcad.io.images.dataset import dataset_folders

    output = resolve_links(args.output)
    read = list(as_usage_error(dataset_folders, args.folder))
    if args.validation is not None:
        others = as_usage_error(dataset_folders, args.validation)
        if resolve_links(others[0]) == resolve_links(read[0]):
            raise UsageError(
                f"--validation {args.validation} is the folder that is trained on; name another, "
                f"or leave it out to hold a share of the images out."
            )
        read += others
    for folder in read:
        if resolve_links(folder) in (output, *output.parents):
            raise UsageError(f"{args.output} lies in {folder}, which is read; choose another.")
    if not 0 <= args.hold_out < 1:
        raise UsageError(f"--hold-out is {args.hold_out}; it must be 0 to below 1.")


def describe_data(data: TrainingData) -> str:
    """Return in words which classes there are, and how much to learn from and held out."""
    classes = [f"{k} {each.name}" for k, each in enumerate(data.start.classes, start=1)]
    number = f"{len(classes)} class{'es' * (len(classes) > 1)}"
    held_out = _amount(data.held_out) if data.held_out else "none"
    learned = _amount(data.learned)
    return f"{number} ({', '.join(classes)}); {learned} to learn from, {held_out} held out"


def _names(args: argparse.Namespace) -> tuple[str, ...] | None:
    """Return the classes' names where the folder says them; those of a validation must agree."""
    from napari_emcad.io.images.class_names import class_names

    names = as_usage_error(class_names, args.folder)
    if args.foreground and names is not None and len(names) > 1:
        raise UsageError(
            f"--foreground makes one class of all labels; classes.yaml of {args.folder} names "
            f"{len(names)}: {', '.join(names)}. Leave one of both out."
        )
    others = None if args.validation is None else as_usage_error(class_names, args.validation)
    if others is not None and others != names:
        said = "has none" if names is None else f"names {', '.join(names)}"
        raise UsageError(
            f"classes.yaml of {args.validation} names {', '.join(others)}; that of "
            f"{args.folder} {said}. They must be the same, as a number means one class."
        )
    return names


def _read(
    args: argparse.Namespace, folder: Path, start: Checkpoint, classes: int | None
) -> Dataset:
    from napari_emcad.io.images.dataset import SKIP_ADVICE, dataset_files, read_dataset

    pairs, problems = as_usage_error(dataset_files, folder)
    if problems and not args.skip_bad:
        raise UsageError(f"{problems[0]} {SKIP_ADVICE}")
    for each in problems:
        print_status(f"napari-emcad: left out: {each}")
    if not pairs:
        raise UsageError(
            f"No image of {folder} has labels; see the user guide for what belongs where."
        )
    data = as_usage_error(
        read_dataset,
        pairs,
        start.config.input_channels,
        start.preprocessing,
        classes,
        args.foreground,
        args.skip_bad,
        args.axes,
        args.channels,
    )
    for each in data.skipped:
        print_status(f"napari-emcad: left out: {each}")
    return data


def _counted(data: Dataset) -> list[str]:
    from napari_emcad.annotation.label_rules import seem_counted

    if not seem_counted(data.parts):
        return []
    return [
        f"The labels seem to number single objects, and each number up to {data.classes} is taken "
        f"as a class of its own. If they do, add --foreground; if not, list the classes in "
        f"classes.yaml."
    ]


def _remarks(slices: Sequence[LabeledSlice], start: Checkpoint, where: str) -> list[str]:
    """Return what is strange about slices: no contrast, no labels, classes that never occur."""
    if not slices:
        return []
    present = _classes_by_image(slices)
    known = set().union(*present.values())
    flat = [each.name for each in slices if each.planes.min() == each.planes.max()]
    empty = [image for image, values in present.items() if not values]
    never = [each.name for k, each in enumerate(start.classes, start=1) if k not in known]
    said = (
        (flat, "The same value everywhere"),
        (empty, "No label, background only"),
    )
    remarks = [f"{what} ({where}): {_listed(names)}." for names, what in said if names]
    return remarks + ([f"No image {where} has {_listed(never)}."] if never else [])


def _classes_by_image(slices: Iterable[LabeledSlice]) -> dict[str, set[int]]:
    import numpy as np

    present: dict[str, set[int]] = {}
    for each in slices:
        values = {int(value) for value in np.unique(each.target) if value > 0}
        present.setdefault(each.image or each.name, set()).update(values)
    return present


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _amount(slices: Iterable[LabeledSlice]) -> str:
    listed = list(slices)
    images = len({each.image or each.name for each in listed})
    several = f" ({len(listed)} slices)" if len(listed) > images else ""
    return f"{images} image{'s' * (images > 1)}{several}"
