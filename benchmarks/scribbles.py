"""Compare a network with a random forest, both trained on strokes of a simulated annotator.

    python benchmarks/scribbles.py --data DIR [--start FILE] [--kind color] [--quick] [--json]

Three images of a kind are annotated; up to thirty others are test images. Before a stroke is drawn,
all methods predict the annotated images. The stroke follows the centerline of the largest connected
area that is wrong by the mean prediction; it is as wide as a brush and stays within its class.
Strokes of object and background alternate while there are errors of both classes. All methods get
the same strokes. They are scored after 1, 2, 5, 10 and 20 strokes: mean Dice over the test images,
and seconds per update. The network starts from FILE (default: the bundled model, which was trained
on all kinds) and an update continues from the previous one; with ``--start nothing`` every update
starts from random weights. The forest follows ilastik: scikit-image's multiscale features and 100
trees. Full supervision is the same training with all pixels of the three images annotated.

DIR contains images/, labels/ and index.csv as for `dsb2018.py`. Without index.csv all images are of
one kind.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage
from skimage.feature import multiscale_basic_features
from skimage.morphology import skeletonize

import napari_emcad
from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.annotation.record import Record
from napari_emcad.imaging.intensity import standardize
from napari_emcad.interactive.familiarity import UNFAMILIAR, adapted_config, measure_familiarity
from napari_emcad.interactive.samples import labeled_slices
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import read_dataset
from napari_emcad.pipelines.train import train_job
from napari_emcad.training.metrics import score
from napari_emcad.training.presets import PRESETS
from napari_emcad.training.samples import LabeledSlice
from napari_emcad.training.settings import parse_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.training.config import TrainingConfig

MARKS = (1, 2, 5, 10, 20)
"""Numbers of strokes after which the methods are updated and scored."""

ANNOTATED, TEST_IMAGES = 3, 30
"""Number of annotated images, and largest number of test images."""

BRUSH, LONGEST = 5, 40
"""Width of a stroke, and its largest length, in pixels."""


@dataclass
class Method:
    """A method that learns from strokes.

    Attributes
    ----------
    name
        Name in the table.
    update
        Function that trains on a record and the planes of the images.
    predict
        Function from planes (C, H, W) to object probabilities (H, W).
    checkpoint
        Function that returns the present checkpoint of a network; None for a forest.
    dice, seconds
        Mean Dice by number of strokes, and seconds of the updates.
    """

    name: str
    update: Any
    predict: Any
    checkpoint: Any = None
    dice: dict[int, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    """Run all seeds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--start",
        help="checkpoint that the network starts from, or 'nothing' (a B0 with random weights)",
    )
    parser.add_argument("--kind", help="kind of the images (default: all)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--configs", nargs="+", help="presets, or NAME:key=value,…")
    parser.add_argument("--marks", type=int, nargs="+", default=list(MARKS))
    parser.add_argument("--no-forest", action="store_true")
    parser.add_argument("--no-full", action="store_true", help="leave out full supervision")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.marks = 1, [1, 2]
    start = starting_checkpoint(options.start)
    options.configs = options.configs or [
        "scribbles-from-nothing" if options.start == "nothing" else "scribbles"
    ]
    runs = [one_seed(seed, options, start) for seed in range(options.seeds)]
    figures = summary(runs)
    print(json.dumps(figures) if options.json else table(figures))


def starting_checkpoint(name: str | None) -> napari_emcad.Checkpoint:
    """Return the checkpoint that the network starts from."""
    bundled = napari_emcad.bundled_checkpoint()
    if name == "nothing":
        fresh = napari_emcad.initialize_checkpoint(encoder="pvt_v2_b0")
        return replace(fresh, preprocessing=bundled.preprocessing)
    return bundled if name is None else napari_emcad.read_checkpoint(name)


def one_seed(
    seed: int, options: argparse.Namespace, start: napari_emcad.Checkpoint
) -> dict[str, dict[str, Any]]:
    """Return the scores of all methods on the images and strokes of one seed."""
    rng = np.random.default_rng(seed)
    annotated, test_slices = select_slices(options, start, rng)
    planes = {labeled.name: labeled.planes for labeled in annotated}
    truth = {labeled.name: labeled.target for labeled in annotated}
    methods = [network_method(name, start, options.quick) for name in options.configs]
    if not options.no_forest:
        methods.append(forest(seed))
    before = {"network before": {0: mean_dice(methods[0], test_slices)}}
    paint = {name: np.full(target.shape, UNLABELED, np.int16) for name, target in truth.items()}
    record = Record()
    for number in range(1, max(options.marks) + 1):
        paint_stroke(paint, truth, methods, planes, rng, number)
        if number not in options.marks:
            continue
        record = record.updated({k: v.copy() for k, v in paint.items()}, every=0)
        for method in methods:
            begun = time.perf_counter()
            method.update(record, planes)
            method.seconds.append(time.perf_counter() - begun)
            method.dice[number] = mean_dice(method, test_slices)
            done = f"{method.name}: {method.dice[number]:.3f}, {method.seconds[-1]:.1f} s"
            print(f"seed {seed}, {number} strokes, {done}", file=sys.stderr, flush=True)
    figures = {m.name: {**m.dice, "seconds": median(m.seconds)} for m in methods} | before
    if not options.no_full:
        full = [network_method(name, start, options.quick) for name in options.configs[:1]]
        full += [] if options.no_forest else [forest(seed)]
        all_pixels = Record().updated(truth, every=0)
        for method in full:
            for _ in range(1 if method.name == "forest" else 3):
                method.update(all_pixels, planes)
            figures[f"{method.name}, every pixel"] = {0: mean_dice(method, test_slices)}
    return figures


def select_slices(
    options: argparse.Namespace, start: napari_emcad.Checkpoint, rng: np.random.Generator
) -> tuple[list[Any], list[Any]]:
    """Return the slices to annotate, and the slices of the test images."""
    pairs = find_files(options.data).pairs
    index = options.data / "index.csv"
    if options.kind is not None:
        with index.open() as file:
            kinds = {row["id"]: row.get("kind") for row in csv.DictReader(file)}
        pairs = [pair for pair in pairs if kinds.get(pair[0].stem) == options.kind]
    pairs = [pairs[i] for i in rng.permutation(len(pairs))]
    count = min(TEST_IMAGES, 6 if options.quick else TEST_IMAGES)
    data = read_dataset(
        pairs[: ANNOTATED + count], 3, start.preprocessing, 1, foreground=True, skip_bad=True
    )
    if len(data.slices) < 2:
        raise SystemExit("At least two images are needed: one to annotate and one to score.")
    slices = same_channels(data.slices)
    first = min(ANNOTATED, len(slices) // 2)
    return slices[:first], slices[first:]


def same_channels(slices: Sequence[LabeledSlice]) -> list[LabeledSlice]:
    """Return slices with equally many planes: gray ones are repeated beside color ones."""
    most = max(len(one.planes) for one in slices)
    repeated = [np.broadcast_to(one.planes, (most, *one.planes.shape[1:])) for one in slices]
    return [replace(one, planes=planes) for one, planes in zip(slices, repeated, strict=True)]


# -- the annotator


def paint_stroke(
    paint: dict[str, Any],
    truth: dict[str, Any],
    methods: list[Method],
    planes: dict[str, Any],
    rng: np.random.Generator,
    number: int,
) -> None:
    """Add one stroke; the first two are in an object and in the background of the first image."""
    if number <= 2:
        name, wanted = next(iter(truth)), 2 - number
        area = truth[name] == wanted
    else:
        name, area, wanted = largest_error(paint, truth, methods, planes, number % 2)
    stroke = centerline_stroke(area, truth[name] == wanted, rng)
    paint[name][stroke] = wanted


def largest_error(
    paint: dict[str, Any],
    truth: dict[str, Any],
    methods: list[Method],
    planes: dict[str, Any],
    turn: int,
) -> tuple[str, Any, int]:
    """Return image, mask and class of the largest error, of class `turn` if there is one."""
    errors = []
    for name, wanted in truth.items():
        probability = np.mean([method.predict(planes[name]) for method in methods], axis=0)
        wrong = ((probability > 0.5) != (wanted == 1)) & (paint[name] == UNLABELED)
        for k in (0, 1):
            pieces, count = ndimage.label(wrong & (wanted == k))
            if count:
                sizes = np.bincount(pieces.ravel())[1:]
                largest = int(sizes.argmax()) + 1
                errors.append((int(sizes.max()), name, pieces == largest, k))
    if not errors:
        name = next(iter(truth))
        return name, (truth[name] == 1) & (paint[name] == UNLABELED), 1
    due = [error for error in errors if error[3] == turn] or errors
    _, name, area, k = max(due, key=lambda error: error[0])
    return name, area, k


def centerline_stroke(area: Any, inside: Any, rng: np.random.Generator) -> Any:
    """Return the mask of a stroke along the skeleton of an area, limited to `inside`.

    It starts where the area is widest and follows random branches up to `LONGEST` pixels.
    """
    skeleton = skeletonize(area)
    if not skeleton.any():
        skeleton = area
    points = np.argwhere(skeleton)
    depth = ndimage.distance_transform_edt(area)[skeleton]
    start = points[int(depth.argmax())] if len(points) > 1 else points[0]
    path = np.zeros(area.shape, bool)
    reached = {tuple(start)}
    front = [tuple(start)]
    while front and len(reached) < LONGEST:
        y, x = front.pop(int(rng.integers(len(front))) if len(front) > 1 else 0)
        for v in range(max(y - 1, 0), min(y + 2, area.shape[0])):
            for u in range(max(x - 1, 0), min(x + 2, area.shape[1])):
                if skeleton[v, u] and (v, u) not in reached and len(reached) < LONGEST:
                    reached.add((v, u))
                    front.append((v, u))
    path[tuple(np.array(list(reached)).T)] = True
    y, x = np.mgrid[-(BRUSH // 2) : BRUSH // 2 + 1, -(BRUSH // 2) : BRUSH // 2 + 1]
    disc = y**2 + x**2 <= (BRUSH / 2) ** 2
    return ndimage.binary_dilation(path, disc) & inside


# -- methods


def network_method(name: str, start: napari_emcad.Checkpoint, quick: bool) -> Method:
    """Return a network trained with a preset, such as ``scribbles`` or ``scribbles:epochs=2``."""
    config = parse_config(name)
    if quick:
        config = config.replace(crops_per_epoch=2 * config.batch, pool=None)
    state: dict[str, Any] = {
        "checkpoint": start,
        "network": start.network(),
        "round": 0,
        "familiarity": UNFAMILIAR,
    }

    def update(record: Record, planes: dict[str, Any]) -> None:
        training, _ = labeled_slices(record, planes)
        state["round"] += 1
        strokes = sum(record.strokes.values())
        if len(record.pixel_counts) > 1:
            first = [
                LabeledSlice(k, planes[k], target) for k, target in record.first_strokes().items()
            ]
            patches = record.patches.items()
            others = [LabeledSlice(k, planes[k], patch.target) for k, patch in patches]
            others = [labeled for labeled in others if labeled.name not in record.first_strokes()]
            state["familiarity"] = measure_familiarity(start, first, others, config)
        trained = state["checkpoint"] is not start and not start.untrained
        adapted = adapted_config(
            config, len(record.pixel_counts), strokes, state["familiarity"], trained
        )
        adapted = adapted.replace(seed=state["round"])
        job = train_job(
            start if start.untrained else state["checkpoint"],
            training,
            [],
            adapted,
            threading.Event(),
        )
        while True:
            try:
                next(job)
            except StopIteration as end:
                state["checkpoint"] = end.value.checkpoint
                state["network"] = state["checkpoint"].network()
                return

    def predict(planes: Any) -> Any:
        checkpoint = state["checkpoint"]
        three_planes = np.broadcast_to(planes, (3, *planes.shape[1:]))
        pixels = torch.from_numpy(standardize(three_planes, checkpoint.preprocessing))[None]
        with torch.inference_mode():
            zoom = checkpoint.preprocessing.zoom
            return state["network"].predict(pixels, checkpoint.head, zoom)[0, 0].sigmoid().numpy()

    return Method(name, update, predict, lambda: state["checkpoint"])


def parse_config(name: str) -> TrainingConfig:
    """Return the preset of a name such as ``scribbles:epochs=2``, with its changes."""
    preset, _, changes = name.partition(":")
    return PRESETS[preset].replace(**parse_settings(changes))


def forest(seed: int) -> Method:
    """Return a random forest with features as in ilastik's pixel classification."""
    from sklearn.ensemble import RandomForestClassifier

    trees = RandomForestClassifier(100, n_jobs=torch.get_num_threads(), random_state=seed)
    cached: dict[int, Any] = {}

    def features(planes: Any) -> Any:
        if id(planes) not in cached:
            channels = multiscale_basic_features(
                np.moveaxis(planes, 0, -1), sigma_min=0.7, sigma_max=10, channel_axis=-1
            )
            cached[id(planes)] = channels.astype(np.float32)
        return cached[id(planes)]

    def update(record: Record, planes: dict[str, Any]) -> None:
        samples, classes = [], []
        for name, patch in record.patches.items():
            known = patch.target != UNLABELED
            samples.append(features(planes[name])[known])
            classes.append(patch.target[known])
        trees.fit(np.concatenate(samples), np.concatenate(classes))

    def predict(planes: Any) -> Any:
        if not hasattr(trees, "classes_"):
            return np.zeros(planes.shape[1:], np.float32)
        rows = features(planes).reshape(-1, features(planes).shape[-1])
        probabilities = trees.predict_proba(rows)
        column = list(trees.classes_).index(1) if 1 in trees.classes_ else None
        objects = np.zeros(len(probabilities)) if column is None else probabilities[:, column]
        return objects.reshape(planes.shape[1:])

    return Method("forest", update, predict)


# -- scores


def mean_dice(method: Method, slices: list[Any]) -> float:
    """Return the Dice of the object class, averaged over images."""
    return fmean(score(method.predict(s.planes) > 0.5, s.target == 1).dice for s in slices)


def summary(runs: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the mean and the standard deviation over the seeds."""
    figures: dict[str, dict[str, Any]] = {}
    for name in runs[0]:
        figures[name] = {}
        for mark in runs[0][name]:
            values = [run[name][mark] for run in runs]
            spread = stdev(values) if len(values) > 1 else 0.0
            figures[name][str(mark)] = {"mean": fmean(values), "spread": spread}
    return figures


def table(figures: dict[str, dict[str, Any]]) -> str:
    """Return the figures as a text table."""
    width = max(map(len, figures))
    lines = []
    for name, row in figures.items():
        cells = [f"{k}: {v['mean']:.3f} ± {v['spread']:.3f}" for k, v in row.items()]
        lines.append(f"{name:<{width}}  " + "   ".join(cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
