"""Dice on DSB2018-like folders, of a checkpoint or of a B0 trained from scratch here.

    python benchmarks/dsb2018.py --data DIR [--checkpoint FILE | --train OUT] [--quick] [--json]

The network sees images one and a half times as large as they are. ``--start FILE`` goes on from a
checkpoint (``nothing`` is the default); the schedule begins anew.

DIR holds images/, labels/ and index.csv with columns id, split (train, val, test) and kind; without
the file, or without splits, everything is test data of one kind. The test split is looked at once.
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

import torch

import napari_emcad
from napari_emcad.io.images.dataset import DatasetError, dataset_pairs, read_dataset
from napari_emcad.io.run_folder import TrainingRun
from napari_emcad.pipelines.evaluate import evaluate
from napari_emcad.pipelines.scores import METRICS
from napari_emcad.pipelines.train import train_job
from napari_emcad.training.events import EpochEnd, Snapshot
from napari_emcad.training.presets import PRESETS

WEIGHTS = {"color": 1.5, "bright": 3.0}
"""How much oftener the rare kinds are drawn, besides the root of an image's area."""

ZOOM = 1.5
"""Chosen by the validation images among 1, 1.25, 1.5 and 2, as is the head."""

QUICK_IMAGES = 8


def main() -> None:
    """Train if asked to, then score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--train", type=Path, metavar="OUT", help="folder of the training")
    parser.add_argument("--start", type=Path, metavar="FILE", help="a checkpoint to go on from")
    parser.add_argument("--without", metavar="KIND", help="a kind of images not to train on")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1e-3, help="largest learning rate (0.001)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--quick", action="store_true", help="a few images, a few steps")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    chosen = parser.parse_args()
    try:
        dataset_pairs(chosen.data)
    except DatasetError as error:
        parser.error(f"--data: {error}")
    index = read_index(chosen.data)
    if chosen.train is not None:
        checkpoint = trained(chosen, index)
    elif chosen.checkpoint is not None:
        checkpoint = napari_emcad.read_checkpoint(chosen.checkpoint)
    else:
        checkpoint = napari_emcad.bundled_checkpoint()
    figures = scores(chosen, index, checkpoint)
    print(json.dumps(figures) if chosen.json else table(figures))


def read_index(folder: Path) -> dict[str, dict[str, str]]:
    """Return split and kind of each image by its stem."""
    path = folder / "index.csv"
    if path.exists():
        with path.open() as file:
            listed = {row["id"]: row for row in csv.DictReader(file)}
    else:
        listed = {image.stem: {} for image, _ in dataset_pairs(folder)}
    return {
        name: {"split": row.get("split") or "test", "kind": row.get("kind") or "all kinds"}
        for name, row in listed.items()
    }


def pairs_of(folder: Path, index: dict[str, dict[str, str]], split: str) -> list[tuple[Path, Path]]:
    """Return the image and label files of a split."""
    pairs = dataset_pairs(folder)
    return [pair for pair in pairs if index.get(pair[0].stem, {}).get("split") == split]


def scores(
    chosen: argparse.Namespace,
    index: dict[str, dict[str, str]],
    checkpoint: napari_emcad.Checkpoint,
) -> dict[str, dict[str, float]]:
    """Return each metric's mean over images, for all and for each kind."""
    pairs = pairs_of(chosen.data, index, "test")
    if chosen.quick:
        pairs = pairs[:: max(len(pairs) // QUICK_IMAGES, 1)]
    by_kind = defaultdict(list)
    for (image, _), score in zip(pairs, evaluate(pairs, checkpoint), strict=True):
        for kind in ("all", index[image.stem]["kind"]):
            by_kind[kind].append(score)
    return {
        kind: {"images": len(listed)} | {m: fmean(s.mean(m) for s in listed) for m in METRICS}
        for kind, listed in by_kind.items()
    }


def trained(
    chosen: argparse.Namespace, index: dict[str, dict[str, str]]
) -> napari_emcad.Checkpoint:
    """Return a B0 trained on the train split alone, chosen by the val split."""
    if chosen.start is None:
        start = napari_emcad.initialize_checkpoint(seed=1)
    else:
        start = napari_emcad.read_checkpoint(chosen.start)
    start = start.override(
        intensity="percentile",
        low=0.5,
        high=99.5,
        mean=0.45,
        std=0.225,
        size=None,
        zoom=ZOOM,
        head="sum",
        classes=["nucleus"],
    )
    config = PRESETS["from-scratch"].replace(
        epochs=chosen.epochs, learning_rate=chosen.rate, seed=chosen.seed, scale=(0.4, 2.0)
    )
    slices, held_out = (slices_of(chosen, index, split, start) for split in ("train", "val"))
    if chosen.quick:
        config = config.replace(epochs=1, crops_per_epoch=32, crop=128, validate_every=1)
        held_out = held_out[:4]
    run = TrainingRun(chosen.train)
    state = run.load({}) if run.has_state else None
    job = train_job(start, slices, held_out, config, threading.Event(), state=state)
    while True:
        try:
            event = next(job)
        except StopIteration as ended:
            checkpoint = ended.value.checkpoint
            napari_emcad.write_checkpoint(checkpoint, chosen.train / "model.safetensors")
            return checkpoint
        if isinstance(event, Snapshot):
            run.save(event.state, {})
            run.write_history([EpochEnd(**each) for each in event.state["epochs"]])


def slices_of(
    chosen: argparse.Namespace,
    index: dict[str, dict[str, str]],
    split: str,
    start: napari_emcad.Checkpoint,
) -> list[object]:
    """Return the slices of a split, rare kinds and large images weighing more."""
    pairs = pairs_of(chosen.data, index, split)[: 24 if chosen.quick else None]
    pairs = [pair for pair in pairs if index[pair[0].stem]["kind"] != chosen.without]
    data = read_dataset(pairs, 3, start.preprocessing, 1, foreground=True)
    kinds = [index[Path(each.name).stem]["kind"] for each in data.slices]
    return [
        replace(each, weight=WEIGHTS.get(kind, 1.0) * (each.target.size / 256**2) ** 0.5)
        for each, kind in zip(data.slices, kinds, strict=True)
    ]


def table(figures: dict[str, dict[str, float]]) -> str:
    """Return the figures as text."""
    lines = [f"{'':<10} {'images':>7} " + " ".join(f"{name:>9}" for name in METRICS)]
    for kind, row in figures.items():
        cells = " ".join(f"{row[name]:>9.4f}" for name in METRICS)
        lines.append(f"{kind:<10} {row['images']:>7} {cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
