"""A simulated annotator teaches a network with strokes, beside a random forest.

    python benchmarks/scribbles.py --data DIR [--start FILE] [--kind color] [--quick] [--json]

Three images of a kind are annotated, up to thirty others are untouched and scored. Before each
stroke every method predicts the annotated images; the stroke goes to the largest area that most of
them get wrong, along its middle, as wide as a person's brush, and never leaves its class. Objects
and background take turns, as long as there is something wrong of both. All methods are given the
same strokes. After 1, 2, 5, 10 and 20 strokes they are scored: mean Dice over
the untouched images, and seconds per update. The network starts from FILE (else from the bundled
model, which knows every kind) and goes on from update to update; from nothing it starts anew each
time. The forest is ilastik's recipe: scikit-image's multiscale features and 100 trees. Full
supervision is the same training with every pixel of the three images painted.

DIR holds images/, labels/ and index.csv as for `dsb2018.py`. Without it everything is one kind.
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
from napari_emcad.io.images.dataset import dataset_pairs, read_dataset
from napari_emcad.pipelines.train import train_job
from napari_emcad.training.metrics import score
from napari_emcad.training.presets import PRESETS
from napari_emcad.training.samples import LabeledSlice
from napari_emcad.training.settings import parse_settings

if TYPE_CHECKING:
    from napari_emcad.training.config import TrainingConfig

MARKS = (1, 2, 5, 10, 20)
ANNOTATED, UNTOUCHED = 3, 30
BRUSH, LONGEST = 5, 40
"""Pixels: width of a stroke, and its length at most."""


@dataclass
class Method:
    """What learns from strokes: a name, how it is updated and asked, and what a network is now."""

    name: str
    update: Any
    ask: Any
    checkpoint: Any = None
    dice: dict[int, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    """Run every seed, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--start",
        help="checkpoint that the network starts from, or 'nothing' (a B0 drawn at random)",
    )
    parser.add_argument("--kind", help="of the images; default: all of them")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--configs", nargs="+", help="presets, or NAME:k=v,…")
    parser.add_argument("--marks", type=int, nargs="+", default=list(MARKS))
    parser.add_argument("--no-forest", action="store_true")
    parser.add_argument("--no-full", action="store_true", help="leave out full supervision")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seeds, chosen.marks = 1, [1, 2]
    start = started(chosen.start)
    chosen.configs = chosen.configs or [
        "scribbles-from-nothing" if chosen.start == "nothing" else "scribbles"
    ]
    runs = [one_seed(seed, chosen, start) for seed in range(chosen.seeds)]
    figures = summary(runs)
    print(json.dumps(figures) if chosen.json else table(figures))


def started(name: str | None) -> napari_emcad.Checkpoint:
    """Return what the network starts from."""
    bundled = napari_emcad.bundled_checkpoint()
    if name == "nothing":
        fresh = napari_emcad.initialize_checkpoint(encoder="pvt_v2_b0")
        return replace(fresh, preprocessing=bundled.preprocessing)
    return bundled if name is None else napari_emcad.read_checkpoint(name)


def one_seed(
    seed: int, chosen: argparse.Namespace, start: napari_emcad.Checkpoint
) -> dict[str, dict[str, Any]]:
    """Return what each method reached on images and strokes of one seed."""
    rng = np.random.default_rng(seed)
    annotated, untouched = picked(chosen, start, rng)
    planes = {each.name: each.planes for each in annotated}
    truth = {each.name: each.target for each in annotated}
    methods = [network(name, start, chosen.quick) for name in chosen.configs]
    if not chosen.no_forest:
        methods.append(forest(seed))
    before = {"network before": {0: mean_dice(methods[0], untouched)}}
    paint = {name: np.full(each.shape, UNLABELED, np.int16) for name, each in truth.items()}
    record = Record()
    for number in range(1, max(chosen.marks) + 1):
        draw(paint, truth, methods, planes, rng, number)
        if number not in chosen.marks:
            continue
        record = record.updated({k: v.copy() for k, v in paint.items()}, every=0)
        for method in methods:
            begun = time.perf_counter()
            method.update(record, planes)
            method.seconds.append(time.perf_counter() - begun)
            method.dice[number] = mean_dice(method, untouched)
            done = f"{method.name}: {method.dice[number]:.3f}, {method.seconds[-1]:.1f} s"
            print(f"seed {seed}, {number} strokes, {done}", file=sys.stderr, flush=True)
    told = {m.name: {**m.dice, "seconds": median(m.seconds)} for m in methods} | before
    if not chosen.no_full:
        full = [network(name, start, chosen.quick) for name in chosen.configs[:1]]
        full += [] if chosen.no_forest else [forest(seed)]
        everything = Record().updated(truth, every=0)
        for method in full:
            for _ in range(1 if method.name == "forest" else 3):
                method.update(everything, planes)
            told[f"{method.name}, every pixel"] = {0: mean_dice(method, untouched)}
    return told


def picked(
    chosen: argparse.Namespace, start: napari_emcad.Checkpoint, rng: np.random.Generator
) -> tuple[list[Any], list[Any]]:
    """Return slices to annotate, and others to be scored on."""
    pairs = dataset_pairs(chosen.data)
    index = chosen.data / "index.csv"
    if chosen.kind is not None:
        with index.open() as file:
            kinds = {row["id"]: row.get("kind") for row in csv.DictReader(file)}
        pairs = [pair for pair in pairs if kinds.get(pair[0].stem) == chosen.kind]
    pairs = [pairs[i] for i in rng.permutation(len(pairs))]
    count = min(UNTOUCHED, 6 if chosen.quick else UNTOUCHED)
    data = read_dataset(
        pairs[: ANNOTATED + count], 3, start.preprocessing, 1, foreground=True, skip_bad=True
    )
    if len(data.slices) < 2:
        raise SystemExit("At least two images are needed: one to annotate and one to score.")
    first = min(ANNOTATED, len(data.slices) // 2)
    return list(data.slices[:first]), list(data.slices[first:])


# -- the annotator


def draw(
    paint: dict[str, Any],
    truth: dict[str, Any],
    methods: list[Method],
    planes: dict[str, Any],
    rng: np.random.Generator,
    number: int,
) -> None:
    """Paint one stroke; the first two are an object and the background of the first image."""
    if number <= 2:
        name, wanted = next(iter(truth)), 2 - number
        area = truth[name] == wanted
    else:
        name, area, wanted = largest_error(paint, truth, methods, planes, number % 2)
    stroke = along_the_middle(area, truth[name] == wanted, rng)
    paint[name][stroke] = wanted


def largest_error(
    paint: dict[str, Any],
    truth: dict[str, Any],
    methods: list[Method],
    planes: dict[str, Any],
    turn: int,
) -> tuple[str, Any, int]:
    """Return the image, the area and its class that most methods get wrong; `turn` comes first."""
    found = []
    for name, wanted in truth.items():
        chance = np.mean([method.ask(planes[name]) for method in methods], axis=0)
        wrong = ((chance > 0.5) != (wanted == 1)) & (paint[name] == UNLABELED)
        for k in (0, 1):
            pieces, count = ndimage.label(wrong & (wanted == k))
            if count:
                sizes = np.bincount(pieces.ravel())[1:]
                largest = int(sizes.argmax()) + 1
                found.append((int(sizes.max()), name, pieces == largest, k))
    if not found:
        name = next(iter(truth))
        return name, (truth[name] == 1) & (paint[name] == UNLABELED), 1
    due = [each for each in found if each[3] == turn] or found
    _, name, area, k = max(due, key=lambda each: each[0])
    return name, area, k


def along_the_middle(area: Any, inside: Any, rng: np.random.Generator) -> Any:
    """Return a stroke along the middle of an area, as wide as a brush and within its class."""
    spine = skeletonize(area)
    if not spine.any():
        spine = area
    points = np.argwhere(spine)
    deep = ndimage.distance_transform_edt(area)[spine]
    start = points[int(deep.argmax())] if len(points) > 1 else points[0]
    path = np.zeros(area.shape, bool)
    reached = {tuple(start)}
    front = [tuple(start)]
    while front and len(reached) < LONGEST:
        y, x = front.pop(int(rng.integers(len(front))) if len(front) > 1 else 0)
        for v in range(max(y - 1, 0), min(y + 2, area.shape[0])):
            for u in range(max(x - 1, 0), min(x + 2, area.shape[1])):
                if spine[v, u] and (v, u) not in reached and len(reached) < LONGEST:
                    reached.add((v, u))
                    front.append((v, u))
    path[tuple(np.array(list(reached)).T)] = True
    y, x = np.mgrid[-(BRUSH // 2) : BRUSH // 2 + 1, -(BRUSH // 2) : BRUSH // 2 + 1]
    disc = y**2 + x**2 <= (BRUSH / 2) ** 2
    return ndimage.binary_dilation(path, disc) & inside


# -- what learns


def network(name: str, start: napari_emcad.Checkpoint, quick: bool) -> Method:
    """Return a network that is taught with a preset, perhaps changed: ``scribbles:epochs=2``."""
    config = configured(name)
    if quick:
        config = config.replace(crops_per_epoch=2 * config.batch, pool=None)
    now = {"checkpoint": start, "net": start.network(), "round": 0, "met": UNFAMILIAR}

    def update(record: Record, planes: dict[str, Any]) -> None:
        learned, _ = labeled_slices(record, planes)
        now["round"] += 1
        strokes = sum(record.strokes.values())
        if len(record.pixel_counts) > 1:
            first = [LabeledSlice(k, planes[k], each) for k, each in record.first_strokes().items()]
            pages = record.patches.items()
            others = [LabeledSlice(k, planes[k], p.target) for k, p in pages]
            others = [each for each in others if each.name not in record.first_strokes()]
            now["met"] = measure_familiarity(start, first, others, config)
        taught = now["checkpoint"] is not start and not start.untrained
        how = adapted_config(config, len(record.pixel_counts), strokes, now["met"], taught)
        how = how.replace(seed=now["round"])
        job = train_job(
            start if start.untrained else now["checkpoint"], learned, [], how, threading.Event()
        )
        while True:
            try:
                next(job)
            except StopIteration as ended:
                now["checkpoint"] = ended.value.checkpoint
                now["net"] = now["checkpoint"].network()
                return

    def ask(planes: Any) -> Any:
        checkpoint = now["checkpoint"]
        seen = np.broadcast_to(planes, (3, *planes.shape[1:]))
        pixels = torch.from_numpy(standardize(seen, checkpoint.preprocessing))[None]
        with torch.inference_mode():
            zoom = checkpoint.preprocessing.zoom
            return now["net"].predict(pixels, checkpoint.head, zoom)[0, 0].sigmoid().numpy()

    return Method(name, update, ask, lambda: now["checkpoint"])


def configured(name: str) -> TrainingConfig:
    """Return a preset with its changes."""
    preset, _, changes = name.partition(":")
    return PRESETS[preset].replace(**parse_settings(changes))


def forest(seed: int) -> Method:
    """Return ilastik's recipe."""
    from sklearn.ensemble import RandomForestClassifier

    trees = RandomForestClassifier(100, n_jobs=torch.get_num_threads(), random_state=seed)
    kept: dict[int, Any] = {}

    def features(planes: Any) -> Any:
        if id(planes) not in kept:
            channels = multiscale_basic_features(
                np.moveaxis(planes, 0, -1), sigma_min=0.7, sigma_max=10, channel_axis=-1
            )
            kept[id(planes)] = channels.astype(np.float32)
        return kept[id(planes)]

    def update(record: Record, planes: dict[str, Any]) -> None:
        samples, classes = [], []
        for name, page in record.patches.items():
            known = page.target != UNLABELED
            samples.append(features(planes[name])[known])
            classes.append(page.target[known])
        trees.fit(np.concatenate(samples), np.concatenate(classes))

    def ask(planes: Any) -> Any:
        if not hasattr(trees, "classes_"):
            return np.zeros(planes.shape[1:], np.float32)
        chances = trees.predict_proba(features(planes).reshape(-1, features(planes).shape[-1]))
        column = list(trees.classes_).index(1) if 1 in trees.classes_ else None
        found = np.zeros(len(chances)) if column is None else chances[:, column]
        return found.reshape(planes.shape[1:])

    return Method("forest", update, ask)


# -- what came of it


def mean_dice(method: Method, slices: list[Any]) -> float:
    """Return Dice of the object, averaged over images."""
    return fmean(score(method.ask(s.planes) > 0.5, s.target == 1).dice for s in slices)


def summary(runs: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return mean and spread over the seeds."""
    told: dict[str, dict[str, Any]] = {}
    for name in runs[0]:
        told[name] = {}
        for mark in runs[0][name]:
            values = [run[name][mark] for run in runs]
            spread = stdev(values) if len(values) > 1 else 0.0
            told[name][str(mark)] = {"mean": fmean(values), "spread": spread}
    return told


def table(figures: dict[str, dict[str, Any]]) -> str:
    """Return the figures as text."""
    width = max(map(len, figures))
    lines = []
    for name, row in figures.items():
        cells = [f"{k}: {v['mean']:.3f} ± {v['spread']:.3f}" for k, v in row.items()]
        lines.append(f"{name:<{width}}  " + "   ".join(cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
