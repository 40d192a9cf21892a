"""``napari-emcad evaluate``: score a checkpoint on labeled images."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    UsageError,
    as_usage_error,
    print_json,
    print_message,
    show_progress,
)
from napari_emcad.cli.evaluation_report import print_table, report, write_csv, write_sheet
from napari_emcad.cli.labeled_files import (
    describe_files,
    describe_ignored,
    evaluation_files,
    found_files,
    missing_ignored,
)
from napari_emcad.cli.options import (
    add_data,
    add_inference,
    add_reading,
    add_spacing,
    check_spacing,
    inference_options,
    load_segmentation_model,
    reading_options,
)
from napari_emcad.cli.outputs import check_outputs
from napari_emcad.cli.protocol_report import chosen_protocol, write_protocol
from napari_emcad.io.atomic_write import resolve_links
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.annotation.mask_values import MaskValues
    from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
    from napari_emcad.io.datasets.notes import FileNote
    from napari_emcad.pipelines.protocol_scores import CaseScores
    from napari_emcad.pipelines.protocols import Protocol
    from napari_emcad.pipelines.scores import ImageScore
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.pipelines.worst_cases import Ranked

_USUAL_CASES, _MOST_CASES = 8, 100
"""Usual and largest number of cases on the sheet."""


@dataclass(slots=True)
class _Results:
    """Scores of images as they are evaluated.

    Attributes
    ----------
    scores
        Scores of all images.
    cases
        Those that the protocol reports, if there is one.
    worst
        The worst cases, if there will be a sheet.
    """

    scores: list[ImageScore] = field(default_factory=list)
    cases: list[CaseScores] = field(default_factory=list)
    worst: Sequence[Ranked] = ()


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("evaluate", help="score a checkpoint on labeled images")
    add_data(parser)
    parser.add_argument(
        "--split", metavar="NAME", help="part of the data set: train, val, test or all (test)"
    )
    parser.add_argument(
        "--protocol", metavar="NAME", help="score as papers do: synapse, acdc, polyp, isic, busi"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row per image and class")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="a PNG of the worst cases beside their truth"
    )
    parser.add_argument(
        "--worst", type=_case_count, metavar="N", help=f"cases on the sheet ({_USUAL_CASES})"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out files that cannot be used"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    add_spacing(parser)
    add_inference(parser)
    add_reading(parser, labels=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Score the images, print a table or JSON, and write CSV and sheet if asked for."""
    _check_options(args)
    found = found_files(args)
    files = evaluation_files(args, found)
    if found.problems and not args.skip_bad:
        raise UsageError(found.problems[0])
    for problem in found.problems:
        print_message(f"left out: {problem}")
    _check_output_files(args, files.pairs)
    checkpoint = load_segmentation_model(args.checkpoint, args.set)
    if args.folder is not None:
        for line in describe_files(found, files):
            print_message(line)
    protocol = chosen_protocol(args, checkpoint)
    files = _in_the_order_of(checkpoint, files)
    files, void = _usable(args, files, checkpoint)
    results = _score(args, files, checkpoint, void, protocol)
    _write_results(args, results, checkpoint, protocol)
    if args.sheet is not None:
        write_sheet(args.sheet, results.worst, len(results.scores), checkpoint)


def _write_results(
    args: argparse.Namespace,
    results: _Results,
    checkpoint: SegmentationModel,
    protocol: Protocol | None,
) -> None:
    """Print the scores as a table or JSON, and write them as CSV if asked for."""
    if protocol is not None:
        write_protocol(args, results.cases, checkpoint, protocol)
        return
    if args.json:
        print_json(report(results.scores, checkpoint))
    else:
        print_table(results.scores, checkpoint)
    if args.csv is not None:
        as_usage_error(write_csv, args.csv, results.scores, checkpoint)


def _in_the_order_of(checkpoint: SegmentationModel, files: FoundFiles) -> FoundFiles:
    """Return files whose classes have the numbers of the checkpoint's classes of these names."""
    from napari_emcad.pipelines.class_order import with_classes_of

    files, remark = with_classes_of(checkpoint, files)
    if remark:
        print_message(remark)
    return files


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options without those that they need."""
    check_spacing(args)
    if args.worst is not None and args.sheet is None:
        raise UsageError(
            "--worst is for --sheet; name the PNG to write, such as --sheet worst.png."
        )
    if args.sheet is not None and args.sheet.suffix.lower() != ".png":
        raise UsageError(f"{args.sheet}: the sheet is a PNG; its name must end in .png.")


def _check_output_files(args: argparse.Namespace, pairs: Sequence[LabeledFile]) -> None:
    outputs = [path for path in (args.csv, args.sheet) if path is not None]
    if len({composed(str(resolve_links(path))) for path in outputs}) < len(outputs):
        raise UsageError(f"{args.csv} cannot be the table and the sheet both; use two names.")
    check_outputs(outputs, [path for image, labels in pairs for path in (image, *labels)], args)


def _usable(
    args: argparse.Namespace, files: FoundFiles, checkpoint: SegmentationModel
) -> tuple[FoundFiles, bool]:
    """Return the files that can be scored, and whether 255 is void in their label files.

    All files are read before anything is segmented, and remarks are printed once per kind.

    Raises
    ------
    UsageError
        If a file cannot be used and ``--skip-bad`` is not given, or none is left.
    """
    from napari_emcad.annotation.mask_values import COVERS_MOST, cover_most
    from napari_emcad.io.datasets.notes import file_note, once_per_kind
    from napari_emcad.io.datasets.palettes import check_palettes
    from napari_emcad.io.datasets.read import SKIP_ADVICE
    from napari_emcad.pipelines.evaluate import open_labeled

    as_usage_error(check_palettes, files)
    usable, void, channels = [], False, inference_options(args).get("channels")
    ignored: set[int] = set()
    notes: list[FileNote] = []
    shares: list[float] = []
    for image, labels in files.pairs:
        try:
            labeled = open_labeled(
                image, labels, checkpoint, args.axes, channels, reading_options(args), files=files
            )
        except (ValueError, TypeError) as error:
            if not args.skip_bad:
                raise UsageError(f"{error} {SKIP_ADVICE}") from None
            print_message(f"left out: {error}")
        else:
            usable.append((image, labels))
            void = void or labeled.has_void
            ignored |= labeled.ignored
            shares.append(float((labeled.truth > 0).mean()))
            names = (files.name_of(image), *(path.name for path in (image, *labels)))
            notes += [file_note(*names, text=notice) for notice in labeled.notices]
    if not usable:
        raise UsageError("No image is left to be scored.")
    covering = [COVERS_MOST] * (len(checkpoint.classes) == 1 and cover_most(shares))
    for message in (*once_per_kind(notes), *covering, *missing_ignored(args.ignore, ignored)):
        print_message(message)
    return replace(files, pairs=tuple(usable)), void


def _score(
    args: argparse.Namespace,
    files: FoundFiles,
    checkpoint: SegmentationModel,
    void: bool,
    protocol: Protocol | None,
) -> _Results:
    """Return the scores of all images, and the worst cases if there will be a sheet."""
    from napari_emcad.pipelines.evaluate import evaluate_cases
    from napari_emcad.pipelines.protocol_scores import case_scores
    from napari_emcad.pipelines.worst_cases import keep_worst

    results = _Results()
    mask_values: list[MaskValues] = []
    ignored: list[int] = []
    total = len(files.pairs)
    options = _evaluation_options(args, protocol)
    cases = evaluate_cases(files, checkpoint, axes=args.axes, void=void, **options)
    for number in range(1, total + 1):
        case = as_usage_error(next, cases)
        results.scores.append(case.score)
        if protocol is not None:
            results.cases.append(as_usage_error(case_scores, case, protocol.report))
        mask_values.append(case.mask_values)
        ignored += [count] if (count := case.ignored) else []
        if args.sheet is not None:
            results.worst = keep_worst(results.worst, case, args.worst or _USUAL_CASES)
        show_progress(f"{number} of {total} images", last=number == total)
    _warn_about_classes(mask_values, checkpoint)
    if ignored:
        print_message(
            f"ignored are {describe_ignored(files.coding.ignore)}: {sum(ignored):,} in "
            f"{len(ignored)} label file{'s' * (len(ignored) > 1)}."
        )
    return results


def _evaluation_options(args: argparse.Namespace, protocol: Protocol | None) -> dict[str, Any]:
    """Return the options of `evaluate_cases`; a protocol may need probabilities."""
    options = {"reading": reading_options(args), **inference_options(args)}
    if args.spacing:
        options |= {"scale": args.spacing, "unit": args.unit}
    if protocol is not None:
        options["probabilities"] = protocol.report == "sweep"
        options["stretch"] = options["stretch"] or protocol.stretch
    return options


def _warn_about_classes(mask_values: Sequence[MaskValues], checkpoint: SegmentationModel) -> None:
    """Print which classes of the labels a binary network lacks, unless they number objects."""
    from napari_emcad.annotation.label_rules import MOST_CLASSES
    from napari_emcad.annotation.mask_values import are_gray_levels, look_like_instances

    values = sorted({value for image in mask_values for value in image.values})
    are_levels = bool(values) and are_gray_levels(values)  # such as 128 and 255
    are_objects = not are_levels and (bool(values) and values[-1] > MOST_CLASSES)
    if len(values) < 2 or are_objects or (not are_levels and look_like_instances(mask_values)):
        return
    name = checkpoint.classes[0].name
    missing = [str(value) for value in values if value != 1]
    plural = len(missing) > 1
    subject = f"Classes {', '.join(missing)} do" if plural else f"Class {missing[0]} does"
    print_message(
        f"the labels hold {', '.join(map(str, values))}; the checkpoint has one class, {name}. "
        f"{subject} not exist in it: everything above 0 is taken as {name}, which is right for "
        f"single objects only."
    )


def _case_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_CASES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST_CASES}")
    return int(text)
