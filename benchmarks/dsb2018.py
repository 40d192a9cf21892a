"""Score a checkpoint, or a B0 trained here from scratch, on a folder laid out like DSB2018.

    python benchmarks/dsb2018.py --data DIR [--checkpoint FILE | --train OUT] [--quick] [--json]

Images are enlarged by a factor of 1.5 for the network. ``--start FILE`` starts the training from a
checkpoint instead of random weights; the learning rate schedule starts from its beginning.

DIR contains images/, labels/ and index.csv with the columns id, split (train, val, test) and kind;
without index.csv, or without splits, all images are test data of one kind. The test split is used
for the final scores only.
"""

from __future__ import annotations

import argparse
import csv
import json
import threading
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import torch

import napari_emcad
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import read_dataset
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.run_folder import TrainingRun
from napari_emcad.pipelines.evaluate import evaluate
from napari_emcad.pipelines.scores import METRICS
from napari_emcad.pipelines.train import train_job
from napari_emcad.training.events import EpochEnd, Snapshot
from napari_emcad.training.presets import PRESETS

if TYPE_CHECKING:
    from napari_emcad.training.samples import LabeledSlice

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Standardization of the channels, as the pre-trained encoder expects it."""

WEIGHTS = {"color": 2.0, "bright": 3.0}
"""Sampling weight of the rare kinds; it multiplies the square root of the relative image area."""

ZOOM = 1.5
"""Enlargement of the images; selected on the val split among 1, 1.25, 1.5 and 2, like the head."""

QUICK_IMAGES = 8
"""Approximate number of test images with ``--quick``."""


def main() -> None:
    """Train a network if ``--train`` is given, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--train", type=Path, metavar="OUT", help="train a network in this folder")
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="checkpoint to start the training from"
    )
    parser.add_argument(
        "--encoder", type=Path, metavar="FILE", help="weights of a PVTv2-B0 encoder to start from"
    )
    parser.add_argument("--without", metavar="KIND", help="kind not to train on")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1e-3, help="largest learning rate (0.001)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the training (0)")
    parser.add_argument("--quick", action="store_true", help="use a few images and a few steps")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    try:
        find_files(options.data)
    except ImageFileError as error:
        parser.error(f"--data: {error}")
    index = read_index(options.data)
    if options.train is not None:
        checkpoint = train_b0(options, index)
    elif options.checkpoint is not None:
        checkpoint = napari_emcad.read_checkpoint(options.checkpoint)
    else:
        checkpoint = napari_emcad.bundled_checkpoint()
    figures = score_by_kind(options, index, checkpoint)
    print(json.dumps(figures) if options.json else table(figures))


def read_index(folder: Path) -> dict[str, dict[str, str]]:
    """Return the split and the kind of the images by file stem."""
    path = folder / "index.csv"
    if path.exists():
        with path.open() as file:
            rows = {row["id"]: row for row in csv.DictReader(file)}
    else:
        rows = {image.stem: {} for image, _ in find_files(folder).pairs}
    return {
        name: {"split": row.get("split") or "test", "kind": row.get("kind") or "all kinds"}
        for name, row in rows.items()
    }


def select_pairs(
    folder: Path, index: dict[str, dict[str, str]], split: str
) -> list[tuple[Path, tuple[Path, ...]]]:
    """Return the image and label files of a split."""
    pairs = find_files(folder).pairs
    return [pair for pair in pairs if index.get(pair[0].stem, {}).get("split") == split]


def score_by_kind(
    options: argparse.Namespace,
    index: dict[str, dict[str, str]],
    checkpoint: napari_emcad.Checkpoint,
) -> dict[str, dict[str, float]]:
    """Return the mean metrics over the test images, for all images and by kind."""
    pairs = select_pairs(options.data, index, "test")
    if options.quick:
        pairs = pairs[:: max(len(pairs) // QUICK_IMAGES, 1)]
    by_kind = defaultdict(list)
    for (image, _), score in zip(pairs, evaluate(pairs, checkpoint), strict=True):
        for kind in ("all", index[image.stem]["kind"]):
            by_kind[kind].append(score)
    return {
        kind: {"images": len(scores)}
        | {metric: fmean(s.mean(metric) for s in scores) for metric in METRICS}
        for kind, scores in by_kind.items()
    }


def train_b0(
    options: argparse.Namespace, index: dict[str, dict[str, str]]
) -> napari_emcad.Checkpoint:
    """Train a B0 on the train split; return the checkpoint of the epoch with the best val Dice."""
    if options.start is None:
        start = napari_emcad.initialize_checkpoint(options.encoder, seed=1)
    else:
        start = napari_emcad.read_checkpoint(options.start)
    start = start.override(
        intensity="percentile",
        low=0.5,
        high=99.5,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        size=None,
        zoom=ZOOM,
        head="sum",
        classes=["nucleus"],
    )
    config = PRESETS["from-scratch"].replace(
        epochs=options.epochs, learning_rate=options.rate, seed=options.seed, scale=(0.4, 2.0)
    )
    training, held_out = (read_slices(options, index, split, start) for split in ("train", "val"))
    if options.quick:
        config = config.replace(epochs=1, crops_per_epoch=32, crop=128, validate_every=1)
        held_out = held_out[:4]
    run = TrainingRun(options.train)
    state = run.load({}) if run.has_state else None
    job = train_job(start, training, held_out, config, threading.Event(), state=state)
    while True:
        try:
            event = next(job)
        except StopIteration as end:
            checkpoint = end.value.checkpoint
            napari_emcad.write_checkpoint(checkpoint, options.train / "model.safetensors")
            return checkpoint
        if isinstance(event, Snapshot):
            run.save(event.state, {})
            run.write_history([EpochEnd(**epoch) for epoch in event.state["epochs"]])


def read_slices(
    options: argparse.Namespace,
    index: dict[str, dict[str, str]],
    split: str,
    start: napari_emcad.Checkpoint,
) -> list[LabeledSlice]:
    """Return the slices of a split; slices of rare kinds and large images have larger weights."""
    pairs = select_pairs(options.data, index, split)[: 24 if options.quick else None]
    pairs = [pair for pair in pairs if index[pair[0].stem]["kind"] != options.without]
    data = read_dataset(pairs, 3, start.preprocessing, 1, foreground=True)
    kinds = [index[Path(labeled.name).stem]["kind"] for labeled in data.slices]
    return [
        replace(labeled, weight=WEIGHTS.get(kind, 1.0) * (labeled.target.size / 256**2) ** 0.5)
        for labeled, kind in zip(data.slices, kinds, strict=True)
    ]


def table(figures: dict[str, dict[str, float]]) -> str:
    """Return the figures as a text table."""
    lines = [f"{'':<10} {'images':>7} " + " ".join(f"{name:>9}" for name in METRICS)]
    for kind, row in figures.items():
        cells = " ".join(f"{row[name]:>9.4f}" for name in METRICS)
        lines.append(f"{kind:<10} {row['images']:>7} {cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
