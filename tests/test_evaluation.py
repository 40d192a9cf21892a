"""Scores of a checkpoint on labelled images, made up and real."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_emcad import bundled_checkpoint, evaluation, read_checkpoint
from napari_emcad.evaluation import (
    METRICS,
    ImageScore,
    class_scores,
    evaluate,
    mean_over_images,
    pooled,
)
from napari_emcad.io.images import ImageFileError
from napari_emcad.training.metrics import Scores, score

SHARED = Path(__file__).parents[2] / "shared"
DATA, PUBLISHED = SHARED / "data" / "dsb2018", SHARED / "checkpoints" / "nuclei_b0_published.pth"

masks = arrays.arrays(np.uint8, (5, 7), elements=st.integers(0, 2))


@settings(deadline=None, database=None, derandomize=True)
@given(masks, masks)
def test_one_class_is_all_that_is_not_zero(predicted, truth):
    (scores,) = class_scores(predicted, truth.astype(np.uint16) * 300, 1).values()
    found, wanted = predicted > 0, truth > 0
    both, either = (found & wanted).sum(), (found | wanted).sum()
    assert scores.true_positive == both
    if either:
        assert scores.dice == pytest.approx(2 * both / (found.sum() + wanted.sum()))
        assert scores.iou == pytest.approx(both / either)
        assert scores.iou == pytest.approx(scores.dice / (2 - scores.dice))
    if found.any():
        assert scores.precision == pytest.approx(both / found.sum())
    if wanted.any():
        assert scores.recall == pytest.approx(both / wanted.sum())


@settings(deadline=None, database=None, derandomize=True)
@given(masks, masks)
def test_each_of_several_classes_is_scored_alone(predicted, truth):
    scores = class_scores(predicted, truth, 2)
    assert list(scores) == [1, 2]
    for k, each in scores.items():
        assert each == score(predicted == k, truth == k)


def test_a_0_255_mask_is_class_1():
    truth = np.array([[0, 255], [255, 0]], np.uint8)
    predicted = np.array([[0, 1], [2, 0]], np.uint8)
    scores = class_scores(predicted, truth, 3)
    assert scores[1] == Scores(1, 0, 1)
    assert scores[2] == Scores(0, 1, 0)


@pytest.mark.parametrize(
    ("truth", "named"), [([[0, 4]], "4"), ([[0, -1]], "-1"), ([[9, 255]], "255")]
)
def test_values_that_are_no_classes_are_refused_by_name(truth, named):
    with pytest.raises(ValueError, match=rf"value {named};.*1 to 3"):
        class_scores(np.zeros((1, 2), np.uint8), np.array(truth), 3)


@pytest.mark.parametrize("classes", [1, 2])
def test_other_shapes_are_refused(classes):
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(1, 2\)"):
        class_scores(np.zeros((2, 2), np.uint8), np.zeros((1, 2), np.uint8), classes)


def test_empty_masks_agree_and_a_missed_object_scores_nothing():
    nothing, something = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    for metric in METRICS:
        assert getattr(class_scores(nothing, nothing, 1)[1], metric) == 1
        missed = getattr(class_scores(nothing, something, 1)[1], metric)
        assert missed == 0, metric
    assert class_scores(something, nothing, 1)[1].dice == 0


def test_means_weigh_images_alike_and_pools_weigh_pixels_alike():
    small = ImageScore("small", {1: Scores(1, 0, 0), 2: Scores(0, 1, 1)})
    large = ImageScore("large", {1: Scores(100, 0, 100), 2: Scores(50, 50, 0)})
    assert small.mean("dice") == 0.5
    assert large.mean("recall") == pytest.approx((0.5 + 1) / 2)
    assert mean_over_images([small, large], "recall") == pytest.approx((0.5 + 0.75) / 2)
    assert pooled(iter([small, large])) == {1: Scores(101, 0, 100), 2: Scores(50, 51, 1)}


@pytest.fixture
def segmented(monkeypatch):
    """Have everything above 100 segmented, and note how."""
    calls = []

    def thresholded(pixels, _checkpoint, axes, **options):
        calls.append((pixels.shape, axes, options))
        return SimpleNamespace(labels=(np.asarray(pixels) > 100).astype(np.uint8))

    monkeypatch.setattr(evaluation, "segment", thresholded)
    return calls


@pytest.fixture
def pair(tmp_path):
    """Return a function that writes an image and its labels."""

    def pair(image, labels, name="a.tif"):
        tifffile.imwrite(tmp_path / name, image, photometric="minisblack")
        tifffile.imwrite(tmp_path / f"labels_{name}", labels, photometric="minisblack")
        return tmp_path / name, tmp_path / f"labels_{name}"

    return pair


def test_images_are_scored_one_after_another(segmented, pair):
    image = np.array([[0, 200], [200, 200]], np.uint8)
    files = [pair(image, image // 200, "a.tif"), pair(image, image * 0, "b.tif")]
    running = evaluate(iter(files), bundled_checkpoint(), tile=64)
    assert next(running) == ImageScore("a.tif", {1: Scores(3, 0, 0)})
    assert len(segmented) == 1
    assert next(running) == ImageScore("b.tif", {1: Scores(0, 3, 0)})
    assert segmented == [((2, 2), "YX", {"tile": 64})] * 2
    assert list(running) == []


def test_given_axes_count_more_than_those_of_the_file(segmented, pair):
    image = np.zeros((3, 4, 5), np.uint8)
    list(evaluate([pair(image, image)], bundled_checkpoint(), axes="ZYX"))
    assert segmented[0][1] == "ZYX"


def test_errors_name_the_image(segmented, pair, tmp_path):
    image = np.zeros((4, 5), np.uint8)
    with pytest.raises(ValueError, match=r"^a\.tif: .*\(4, 5\).*\(4, 4\)"):
        list(evaluate([pair(image, image[:, :4])], bundled_checkpoint()))
    missing = (pair(image, image)[0], tmp_path / "no.tif")
    with pytest.raises(ImageFileError, match=r"no\.tif"):
        list(evaluate([missing], bundled_checkpoint()))


# -- real images

real = pytest.mark.skipif(not PUBLISHED.is_file() or not DATA.is_dir(), reason="no real data here")


@pytest.fixture(scope="module")
def rows():
    with (DATA / "index.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "test"]


def files_of(row):
    return DATA / "images" / f"{row['id']}.png", DATA / "labels" / f"{row['id']}.png"


def is_large(row) -> bool:
    return max(int(row["height"]), int(row["width"])) > 512


@pytest.fixture(scope="module")
def tiled(rows):
    """Return the scores of the 65 test images in tiles of 512, in order."""
    return list(evaluate(map(files_of, rows), read_checkpoint(PUBLISHED)))


@real
def test_mean_dice_of_real_nuclei_is_the_published_one(rows, tiled):
    assert len(rows) == len(tiled) == 65
    assert mean_over_images(tiled, "dice") == pytest.approx(0.9083, abs=0.002)


@real
@pytest.mark.parametrize(
    ("kind", "dice"), [("dark", 0.9182), ("color", 0.8855), ("bright", 0.7131)]
)
def test_mean_dice_of_each_kind_of_image_is_the_published_one(kind, dice, rows, tiled):
    chosen = [each for each, row in zip(tiled, rows, strict=True) if row["kind"] == kind]
    assert mean_over_images(chosen, "dice") == pytest.approx(dice, abs=0.004)


@real
def test_whole_images_score_as_published(rows, tiled):
    large = [row for row in rows if is_large(row)]  # of the others a tile is the whole
    whole = evaluate(map(files_of, large), read_checkpoint(PUBLISHED), tile=2048)
    scores = [next(whole) if is_large(row) else each for row, each in zip(rows, tiled, strict=True)]
    assert mean_over_images(scores, "dice") == pytest.approx(0.9083, abs=0.0005)
    for kind, dice in (("dark", 0.9182), ("color", 0.8855), ("bright", 0.7131)):
        chosen = [each for each, row in zip(scores, rows, strict=True) if row["kind"] == kind]
        assert mean_over_images(chosen, "dice") == pytest.approx(dice, abs=0.0005)


@real
def test_the_bundled_checkpoint_scores_as_its_card_says(rows):
    """See docs/checkpoints.md; nothing under 0.91 is bundled."""
    scores = list(evaluate(map(files_of, rows), bundled_checkpoint()))
    assert mean_over_images(scores, "dice") == pytest.approx(0.9112, abs=0.001)
    for kind, dice in (("dark", 0.9162), ("color", 0.8801), ("bright", 0.8814)):
        chosen = [each for each, row in zip(scores, rows, strict=True) if row["kind"] == kind]
        assert mean_over_images(chosen, "dice") == pytest.approx(dice, abs=0.002)
