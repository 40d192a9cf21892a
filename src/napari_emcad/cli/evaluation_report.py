"""Scores of an evaluation as a table on the terminal, JSON, CSV and a contact sheet."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import as_usage_error, print_message, print_result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_emcad.pipelines.scores import ImageScore
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.pipelines.worst_cases import Ranked

_HEADS = ("Dice", "IoU", "precision", "recall")
_COUNTS = ("true_positive", "false_positive", "false_negative")


def report(scores: Sequence[ImageScore], checkpoint: SegmentationModel) -> dict[str, Any]:
    """Return all scores as plain values for JSON; an undefined distance is None."""
    from napari_emcad.pipelines.scores import METRICS, mean_over_images, pool_scores
    from napari_emcad.training.metrics import mean_score

    names, totals = _class_names(checkpoint), pool_scores(scores)
    units = {score.unit for score in scores}
    same_unit = len(units) == 1
    return {
        "checkpoint": checkpoint.origin.path,
        "sha256": checkpoint.origin.sha256,
        "unit": min(units) if same_unit else None,
        "images": [_scores_as_dict(score, names) for score in scores],
        "counted_images": sum(score.counts for score in scores),
        "mean": {metric: mean_over_images(scores, metric) for metric in METRICS}
        | _mean_distance([score.mean_hd95 for score in scores], same_unit),
        "by_class": {
            name: {
                metric: mean_score([{k: score.by_class[k]} for score in scores], metric)
                for metric in METRICS
            }
            | _mean_distance([score.hd95[k] for score in scores], same_unit)
            for k, name in names.items()
        },
        "pooled": {
            name: {metric: getattr(totals[k], metric) for metric in METRICS}
            for k, name in names.items()
        },
    }


def print_table(scores: Sequence[ImageScore], checkpoint: SegmentationModel) -> None:
    """Print a row per image, and rows of means and of all pixels."""
    content = report(scores, checkpoint)
    means = {f"mean of {_count_images(len(scores))}": content["mean"]}
    if len(content["by_class"]) > 1:
        means |= {f"mean, {name}": row for name, row in content["by_class"].items()}
    rows = [(row["name"], row) for row in content["images"]]
    rows += [(name, row | {"unit": content["unit"]}) for name, row in means.items()]
    rows += [(f"all pixels, {name}", row) for name, row in content["pooled"].items()]
    width = max(len(name) for name, _ in rows)
    heads = "".join(f"  {head:>9}" for head in _HEADS)
    print_result(f"{'':<{width}}{heads}  {'HD95':>10}")
    for name, row in rows:
        print_result(f"{name:<{width}}{_figures(row)}")
    _print_uncounted_images(content)
    _print_undefined_distances(means, content)


def write_csv(path: Path, scores: Sequence[ImageScore], checkpoint: SegmentationModel) -> None:
    """Write a row per image and class."""
    from napari_emcad.io.images.write import write_file
    from napari_emcad.pipelines.scores import METRICS

    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["image", "class", *METRICS, "hd95", "unit", *_COUNTS])
    for score in scores:
        for k, name in _class_names(checkpoint).items():
            metrics = [getattr(score.by_class[k], metric) for metric in METRICS]
            counts = [getattr(score.by_class[k], count) for count in _COUNTS]
            distance = _none_if_nan(score.hd95[k])
            writer.writerow([score.name, name, *metrics, distance, score.unit, *counts])
    write_file(path, table.getvalue().encode(errors="replace"))


def write_sheet(
    path: Path, worst: Sequence[Ranked], total: int, checkpoint: SegmentationModel
) -> None:
    """Write the contact sheet of the worst cases."""
    from napari_emcad.io.images.write import write_array
    from napari_emcad.io.reports.evaluation_sheet import draw_evaluation_sheet
    from napari_emcad.io.reports.text import to_ascii

    number = "" if len(worst) == 1 else f"{len(worst)} "
    title = f"The {number}worst of {_count_images(total)} by Dice"
    rows = [row for _, row in worst]
    sheet = draw_evaluation_sheet(rows, checkpoint.classes, title)
    as_usage_error(write_array, path, sheet, "YXC")
    for position, row in enumerate(rows, start=1):
        if "\\" in to_ascii(row.name):  # the sheet shows escape codes
            print_message(f"{position} on the sheet is {row.name}.")


def _scores_as_dict(score: ImageScore, names: dict[int, str]) -> dict[str, Any]:
    """Return the scores of one image, for JSON."""
    from napari_emcad.pipelines.scores import METRICS

    return {
        "name": score.name,
        **{metric: score.mean(metric) for metric in METRICS},
        "hd95": _none_if_nan(score.mean_hd95),
        "unit": score.unit,
        "by_class": {
            name: {metric: getattr(score.by_class[k], metric) for metric in METRICS}
            | {"hd95": _none_if_nan(score.hd95[k])}
            for k, name in names.items()
        },
    }


def _mean_distance(distances: Sequence[float], same_unit: bool) -> dict[str, Any]:
    """Return the mean of the defined distances and their number; None if units differ."""
    from napari_emcad.pipelines.scores import mean_of_defined

    mean, number = mean_of_defined(distances if same_unit else [])
    return {"hd95": _none_if_nan(mean), "hd95_images": number}


def _figures(row: dict[str, Any]) -> str:
    """Return the columns of a row of the table."""
    from napari_emcad.pipelines.scores import METRICS, format_distance

    distance = "-" if row.get("hd95") is None else format_distance(row["hd95"], row["unit"])
    return "".join(f"  {row[metric]:>9.4f}" for metric in METRICS) + f"  {distance:>10}"


def _print_uncounted_images(content: dict[str, Any]) -> None:
    """Print for how many images the means are, if not for all."""
    total, number = len(content["images"]), content["counted_images"]
    if 0 < number < total:
        print_result(
            f"The means are of {number} of {total} images; truth and prediction of the others are "
            f"empty."
        )


def _print_undefined_distances(means: dict[str, dict[str, Any]], content: dict[str, Any]) -> None:
    """Print for how many images a mean distance is defined, if not for all."""
    if content["unit"] is None:
        units = ", ".join(sorted({row["unit"] for row in content["images"]}))
        print_result(
            f"HD95 has no mean, as the images differ in unit ({units}); give --spacing, --unit."
        )
        return
    total = len(content["images"])
    for name, row in means.items():
        number = row["hd95_images"]
        if number < total:
            where = f"{number} of {total}; in the others" if number else f"none of {total}:"
            print_result(
                f"HD95, {name}: defined in {where} truth, prediction or both have nothing."
            )


def _none_if_nan(distance: float) -> float | None:
    return None if math.isnan(distance) else distance


def _class_names(checkpoint: SegmentationModel) -> dict[int, str]:
    return {k: label.name for k, label in enumerate(checkpoint.classes, start=1)}


def _count_images(number: int) -> str:
    return f"{number} image{'s' if number > 1 else ''}"
