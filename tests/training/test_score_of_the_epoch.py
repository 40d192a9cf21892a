"""Training chooses the epoch by the Dice that an evaluation reports: per image, not per slice."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_emcad import bundled_checkpoint, evaluate
from napari_emcad.io.datasets.read import labeled_slices_of
from napari_emcad.pipelines.scores import ImageScore, mean_over_images
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.training.metrics import Scores, mean_score
from napari_emcad.training.validation import mean_dice, mean_iou, pool_by_image, validate

Y, X = np.mgrid[:64, :64]
DISCS = (Y % 32 - 16) ** 2 + (X % 32 - 16) ** 2 < 80
NUCLEI = (20 + 180 * DISCS).astype(np.uint8)


def volume(*slices):
    return np.stack(slices).astype(np.uint8)


EMPTY = np.zeros((64, 64), np.uint8)
NOISE = np.random.default_rng(0).integers(0, 60, (64, 64)).astype(np.uint8)
CASES = {
    "mostly empty, nothing found": (
        volume(*[EMPTY] * 10), volume(*[EMPTY] * 9, DISCS)
    ),
    "stray pixels on an empty slice": (
        volume(NUCLEI, NUCLEI, NUCLEI, NUCLEI * (Y < 30)), volume(DISCS, DISCS, DISCS, EMPTY)
    ),
    "noise": (volume(NUCLEI, NOISE, EMPTY), volume(DISCS, EMPTY, EMPTY)),
}  # fmt: skip


@pytest.fixture(scope="module")
def bundled():
    return bundled_checkpoint()


def scores_in_training(checkpoint, images, labels):
    slices = [
        one
        for number, (image, truth) in enumerate(zip(images, labels, strict=True))
        for one in labeled_slices_of(
            f"{number}",
            slices_for(image, checkpoint, "ZYX"),
            truth.astype(np.int16),
            checkpoint.preprocessing,
        )
    ]
    network, stop = checkpoint.network(), threading.Event()
    scores = validate(network, slices, checkpoint.preprocessing, stop, checkpoint.head)
    return pool_by_image(scores, slices)


@pytest.mark.parametrize("names", [[name] for name in CASES] + [list(CASES)])
def test_training_and_evaluation_report_the_same_score(names, bundled):
    images, labels = zip(*(CASES[name] for name in names), strict=True)
    pooled = scores_in_training(bundled, images, labels)
    reported = evaluate(images, labels, bundled, "ZYX")
    assert [one.by_class for one in reported] == list(pooled)
    assert mean_dice(pooled) == mean_over_images(reported, "dice")
    assert mean_iou(pooled) == mean_over_images(reported, "iou")


def test_a_network_that_finds_nothing_scores_nothing(bundled):
    image, truth = CASES["mostly empty, nothing found"]
    assert mean_dice(scores_in_training(bundled, [image], [truth])) == 0


def test_an_image_without_the_class_does_not_count():
    absent, wrong, right = Scores(0, 0, 0), Scores(0, 5, 0), Scores(9, 0, 0)
    missed = Scores(0, 0, 3)
    assert mean_score([{1: absent}] * 9 + [{1: missed}], "dice") == 0
    assert mean_score([{1: absent, 2: right}, {1: wrong, 2: right}], "dice") == 0.75
    assert mean_score([{1: absent}], "dice") == 1
    assert mean_score([], "dice") == 0
    images = [ImageScore("a", {1: absent}), ImageScore("b", {1: missed})]
    assert mean_over_images(images, "dice") == 0
    assert [image.counts for image in images] == [False, True]
