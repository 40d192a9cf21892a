"""Compare strokes in suggested regions with strokes in random regions and in the most wrong ones.

    python benchmarks/suggest.py --data DIR [--start FILE] [--kind color] [--seeds N] [--quick]

Images and annotator are those of `scribbles.py`: three images are annotated, up to thirty others
are test images. Every strategy trains its own network. The first two strokes, in an object and in
the background of the first image, are the same for all. Then the strategy selects a square without
strokes, and the annotator draws along the centerline of the largest wrong area in it (of the
largest area if nothing is wrong) with its true class. Strokes of object and background alternate
while the square has such areas of both. Networks are updated after 2, 6, 12 and 20 strokes; in
between, squares are selected with the latest network.

    suggested   first region that the plugin's Suggest returns for a stack of the three images
    random      random square without strokes
    error       square with the most wrong pixels; it needs the ground truth and is an upper bound

DIR contains images/, labels/ and index.csv as for `dsb2018.py`. Without index.csv all images are of
one kind.
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
    centerline_stroke,
    mean_dice,
    network_method,
    paint_stroke,
    select_slices,
    starting_checkpoint,
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
    """State of one strategy.

    Attributes
    ----------
    method
        Network that is trained.
    planes, truth
        Pixels and ground truth of the annotated images by name; strategies except `error` must not
        use the truth.
    paint
        Strokes so far by image name; `UNLABELED` elsewhere.
    predictions
        Object probabilities of the annotated images by name.
    rng
        Random generator of the strategy.
    """

    method: Method
    planes: dict[str, Any]
    truth: dict[str, Any]
    paint: dict[str, Any]
    predictions: dict[str, Any]
    rng: np.random.Generator

    def predict(self) -> None:
        """Update the predictions of the annotated images."""
        self.predictions = {name: self.method.predict(image) for name, image in self.planes.items()}


def main() -> None:
    """Run all seeds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--start", help="checkpoint to start from (default: the bundled model)")
    parser.add_argument("--kind", help="kind of the images (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    parser.add_argument("--strategies", nargs="+", default=list(SQUARE_OF), choices=list(SQUARE_OF))
    parser.add_argument("--marks", type=int, nargs="+", default=list(MARKS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.marks = 1, [2, 4]
    start = starting_checkpoint(options.start)
    runs = [
        one_seed(seed, options, start)
        for seed in range(options.first, options.first + options.seeds)
    ]
    figures = summary(runs)
    print(json.dumps(figures) if options.json else table(figures))


def one_seed(seed: int, options: argparse.Namespace, start: Any) -> dict[str, dict[int, float]]:
    """Return the scores of all strategies on the images of one seed."""
    annotated, test_slices = select_slices(options, start, np.random.default_rng(seed))
    planes = {labeled.name: labeled.planes for labeled in annotated}
    truth = {labeled.name: labeled.target for labeled in annotated}
    before = network_method("scribbles", start, options.quick)
    figures: dict[str, dict[int, float]] = {"before": {0: mean_dice(before, test_slices)}}
    for strategy in options.strategies:
        current = Round(
            network_method("scribbles", start, options.quick),
            planes,
            truth,
            {name: np.full(target.shape, UNLABELED, np.int16) for name, target in truth.items()},
            {},
            np.random.default_rng(seed),
        )
        current.predict()
        record, figures[strategy] = Record(), {}
        for number in range(1, max(options.marks) + 1):
            if number <= 2:
                paint_stroke(current.paint, truth, [current.method], planes, current.rng, number)
            else:
                paint_stroke_in_square(SQUARE_OF[strategy](current), current, number % 2)
            if number in options.marks:
                record = record.updated({k: v.copy() for k, v in current.paint.items()}, every=0)
                current.method.update(record, planes)
                current.predict()
                figures[strategy][number] = mean_dice(current.method, test_slices)
                done = f"{strategy}: {figures[strategy][number]:.3f}, pixels {record.pixel_counts}"
                print(f"seed {seed}, {number} strokes, {done}", file=sys.stderr, flush=True)
    return figures


# -- strategies


def suggested_square(current: Round) -> Square:
    """Return the first region that the plugin suggests; a random square if there is none."""
    names = list(current.planes)
    height, width = np.min([target.shape for target in current.truth.values()], axis=0).tolist()
    images = np.stack([current.planes[name][:, :height, :width] for name in names])
    paint = np.stack([current.paint[name][:height, :width] for name in names])
    labels = np.select([paint == UNLABELED, paint == 0], [0, BACKGROUND], paint).astype(np.uint8)
    checkpoint = current.method.checkpoint()
    slices = slices_for(np.moveaxis(images, 1, -1), checkpoint, "ZYXC")
    annotated = AnnotatedImage("stack", "stack", slices, labels, LabelRule())
    settings = InferenceSettings()
    search = SuggestSearch(slices, (height, width), checkpoint, settings, annotated=annotated)
    result = run_to_end(suggest_job(search, Event()))
    for first in result.regions[:1]:
        return names[first.index[0]], slice(*first.rows), slice(*first.columns)
    return random_square(current)


def run_to_end(job: Generator[Any, None, SuggestedRegions]) -> SuggestedRegions:
    """Run a job and return its result."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            result: SuggestedRegions = end.value
            return result


def random_square(current: Round) -> Square:
    """Return a random square without strokes."""
    squares = unpainted_squares(current.paint)
    return squares[int(current.rng.integers(len(squares)))]


def most_wrong_square(current: Round) -> Square:
    """Return the square without strokes that has the most wrong pixels."""
    wrong = {
        name: (p > 0.5) != (current.truth[name] == 1) for name, p in current.predictions.items()
    }
    squares = unpainted_squares(current.paint)
    counts = [np.count_nonzero(wrong[name][rows, columns]) for name, rows, columns in squares]
    return squares[int(np.argmax(counts))]


SQUARE_OF = {"suggested": suggested_square, "random": random_square, "error": most_wrong_square}


def unpainted_squares(paint: dict[str, Any], patch: int = REGION_SIZE) -> list[Square]:
    """Return the squares without strokes, a quarter of a side apart; all if none is without."""
    squares, free = [], []
    for name, target in paint.items():
        tops, lefts = (
            sorted({*range(0, max(n - patch, 0), max(patch // 4, 1)), max(n - patch, 0)})
            for n in target.shape
        )
        for top in tops:
            for left in lefts:
                square = name, slice(top, top + patch), slice(left, left + patch)
                squares.append(square)
                if (target[square[1:]] == UNLABELED).all():
                    free.append(square)
    return free or squares


# -- the annotator


def paint_stroke_in_square(square: Square, current: Round, turn: int) -> None:
    """Add one stroke in a square with its true class, of class `turn` if possible."""
    name, *part = square
    rows, columns = part
    is_object, target = current.truth[name][rows, columns] == 1, current.paint[name][rows, columns]
    free = target == UNLABELED
    wrong = ((current.predictions[name][rows, columns] > 0.5) != is_object) & free
    where = wrong if wrong.any() else free if free.any() else np.ones_like(free)
    sizes = []
    for k in (0, 1):
        pieces, count = ndimage.label(where & (is_object == k))
        if count:
            areas = np.bincount(pieces.ravel())[1:]
            sizes.append((int(areas.max()), k, pieces == int(areas.argmax()) + 1))
    due = [piece for piece in sizes if piece[1] == turn] or sizes
    _, k, area = max(due, key=lambda piece: piece[0])
    target[centerline_stroke(area, is_object == k, current.rng)] = k


if __name__ == "__main__":
    main()
