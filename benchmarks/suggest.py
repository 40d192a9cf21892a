"""Strokes where the plugin suggests them, beside strokes at random and where most is wrong.

    python benchmarks/suggest.py --data DIR [--start FILE] [--kind color] [--seeds N] [--quick]

Images and annotator are those of `scribbles.py`: three images are annotated, up to thirty others
are untouched and scored. Each strategy teaches a network of its own. The first two strokes, an
object and background of the first image, are the same; then a strategy names a square without paint
and the annotator paints along the middle of the largest wrong area in it, or of the largest area if
nothing is wrong, in the class that is truly there; with --turns objects and background take turns
as long as the square has such areas of both. Networks learn after 2, 5, 10 and 20 strokes;
between two of these, squares are named by the last network.

    suggested   napari_emcad.suggestion: doubt, share of doubtful pixels, unlikeness to paint
    random      any square without paint
    doubt       the same without unlikeness; not run unless asked for with --strategies
    error       the square with most wrong pixels, which needs the truth: the bound

DIR holds images/, labels/ and index.csv as for `dsb2018.py`. Without it everything is one kind.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from scribbles import along_the_middle, draw, mean_dice, network, picked, started, summary, table

from napari_emcad.imaging.paint import UNPAINTED
from napari_emcad.imaging.strokes import Record
from napari_emcad.inference.doubt import entropy
from napari_emcad.suggestion import PATCH, Doubted, suggestions

MARKS = (2, 5, 10, 20)
STRATEGIES = ("suggested", "random", "error")
Square = tuple[str, slice, slice]


def main() -> None:
    """Run every seed, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--start", help="checkpoint to start from; default: the bundled model")
    parser.add_argument("--kind", help="of the images; default: all of them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--patch", type=int, default=PATCH, help="side of a square, in pixels")
    parser.add_argument(
        "--strategies", nargs="+", default=list(STRATEGIES), choices=list(SQUARE_OF)
    )
    parser.add_argument("--marks", type=int, nargs="+", default=list(MARKS))
    parser.add_argument(
        "--turns", action="store_true", help="objects and background take turns within squares"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seeds, chosen.marks = 1, [2, 4]
    start = started(chosen.start)
    runs = [one_seed(seed, chosen, start) for seed in range(chosen.seeds)]
    figures = summary(runs)
    print(json.dumps(figures) if chosen.json else table(figures))


def one_seed(seed: int, chosen: argparse.Namespace, start: Any) -> dict[str, dict[int, float]]:
    """Return what each strategy reached on images of one seed."""
    annotated, untouched = picked(chosen, start, np.random.default_rng(seed))
    planes = {each.name: each.planes for each in annotated}
    truth = {each.name: each.target for each in annotated}
    told = {"before": {0: mean_dice(network("scribbles", start, chosen.quick), untouched)}}
    for strategy in chosen.strategies:
        method, rng = network("scribbles", start, chosen.quick), np.random.default_rng(seed)
        paint = {name: np.full(each.shape, UNPAINTED, np.int16) for name, each in truth.items()}
        asked = {name: method.ask(each) for name, each in planes.items()}
        record, told[strategy] = Record(), {}
        for number in range(1, max(chosen.marks) + 1):
            if number <= 2:
                draw(paint, truth, [method], planes, rng, number)
            else:
                square = SQUARE_OF[strategy](asked, planes, truth, paint, chosen.patch, rng)
                turn = number % 2 if chosen.turns else None
                stroke_in(square, asked, truth, paint, rng, turn)
            if number in chosen.marks:
                record = record.looked({k: v.copy() for k, v in paint.items()}, every=0)
                method.update(record, planes)
                asked = {name: method.ask(each) for name, each in planes.items()}
                told[strategy][number] = mean_dice(method, untouched)
                done = f"{strategy}: {told[strategy][number]:.3f}, pixels {record.painted}"
                print(f"seed {seed}, {number} strokes, {done}", file=sys.stderr, flush=True)
    return told


# -- where to paint


def suggested(
    asked: dict[str, Any],
    planes: dict[str, Any],
    truth: dict[str, Any],
    paint: dict[str, Any],
    patch: int,
    rng: np.random.Generator,
    unlike: bool = True,
) -> Square:
    """Return the first suggestion; chance decides if there is none."""
    names = list(asked)
    slices = [
        Doubted((n,), entropy(np.stack([1 - asked[k], asked[k]])), paint[k], looks)
        for n, k in enumerate(names)
        for looks in [planes[k] if unlike else None]
    ]
    for first in suggestions(slices, patch, 1):
        return names[first.index[0]], slice(*first.rows), slice(*first.columns)
    return at_random(asked, planes, truth, paint, patch, rng)


def at_random(
    asked: dict[str, Any],
    planes: dict[str, Any],
    truth: dict[str, Any],
    paint: dict[str, Any],
    patch: int,
    rng: np.random.Generator,
) -> Square:
    """Return any square without paint."""
    squares = unpainted(paint, patch)
    return squares[int(rng.integers(len(squares)))]


def most_wrong(
    asked: dict[str, Any],
    planes: dict[str, Any],
    truth: dict[str, Any],
    paint: dict[str, Any],
    patch: int,
    rng: np.random.Generator,
) -> Square:
    """Return the square without paint that has most wrong pixels."""
    wrong = {name: (asked[name] > 0.5) != (truth[name] == 1) for name in asked}
    squares = unpainted(paint, patch)
    counts = [np.count_nonzero(wrong[name][rows, columns]) for name, rows, columns in squares]
    return squares[int(np.argmax(counts))]


SQUARE_OF = {
    "suggested": suggested,
    "doubt": partial(suggested, unlike=False),
    "random": at_random,
    "error": most_wrong,
}


def unpainted(paint: dict[str, Any], patch: int) -> list[Square]:
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
                if (target[square[1:]] == UNPAINTED).all():
                    free.append(square)
    return free or every


# -- the annotator


def stroke_in(
    square: Square,
    asked: dict[str, Any],
    truth: dict[str, Any],
    paint: dict[str, Any],
    rng: np.random.Generator,
    turn: int | None,
) -> None:
    """Paint one stroke in a square, of the class that is truly there; `turn` comes first."""
    name, *part = square
    rows, columns = part
    right, target = truth[name][rows, columns] == 1, paint[name][rows, columns]
    free = target == UNPAINTED
    wrong = ((asked[name][rows, columns] > 0.5) != right) & free
    where = wrong if wrong.any() else free if free.any() else np.ones_like(free)
    sizes = []
    for k in (0, 1):
        pieces, count = ndimage.label(where & (right == k))
        if count:
            areas = np.bincount(pieces.ravel())[1:]
            sizes.append((int(areas.max()), k, pieces == int(areas.argmax()) + 1))
    due = [each for each in sizes if each[1] == turn] or sizes
    _, k, area = max(due, key=lambda each: each[0])
    target[along_the_middle(area, right == k, rng)] = k


if __name__ == "__main__":
    main()
