"""``napari-emcad evaluate``: scores on labeled images, and the worst cases as a picture."""

from __future__ import annotations

import argparse
import csv
import io
import math
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    UsageError,
    as_usage_error,
    print_json,
    print_result,
    print_status,
    show_progress,
)
from napari_emcad.cli.options import (
    add_inference,
    check_outputs,
    inference_options,
    load_checkpoint,
)
from napari_emcad.io.atomic_write import resolve_links

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.annotation.label_rules import Parts
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.pipelines.evaluate import ImageScore, Ranked

_WORST, _MOST = 8, 100


def add_parser(verbs: Any) -> None:
    """Add the verb."""
    evaluate = verbs.add_parser("evaluate", help="score a checkpoint on labeled images")
    evaluate.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="a folder of images"
    )
    evaluate.add_argument(
        "--labels", type=Path, required=True, metavar="DIR", help="files of the images' names"
    )
    evaluate.add_argument("--json", action="store_true", help="as one JSON object")
    evaluate.add_argument("--csv", type=Path, metavar="FILE", help="a row per image and class")
    evaluate.add_argument(
        "--sheet", type=Path, metavar="FILE", help="a PNG of the worst cases beside their truth"
    )
    evaluate.add_argument(
        "--worst", type=_number, metavar="N", help=f"cases on the sheet ({_WORST})"
    )
    evaluate.add_argument("--overwrite", action="store_true", help="replace files that are there")
    evaluate.add_argument(
        "--spacing",
        type=_spacing,
        metavar="[Z,]Y,X",
        help="size of a pixel, such as 0.5,0.5 or one number for all; default: as the images say",
    )
    evaluate.add_argument("--unit", help="of --spacing, such as µm")
    add_inference(evaluate)
    evaluate.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Score a checkpoint image by image, and print a table or JSON."""
    from napari_emcad.io.images.folder import pair_files

    _check_options(args)
    pairs = as_usage_error(pair_files, args.images, args.labels)
    own = [args.checkpoint] if args.checkpoint is not None else []
    _check_outputs(args, [*own, *(path for pair in pairs for path in pair)])
    checkpoint = load_checkpoint(args.checkpoint, args.set)
    scores, worst = _scored(args, pairs, checkpoint)
    if args.json:
        print_json(_report(scores, checkpoint))
    else:
        _print_table(scores, checkpoint)
    if args.csv is not None:
        as_usage_error(_write_csv, args.csv, scores, checkpoint)
    if args.sheet is not None:
        _write_sheet(args.sheet, worst, len(scores), checkpoint)


def _scored(
    args: argparse.Namespace, pairs: Sequence[tuple[Path, Path]], checkpoint: Checkpoint
) -> tuple[list[ImageScore], Sequence[Ranked]]:
    """Return the score of each image, and the worst cases if they will be shown."""
    from napari_emcad.pipelines.evaluate import compare, keep_worst

    scores: list[ImageScore] = []
    masks: list[Parts] = []
    worst: Sequence[Ranked] = ()
    scale = {"scale": args.spacing, "unit": args.unit} if args.spacing else {}
    cases = compare(pairs, checkpoint, axes=args.axes, **scale, **inference_options(args))
    for number in range(1, len(pairs) + 1):
        case = as_usage_error(next, cases)
        scores.append(case.score)
        masks.append(case.parts)
        if args.sheet is not None:
            worst = keep_worst(worst, case, args.worst or _WORST)
        show_progress(f"{number} of {len(pairs)} images", last=number == len(pairs))
    _remark_classes(masks, checkpoint)
    return scores, worst


def _remark_classes(masks: Sequence[Parts], checkpoint: Checkpoint) -> None:
    """Say which classes of the labels a binary network lacks; counted objects are none."""
    from napari_emcad.annotation.label_rules import MOST_CLASSES, seem_counted

    values = sorted({value for each in masks for value in each.values})
    if len(values) < 2 or values[-1] > MOST_CLASSES or seem_counted(masks):
        return
    name = checkpoint.classes[0].name
    more = [str(value) for value in values if value != 1]
    lacking = f"Classes {', '.join(more)} do" if len(more) > 1 else f"Class {more[0]} does"
    print_status(
        f"napari-emcad: the labels hold {', '.join(map(str, values))}; the checkpoint has one "
        f"class, {name}. {lacking} not exist in it: everything above 0 is taken as "
        f"{name}, which is right for single objects only."
    )


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that mean nothing without each other."""
    if bool(args.spacing) != bool(args.unit):
        raise UsageError("--spacing and --unit go together, such as --spacing 0.5,0.5 --unit µm.")
    if args.worst is not None and args.sheet is None:
        raise UsageError(
            "--worst is for --sheet; name the PNG to write, such as --sheet worst.png."
        )
    if args.sheet is not None and args.sheet.suffix.lower() != ".png":
        raise UsageError(f"{args.sheet}: the sheet is a PNG; its name must end in .png.")


def _check_outputs(args: argparse.Namespace, inputs: Sequence[Path]) -> None:
    """Refuse to write over inputs, over other files unless asked for, and where nobody may."""
    targets = [each for each in (args.csv, args.sheet) if each is not None]
    if len({resolve_links(each) for each in targets}) < len(targets):
        raise UsageError(f"{args.csv} cannot be the table and the sheet both; use two names.")
    check_outputs(targets, inputs, args.overwrite)


def _write_sheet(path: Path, worst: Sequence[Ranked], total: int, checkpoint: Checkpoint) -> None:
    from napari_emcad.io.images.write import write_array
    from napari_emcad.io.reports.evaluation_sheet import draw_evaluation_sheet
    from napari_emcad.io.reports.text import to_ascii

    number = "" if len(worst) == 1 else f"{len(worst)} "
    title = f"The {number}worst of {_images(total)} by Dice"
    drawn = draw_evaluation_sheet([each for _, each in worst], checkpoint.classes, title)
    as_usage_error(write_array, path, drawn, "YXC")
    for place, (_, each) in enumerate(worst, start=1):
        if "\\" in to_ascii(each.name):
            print_status(f"napari-emcad: {place} on the sheet is {each.name}.")


def _write_csv(path: Path, scores: Sequence[ImageScore], checkpoint: Checkpoint) -> None:
    from napari_emcad.io.images.write import write_file
    from napari_emcad.pipelines.evaluate import METRICS

    table = io.StringIO()
    writer = csv.writer(table)
    counts = ("true_positive", "false_positive", "false_negative")
    writer.writerow(["image", "class", *METRICS, "hd95", "unit", *counts])
    for each in scores:
        for k, name in _names(checkpoint).items():
            figures = [getattr(each.by_class[k], metric) for metric in (*METRICS, *counts)]
            figures[len(METRICS) : len(METRICS)] = [_defined(each.hd95[k]), each.unit]
            writer.writerow([each.name, name, *figures])
    write_file(path, table.getvalue().encode(errors="replace"))


def _report(scores: Sequence[ImageScore], checkpoint: Checkpoint) -> dict[str, Any]:
    """Return all figures as plain values; a distance that is undefined is None."""
    from napari_emcad.pipelines.evaluate import METRICS, mean_over_images, pooled

    names, counted = _names(checkpoint), pooled(scores)
    units = {each.unit for each in scores}
    same = len(units) == 1
    return {
        "checkpoint": checkpoint.origin.path,
        "sha256": checkpoint.origin.sha256,
        "unit": min(units) if same else None,
        "images": [_image_row(each, names) for each in scores],
        "mean": {m: mean_over_images(scores, m) for m in METRICS}
        | _distance_row([each.mean_hd95 for each in scores], same),
        "by_class": {
            name: {m: fmean(getattr(each.by_class[k], m) for each in scores) for m in METRICS}
            | _distance_row([each.hd95[k] for each in scores], same)
            for k, name in names.items()
        },
        "pooled": {names[k]: {m: getattr(counted[k], m) for m in METRICS} for k in names},
    }


def _image_row(score: ImageScore, names: dict[int, str]) -> dict[str, Any]:
    from napari_emcad.pipelines.evaluate import METRICS

    return {
        "name": score.name,
        **{metric: score.mean(metric) for metric in METRICS},
        "hd95": _defined(score.mean_hd95),
        "unit": score.unit,
        "by_class": {
            name: {metric: getattr(score.by_class[k], metric) for metric in METRICS}
            | {"hd95": _defined(score.hd95[k])}
            for k, name in names.items()
        },
    }


def _distance_row(distances: Sequence[float], same_unit: bool) -> dict[str, Any]:
    """Return the mean distance and how many images are behind it; none of different units."""
    from napari_emcad.pipelines.evaluate import mean_of_defined

    mean, number = mean_of_defined(distances if same_unit else [])
    return {"hd95": _defined(mean), "hd95_images": number}


def _defined(distance: float) -> float | None:
    return None if math.isnan(distance) else distance


def _names(checkpoint: Checkpoint) -> dict[int, str]:
    return {k: each.name for k, each in enumerate(checkpoint.classes, start=1)}


def _print_table(scores: Sequence[ImageScore], checkpoint: Checkpoint) -> None:
    from napari_emcad.pipelines.evaluate import METRICS, told_distance

    report = _report(scores, checkpoint)
    means = {f"mean of {_images(len(scores))}": report["mean"]}
    if len(report["by_class"]) > 1:
        means |= {f"mean, {name}": each for name, each in report["by_class"].items()}
    rows = [(each["name"], each) for each in report["images"]]
    rows += [(name, each | {"unit": report["unit"]}) for name, each in means.items()]
    rows += [(f"all pixels, {name}", each) for name, each in report["pooled"].items()]
    width = max(len(name) for name, _ in rows)
    heads = ("Dice", "IoU", "precision", "recall")
    print_result(f"{'':<{width}}" + "".join(f"  {head:>9}" for head in heads) + f"  {'HD95':>10}")
    for name, each in rows:
        told = told_distance(each["hd95"], each["unit"]) if each.get("hd95") is not None else "-"
        figures = "".join(f"  {each[metric]:>9.4f}" for metric in METRICS)
        print_result(f"{name:<{width}}{figures}  {told:>10}")
    _print_remarks(means, report)


def _print_remarks(means: dict[str, dict[str, Any]], report: dict[str, Any]) -> None:
    """Say of how many images a mean distance is, where it is not of all."""
    if report["unit"] is None:
        units = ", ".join(sorted({each["unit"] for each in report["images"]}))
        print_result(
            f"HD95 has no mean, as the images differ in unit ({units}); give --spacing, --unit."
        )
        return
    total = len(report["images"])
    for name, each in means.items():
        number = each["hd95_images"]
        if number < total:
            where = f"{number} of {total}; in the others" if number else f"none of {total}:"
            print_result(
                f"HD95, {name}: defined in {where} truth, prediction or both have nothing."
            )


def _images(number: int) -> str:
    return f"{number} image{'s' if number > 1 else ''}"


def _number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST}")
    return int(text)


def _spacing(text: str) -> dict[str, float]:
    """Return the size of a pixel by axis; one number counts for all, two are for Y and X."""
    try:
        sizes = [float(each) for each in text.split(",")]
    except ValueError:
        sizes = []
    if not 1 <= len(sizes) <= 3 or not all(0 < each < math.inf for each in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is not one to three sizes such as 0.5,0.5")
    sizes = sizes * 3 if len(sizes) == 1 else sizes
    return dict(zip("ZYX"[-len(sizes) :], sizes, strict=True))
