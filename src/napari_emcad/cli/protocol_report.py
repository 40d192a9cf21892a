"""Scores of a protocol as a table on the terminal, JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    UsageError,
    as_usage_error,
    print_json,
    print_message,
    print_result,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from napari_emcad.pipelines.protocol_scores import CaseScores
    from napari_emcad.pipelines.protocols import Protocol
    from napari_emcad.pipelines.segmentation_model import SegmentationModel

_TITLES = {
    "dice": "Dice",
    "iou": "IoU",
    "hd95": "HD95 (voxels)",
    "dice_sweep": "mDice, sweep",
    "iou_sweep": "mIoU, sweep",
    "dice_max": "max Dice",
    "iou_max": "max IoU",
}


def chosen_protocol(args: argparse.Namespace, checkpoint: SegmentationModel) -> Protocol | None:
    """Return the protocol of ``--protocol``, for which the checkpoint must have the classes.

    Raises
    ------
    UsageError
        If there is no such protocol, the checkpoint has another number of classes, or a size of
        voxels is given although distances are in voxels.
    """
    from napari_emcad.pipelines.protocols import find_protocol

    if args.protocol is None:
        return None
    protocol = as_usage_error(find_protocol, args.protocol)
    if protocol.report == "volumes" and args.spacing:
        raise UsageError(
            f"--protocol {args.protocol} measures distances in voxels, as published; leave out "
            f"--spacing, or --protocol."
        )
    expected, count = len(protocol.classes) or 1, len(checkpoint.classes)
    if count != expected:
        raise UsageError(
            f"--protocol {args.protocol} scores {expected} class{'es' * (expected > 1)}, and the "
            f"checkpoint has {count}; name a checkpoint of this task."
        )
    if protocol.stretch and not args.stretch:
        print_message("probabilities are stretched to 0 … 1 in every image, as published.")
    return protocol


def write_protocol(
    args: argparse.Namespace,
    cases: Sequence[CaseScores],
    checkpoint: SegmentationModel,
    protocol: Protocol,
) -> None:
    """Print the scores as a table or JSON, and write a CSV if asked for."""
    content = protocol_report(cases, checkpoint, args.protocol, protocol)
    if args.json:
        print_json(content)
    else:
        _print_table(content, protocol)
    empty = sum(case.is_empty for case in cases)
    if empty:
        print_message(
            f"{empty} of {len(cases)} have no object in the truth: what is found in them counts "
            f"as Dice 0, and they count in no mean if nothing is."
        )
    if args.csv is not None:
        as_usage_error(_write_csv, args.csv, cases, checkpoint)


def protocol_report(
    cases: Sequence[CaseScores], checkpoint: SegmentationModel, name: str, protocol: Protocol
) -> dict[str, Any]:
    """Return all scores as plain values for JSON; an undefined one is None."""
    from napari_emcad.pipelines.protocol_scores import (
        case_mean,
        class_means,
        mean_scores,
        published_means,
    )

    names = {k: label.name for k, label in enumerate(checkpoint.classes, start=1)}
    keys = list(cases[0].by_class[1])
    content: dict[str, Any] = {
        "protocol": name,
        "checkpoint": checkpoint.origin.path,
        "sha256": checkpoint.origin.sha256,
        "cases": [
            {
                "name": case.name,
                **{key: _plain(case_mean(case, key)) for key in keys},
                "by_class": {
                    names[k]: {key: _plain(value) for key, value in scores.items()}
                    for k, scores in case.by_class.items()
                },
            }
            for case in cases
        ],
        "by_class": {names[k]: _means(scores) for k, scores in class_means(cases).items()},
        "mean": _means(mean_scores(cases)),
    }
    if protocol.report == "volumes":
        content["as_published"] = published_means(cases)
    return content


def _means(means: dict[str, tuple[float, int]]) -> dict[str, Any]:
    """Return means by name of the score, and the numbers of cases that they are of."""
    values: dict[str, Any] = {name: _plain(mean) for name, (mean, _) in means.items()}
    return values | {"cases": {name: number for name, (_, number) in means.items()}}


def _print_table(content: dict[str, Any], protocol: Protocol) -> None:
    """Print a row per case, per class and of the means."""
    rows = [(case["name"], case) for case in content["cases"]]
    if len(content["by_class"]) > 1:
        rows += [(f"mean, {name}", row) for name, row in content["by_class"].items()]
    rows.append((f"mean of {len(content['cases'])}", content["mean"]))
    if "as_published" in content:
        rows.append(("mean, absent as published", content["as_published"]))
    keys = [key for key in content["mean"] if key != "cases"]
    width = max(len(name) for name in (protocol.title, *(name for name, _ in rows)))
    widths = {key: max(len(_title(key)), 8) for key in keys}
    print_result(
        f"{protocol.title:<{width}}" + "".join(f"  {_title(k):>{widths[k]}}" for k in keys)
    )
    for name, row in rows:
        figures = "".join(f"  {_figure(row.get(key)):>{widths[key]}}" for key in keys)
        print_result(f"{name:<{width}}{figures}")
    _print_undefined(content)


def _print_undefined(content: dict[str, Any]) -> None:
    """Print of how many cases a mean is, if not of all."""
    total = len(content["cases"])
    for name, number in content["mean"]["cases"].items():
        if number < total:
            print_result(f"{_title(name)}: defined in {number} of {total}.")


def _write_csv(path: Path, cases: Sequence[CaseScores], checkpoint: SegmentationModel) -> None:
    """Write a row per case and class."""
    from napari_emcad.io.images.write import write_file

    table = io.StringIO()
    writer = csv.writer(table)
    keys = list(cases[0].by_class[1])
    writer.writerow(["image", "class", *keys])
    for case in cases:
        for label, scores in zip(checkpoint.classes, case.by_class.values(), strict=True):
            writer.writerow([case.name, label.name, *(_plain(scores[key]) for key in keys)])
    write_file(path, table.getvalue().encode(errors="replace"))


def _title(name: str) -> str:
    return _TITLES.get(name, name)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
