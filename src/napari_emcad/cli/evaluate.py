"""``napari-emcad evaluate``: scores on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.options import add_computing, computing, opened
from napari_emcad.cli.talk import or_mistake, print_json, tick

if TYPE_CHECKING:
    import argparse

    from napari_emcad.evaluation import ImageScore
    from napari_emcad.io.checkpoint import Checkpoint


def declare(verbs: Any) -> None:
    """Add the verb."""
    evaluate = verbs.add_parser("evaluate", help="score a checkpoint on labelled images")
    evaluate.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="a folder of images"
    )
    evaluate.add_argument(
        "--labels", type=Path, required=True, metavar="DIR", help="files of the images' names"
    )
    evaluate.add_argument("--json", action="store_true", help="as one JSON object")
    add_computing(evaluate)
    evaluate.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    """Score a checkpoint image by image, and print a table or JSON."""
    from napari_emcad.evaluation import evaluate
    from napari_emcad.io.images import paired

    checkpoint = opened(chosen.checkpoint, chosen.set)
    pairs = or_mistake(paired, chosen.images, chosen.labels)
    scores: list[ImageScore] = []
    running = evaluate(pairs, checkpoint, axes=chosen.axes, **computing(chosen))
    for number in range(1, len(pairs) + 1):
        scores.append(or_mistake(next, running))
        tick(f"{number} of {len(pairs)} images", last=number == len(pairs))
    if chosen.json:
        print_json(_report(scores, checkpoint))
    else:
        _print_table(scores, checkpoint)


def _report(scores: list[ImageScore], checkpoint: Checkpoint) -> dict[str, Any]:
    from napari_emcad.evaluation import METRICS, mean_over_images, pooled

    names = {k: each.name for k, each in enumerate(checkpoint.classes, start=1)}
    counted = pooled(scores)
    return {
        "checkpoint": checkpoint.origin.path,
        "sha256": checkpoint.origin.sha256,
        "images": [{"name": s.name} | {m: s.mean(m) for m in METRICS} for s in scores],
        "mean": {m: mean_over_images(scores, m) for m in METRICS},
        "pooled": {names[k]: {m: getattr(counted[k], m) for m in METRICS} for k in names},
    }


def _print_table(scores: list[ImageScore], checkpoint: Checkpoint) -> None:
    from napari_emcad.evaluation import METRICS

    report = _report(scores, checkpoint)
    rows = [(each["name"], each) for each in report["images"]]
    rows += [(f"mean of {len(scores)} images", report["mean"])]
    rows += [(f"all pixels, {name}", each) for name, each in report["pooled"].items()]
    width = max(len(name) for name, _ in rows)
    print(f"{'':<{width}}  {'Dice':>9}  {'IoU':>9}  {'precision':>9}  {'recall':>9}")
    for name, each in rows:
        print(f"{name:<{width}}" + "".join(f"  {each[metric]:>9.4f}" for metric in METRICS))
