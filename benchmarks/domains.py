"""Compare how well methods learn kinds of images from strokes, on several data sets.

    python benchmarks/domains.py --data DIR [DIR …] [--methods instant forest …] [--quick] [--json]

DIR contains images/, labels/ (0 background, classes 1, 2, …) and index.csv as for `dsb2018.py`, or
several such folders; a kind that index.csv names is a data set of its own, and labels of `dsb2018`
are one class. Three images are annotated, up to thirty others are scored; images of one source (the
same patient or micrograph, by the first part of their names) are not on both sides.

The first strokes are one of every class; then classes take turns, and the stroke follows the
centerline of the largest connected area of the class that the methods predict wrongly, on average
over the methods. All methods get the same strokes. Figures are Dice, the mean over the classes of
an image and then over images, after 1, 2, 5, 10 and 20 strokes, and median seconds of an update.

instant     the probe of this project, on pixels and the bundled general encoder
train       this project's training with strokes, from the bundled model, see `scribbles.py`
general     the same from the bundled general encoder, with a new decoder
nothing     the same from random weights
forest      random forest on scikit-image's multiscale features (ilastik's recipe)
eyes-forest random forest on the maps of the same encoder (napari-convpaint's recipe)
full        train with all pixels of the three images, once more for every number of strokes
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scribbles import centerline_stroke, same_channels
from strokes.methods import METHODS

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.annotation.record import Record
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import read_dataset
from napari_emcad.training.metrics import mean_score, score

if TYPE_CHECKING:
    from strokes.methods import Method

    from napari_emcad.training.samples import LabeledSlice

MARKS = (1, 2, 5, 10, 20)
"""Numbers of strokes after which the methods are updated and scored."""

ANNOTATED = 3

PERCENTILES = Preprocessing(intensity="percentile", low=0.5, high=99.5)


def main() -> None:
    """Run all data sets and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["instant", "forest"])
    parser.add_argument("--kinds", nargs="+", help="kinds of images (default: all)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--marks", type=int, nargs="+", default=list(MARKS))
    parser.add_argument("--images", type=int, default=30, help="most test images of a kind (30)")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.marks, options.images = 1, [1, 2], 3
    figures: dict[str, Any] = {}
    for kind, pairs in find_kinds(options).items():
        runs = [run_seed(kind, pairs, seed, options) for seed in range(options.seeds)]
        figures[kind] = mean_of(runs)
        print(table({kind: figures[kind]}, options.marks), file=sys.stderr, flush=True)
    print(json.dumps(figures) if options.json else table(figures, options.marks))


def find_kinds(options: argparse.Namespace) -> dict[str, list[Any]]:
    """Return the image and label files of every kind."""
    kinds: dict[str, list[Any]] = defaultdict(list)
    for folder in options.data:
        inner = [path for path in sorted(folder.iterdir()) if (path / "images").is_dir()]
        for one in [folder] if (folder / "images").is_dir() else inner:
            index = one / "index.csv"
            names = {}
            if index.exists():
                with index.open() as file:
                    names = {row["id"]: row.get("kind") for row in csv.DictReader(file)}
            for pair in find_files(one).pairs:
                kinds[names.get(pair[0].stem) or one.name].append(pair)
    return {kind: kinds[kind] for kind in options.kinds or kinds}


def run_seed(
    kind: str, pairs: list[Any], seed: int, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Return Dice by number of strokes, and seconds of an update, of all methods."""
    rng = np.random.default_rng(seed)
    annotated, tested = choose_images(pairs, rng, options.images)
    classes = 1 + max(int(one.target.max()) for one in annotated)
    methods = {name: METHODS[name](classes, seed, options.quick) for name in options.methods}
    planes = {one.name: one.planes for one in annotated}
    truth = {one.name: one.target for one in annotated}
    paint = {name: np.full(target.shape, UNLABELED, np.int16) for name, target in truth.items()}
    record, figures = Record(), {name: dict[str, float]() for name in methods}
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(1, max(options.marks) + 1):
        paint_stroke(paint, truth, list(methods.values()), planes, rng, number, classes)
        if number not in options.marks:
            continue
        record = record.updated({k: v.copy() for k, v in paint.items()}, every=0)
        for name, method in methods.items():
            targets = {one.name: one.target for one in annotated}
            begun = time.perf_counter()
            method.update(Record().updated(targets, every=0) if method.full else record, planes)
            seconds[name].append(time.perf_counter() - begun)
            figures[name][str(number)] = mean_dice(method, tested, classes)
    for name in methods:
        figures[name]["seconds"] = median(seconds[name])
    line = "; ".join(f"{name} {row[str(max(options.marks))]:.3f}" for name, row in figures.items())
    print(f"{kind}, seed {seed}: {line}", file=sys.stderr, flush=True)
    return figures


def choose_images(
    pairs: list[Any], rng: np.random.Generator, most: int
) -> tuple[list[LabeledSlice], list[LabeledSlice]]:
    """Return the images to annotate, which have an object, and test images of other sources."""
    pairs = [pairs[i] for i in rng.permutation(len(pairs))]
    chosen: list[Any] = []
    sources: set[str] = set()
    for pair in pairs:
        new = source_of(pair[0].stem) not in sources
        if new and (read([pair])[0].target > 0).any():
            chosen.append(pair)
            sources.add(source_of(pair[0].stem))
        if len(chosen) == min(ANNOTATED, max(len(pairs) // 2, 1)):
            break
    rest = [pair for pair in pairs if source_of(pair[0].stem) not in sources][:most]
    slices = same_channels(read([*chosen, *rest]))
    return slices[: len(chosen)], slices[len(chosen) :]


def source_of(name: str) -> str:
    """Return the patient or micrograph of an image: ``01La`` is 01, ``sup03_2`` is sup03."""
    parts = re.fullmatch(r"(\d+)[LR][ab]|(\w+)_\d", name)
    return name if parts is None else parts[1] or parts[2]


def read(pairs: list[Any]) -> list[LabeledSlice]:
    """Return slices with classes as targets; instances of nuclei are one class."""
    instances = "dsb2018" in pairs[0][0].parts
    options: dict[str, Any] = {"foreground": True, "classes": 1} if instances else {"classes": None}
    return list(read_dataset(pairs, 3, PERCENTILES, **options).slices)


def paint_stroke(
    paint: dict[str, Any],
    truth: dict[str, Any],
    methods: list[Method],
    planes: dict[str, Any],
    rng: np.random.Generator,
    number: int,
    classes: int,
) -> None:
    """Add one stroke; classes take turns, objects first and the background second."""
    turn = [1, 0, *range(2, classes)][(number - 1) % classes]
    if number <= classes:
        areas = [(name, target == turn) for name, target in truth.items()]
        name, area = next((one for one in areas if one[1].any()), areas[0])
        wanted = turn
        area = largest_part(area)[1]
    else:
        name, area, wanted = largest_error(paint, truth, methods, planes, turn, classes)
    if area.any():
        stroke = centerline_stroke(area, truth[name] == wanted, rng)
        paint[name][stroke & (paint[name] == UNLABELED)] = wanted


def largest_error(
    paint: dict[str, Any],
    truth: dict[str, Any],
    methods: list[Method],
    planes: dict[str, Any],
    turn: int,
    classes: int,
) -> tuple[str, Any, int]:
    """Return image, mask and class of the largest error, of class `turn` if there is one."""
    errors = []
    for name, target in truth.items():
        votes = sum(np.eye(classes)[one.predict(planes[name])] for one in methods if not one.full)
        wrong = (votes.argmax(-1) != target) & (paint[name] == UNLABELED) & (target != UNLABELED)
        for k in range(classes):
            size, part = largest_part(wrong & (target == k))
            if size:
                errors.append((size, name, part, k))
    if not errors:
        return next(iter(truth)), np.zeros((1, 1), bool), 0
    due = [error for error in errors if error[3] == turn] or errors
    _, name, area, k = max(due, key=lambda error: error[0])
    return name, area, k


def largest_part(area: Any) -> tuple[int, Any]:
    """Return size and mask of the largest connected part of an area."""
    pieces, count = ndimage.label(area)
    if not count:
        return 0, area
    sizes = np.bincount(pieces.ravel())[1:]
    return int(sizes.max()), pieces == 1 + int(sizes.argmax())


def mean_dice(method: Method, slices: list[LabeledSlice], classes: int) -> float:
    """Return the mean Dice over the classes of an image, and then over images."""
    scores = []
    for one in slices:
        predicted, known = method.predict(one.planes), one.target != UNLABELED
        scores.append(
            {
                k: score((predicted == k) & known, (one.target == k) & known)
                for k in range(1, classes)
            }
        )
    return mean_score(scores, "dice")


def mean_of(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the mean of every figure over the seeds."""
    return {
        name: {mark: fmean(run[name][mark] for run in runs) for mark in runs[0][name]}
        for name in runs[0]
    }


def table(figures: dict[str, Any], marks: list[int]) -> str:
    """Return the figures as a text table."""
    lines = [f"{'':<30}" + "".join(f"{mark:>8}" for mark in marks) + f"{'s':>8}"]
    for kind, rows in figures.items():
        for name, row in rows.items():
            cells = "".join(f"{row[str(mark)]:>8.3f}" for mark in marks)
            lines.append(f"{kind:<18}{name:<12}{cells}{row['seconds']:>8.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
