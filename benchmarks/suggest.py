"""Strokes where the plugin suggests them, beside strokes at random and where most is wrong.

    python benchmarks/suggest.py --data DIR [--start FILE] [--kind color] [--seeds N] [--quick]

Images and annotator are those of `scribbles.py`: three images are annotated, up to thirty others
are untouched and scored. Each strategy teaches a network of its own. The first two strokes, an
object and background of the first image, are the same; then a strategy names a square without paint
and the annotator paints along the middle of the largest wrong area in it, or of the largest area if
nothing is wrong, in the class that is truly there. Objects and background take turns, as long as
the square has such areas of both. Networks learn after 2, 6, 12 and 20 strokes; between two of
these, squares are named by the last network.

    suggested   what the plugin's Suggest finds in a stack of the three images
    random      any square without paint
    error       the square with most wrong pixels, which needs the truth: the bound

DIR holds images/, labels/ and index.csv as for `dsb2018.py`. Without it everything is one kind.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scribbles import (
    Method,
    along_the_middle,
    draw,
    mean_dice,
    network,
    picked,
    started,
    summary,
    table,
)

from napari_emcad.annotation.label_rules import UNLABELED, LabelRule
from napari_emcad.annotation.record import Record
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.interactive.annotated_patches import AnnotatedImage
from napari_emcad.interactive.suggest import SuggestedRegions, SuggestSearch, suggest_job
from napari_emcad.interactive.suggest_ranking import REGION_SIZE
from napari_emcad.pipelines.segment import slices_for

if TYPE_CHECKING:
    from collections.abc import Generator

MARKS = (2, 6, 12, 20)
BACKGROUND = 255
Square = tuple[str, slice, slice]


@dataclass
class Round:
    """What a strategy may look at when it names a square; `truth` is for the bound alone."""

    method: Method
    planes: dict[str, Any]
    truth: dict[str, Any]
    paint: dict[str, Any]
    asked: dict[str, Any]
    rng: np.random.Generator

    def ask(self) -> None:
        """Let the network predict the annotated images."""
        self.asked = {name: self.method.ask(each) for name, each in self.planes.items()}


def main() -> None:
    """Run every seed, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--start", help="checkpoint to start from; default: the bundled model")
    parser.add_argument("--kind", help="of the images; default: all of them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="number of the first seed")
    parser.add_argument("--strategies", nargs="+", default=list(SQUARE_OF), choices=list(SQUARE_OF))
    parser.add_argument("--marks", type=int, nargs="+", default=list(MARKS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seeds, chosen.marks = 1, [2, 4]
    start = started(chosen.start)
    runs = [
        one_seed(seed, chosen, start)
        for seed in range(chosen.first, chosen.first + chosen.seeds)
    ]
    figures = summary(runs)
    print(json.dumps(figures) if chosen.json else table(figures))


def one_seed(seed: int, chosen: argparse.Namespace, start: Any) -> dict[str, dict[int, float]]:
    """Return what each strategy reached on images of one seed."""
    annotated, untouched = picked(chosen, start, np.random.default_rng(seed))
    planes = {each.name: each.planes for each in annotated}
    truth = {each.name: each.target for each in annotated}
    told = {"before": {0: mean_dice(network("scribbles", start, chosen.quick), untouched)}}
    for strategy in chosen.strategies:
        now = Round(
            network("scribbles", start, chosen.quick),
            planes,
            truth,
            {name: np.full(each.shape, UNLABELED, np.int16) for name, each in truth.items()},
            {},
            np.random.default_rng(seed),
        )
        now.ask()
        record, told[strategy] = Record(), {}
        for number in range(1, max(chosen.marks) + 1):
            if number <= 2:
                draw(now.paint, truth, [now.method], planes, now.rng, number)
            else:
                stroke_in(SQUARE_OF[strategy](now), now, number % 2)
            if number in chosen.marks:
                record = record.updated({k: v.copy() for k, v in now.paint.items()}, every=0)
                now.method.update(record, planes)
                now.ask()
                told[strategy][number] = mean_dice(now.method, untouched)
                done = f"{strategy}: {told[strategy][number]:.3f}, pixels {record.pixel_counts}"
                print(f"seed {seed}, {number} strokes, {done}", file=sys.stderr, flush=True)
    return told


# -- where to paint


def suggested(now: Round) -> Square:
    """Return the first place that the plugin suggests; chance decides if there is none."""
    names = list(now.planes)
    height, width = np.min([each.shape for each in now.truth.values()], axis=0).tolist()
    images = np.stack([now.planes[name][:, :height, :width] for name in names])
    paint = np.stack([now.paint[name][:height, :width] for name in names])
    labels = np.select([paint == UNLABELED, paint == 0], [0, BACKGROUND], paint).astype(np.uint8)
    checkpoint = now.method.checkpoint()
    slices = slices_for(np.moveaxis(images, 1, -1), checkpoint, "ZYXC")
    painted = AnnotatedImage("stack", "stack", slices, labels, LabelRule())
    shape, settings = (height, width), InferenceSettings()
    found = ended(
        suggest_job(SuggestSearch(slices, shape, checkpoint, settings, annotated=painted), Event())
    )
    for first in found.regions[:1]:
        return names[first.index[0]], slice(*first.rows), slice(*first.columns)
    return at_random(now)


def ended(job: Generator[Any, None, SuggestedRegions]) -> SuggestedRegions:
    """Return what a job returns."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def at_random(now: Round) -> Square:
    """Return any square without paint."""
    squares = unpainted(now.paint)
    return squares[int(now.rng.integers(len(squares)))]


def most_wrong(now: Round) -> Square:
    """Return the square without paint that has most wrong pixels."""
    wrong = {name: (each > 0.5) != (now.truth[name] == 1) for name, each in now.asked.items()}
    squares = unpainted(now.paint)
    counts = [np.count_nonzero(wrong[name][rows, columns]) for name, rows, columns in squares]
    return squares[int(np.argmax(counts))]


SQUARE_OF = {"suggested": suggested, "random": at_random, "error": most_wrong}


def unpainted(paint: dict[str, Any], patch: int = REGION_SIZE) -> list[Square]:
    """Return squares without paint, a quarter of their side apart; all if every one has some."""
    every, free = [], []
    for name, target in paint.items():
        tops, lefts = (
            sorted({*range(0, max(n - patch, 0), max(patch // 4, 1)), max(n - patch, 0)})
            for n in target.shape
        )
        for top in tops:
            for left in lefts:
                square = name, slice(top, top + patch), slice(left, left + patch)
                every.append(square)
                if (target[square[1:]] == UNLABELED).all():
                    free.append(square)
    return free or every


# -- the annotator


def stroke_in(square: Square, now: Round, turn: int) -> None:
    """Paint one stroke in a square, of the class that is truly there; `turn` comes first."""
    name, *part = square
    rows, columns = part
    right, target = now.truth[name][rows, columns] == 1, now.paint[name][rows, columns]
    free = target == UNLABELED
    wrong = ((now.asked[name][rows, columns] > 0.5) != right) & free
    where = wrong if wrong.any() else free if free.any() else np.ones_like(free)
    sizes = []
    for k in (0, 1):
        pieces, count = ndimage.label(where & (right == k))
        if count:
            areas = np.bincount(pieces.ravel())[1:]
            sizes.append((int(areas.max()), k, pieces == int(areas.argmax()) + 1))
    due = [each for each in sizes if each[1] == turn] or sizes
    _, k, area = max(due, key=lambda each: each[0])
    target[along_the_middle(area, right == k, now.rng)] = k


if __name__ == "__main__":
    main()
