"""Scores of a checkpoint on made-up labeled images."""

from __future__ import annotations

from math import isnan, nan
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_emcad import bundled_checkpoint
from napari_emcad.io.images.read import ImageFileError
from napari_emcad.pipelines import evaluate as evaluate_module
from napari_emcad.pipelines.evaluate import evaluate, evaluate_cases
from napari_emcad.pipelines.scores import (
    METRICS,
    ImageScore,
    class_hd95,
    class_scores,
    mean_of_defined,
    mean_over_images,
    pool_scores,
)
from napari_emcad.pipelines.worst_cases import as_sheet_row, keep_worst
from napari_emcad.training.metrics import Scores, hausdorff95, score

pytestmark = pytest.mark.usefixtures("tiny_bundled")

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
def test_several_classes_are_scored_separately(predicted, truth):
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


@pytest.mark.parametrize(("truth", "named"), [([[0, 4]], "4"), ([[-1, 7]], "7"), ([[9, 255]], "9")])
def test_values_that_are_not_classes_are_refused(truth, named):
    with pytest.raises(ValueError, match=rf"value {named};.*1 to 3"):
        class_scores(np.zeros((1, 2), np.uint8), np.array(truth), 3)


@pytest.mark.parametrize("classes", [1, 2])
def test_different_shapes_are_refused(classes):
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(1, 2\)"):
        class_scores(np.zeros((2, 2), np.uint8), np.zeros((1, 2), np.uint8), classes)


def test_empty_masks_agree_and_a_missed_object_scores_nothing():
    nothing, something = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    for metric in METRICS:
        assert getattr(class_scores(nothing, nothing, 1)[1], metric) == 1
        missed = getattr(class_scores(nothing, something, 1)[1], metric)
        assert missed == 0, metric
    assert class_scores(something, nothing, 1)[1].dice == 0


def test_means_weight_images_equally_and_pools_weight_pixels_equally():
    small = ImageScore("small", {1: Scores(1, 0, 0), 2: Scores(0, 1, 1)})
    large = ImageScore("large", {1: Scores(100, 0, 100), 2: Scores(50, 50, 0)})
    assert small.mean("dice") == 0.5
    assert large.mean("recall") == pytest.approx((0.5 + 1) / 2)
    assert mean_over_images([small, large], "recall") == pytest.approx((0.5 + 0.75) / 2)
    assert pool_scores(iter([small, large])) == {1: Scores(101, 0, 100), 2: Scores(50, 51, 1)}


# -- distances


def test_every_class_has_a_distance():
    truth, predicted = np.zeros((2, 20, 30), np.uint8)
    truth[5, 5:9], predicted[5, 8:12] = 1, 1
    truth[15, 20:23], predicted[12, 20:23] = 2, 2
    expected = {k: hausdorff95(predicted == k, truth == k, (2.0, 0.5)) for k in (1, 2)}
    assert class_hd95(predicted, truth, 2, "YX", {"Y": 2.0, "X": 0.5}) == expected
    assert expected[2] == 6.0


def test_distances_of_a_stack_do_not_depend_on_the_order_of_axes():
    truth, predicted = np.zeros((2, 6, 20, 30), np.uint8)
    truth[1, 5:15, 5:20], predicted[4, 5:15, 5:20] = 1, 1
    scale = {"Z": 7.0, "Y": 50.0, "X": 90.0}
    for axes, order in (("ZYX", (0, 1, 2)), ("XZY", (2, 0, 1)), ("YXZ", (1, 2, 0))):
        turned = (each.transpose(order) for each in (predicted, truth))
        assert class_hd95(*turned, 1, axes, scale) == {1: 21.0}


@pytest.mark.parametrize(("axes", "axis"), [("TYX", 0), ("YXT", -1), ("YTX", 1)])
def test_distances_are_not_measured_along_time(axes, axis):
    truth, predicted = np.zeros((2, 4, 20, 30), np.uint8)
    truth[0, 5, 5], predicted[0, 5, 8] = 1, 1
    truth[1, 5, 5], predicted[1, 5, 10] = 1, 1
    truth[2, 5, 5] = 1  # and nothing predicted
    truth[3, 0, 0], predicted[3, 0, 0] = 1, 1
    moved = (np.moveaxis(each, 0, axis) for each in (predicted, truth))
    assert class_hd95(*moved, 1, axes, {}) == {1: pytest.approx((3 + 5 + 0) / 3)}


def test_mean_of_defined_returns_the_mean_and_the_number_of_defined_distances():
    assert mean_of_defined([1.0, nan, 3.0]) == (2.0, 2)
    mean, number = mean_of_defined([nan])
    assert isnan(mean)
    assert number == 0
    both = {1: Scores(1, 0, 0), 2: Scores(0, 1, 1)}
    assert ImageScore("a", both, {1: 4.0, 2: nan}).mean_hd95 == 4.0


@pytest.fixture
def segmented(monkeypatch):
    """Have everything above 100 segmented, and note how."""
    calls = []

    def thresholded(pixels, _checkpoint, axes, **options):
        calls.append((pixels.shape, axes, options))
        labels = (np.asarray(pixels) > 100).astype(np.uint8)
        return SimpleNamespace(labels=labels, probabilities=None)

    monkeypatch.setattr(evaluate_module, "segment", thresholded)
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
    assert next(running) == ImageScore("a.tif", {1: Scores(3, 0, 0)}, {1: 0.0}, "pixel")
    assert len(segmented) == 1
    missed = next(running)
    assert (missed.name, missed.by_class) == ("b.tif", {1: Scores(0, 3, 0)})
    assert isnan(missed.hd95[1])
    assert segmented == [((2, 2), "YX", {"tile": 64})] * 2
    assert list(running) == []


def test_given_axes_replace_those_of_the_file(segmented, pair):
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


# -- how large a pixel is


def calibrated(folder, name, image, axes="YX", **sizes):
    """Write an OME-TIFF and its labels, of a bright object moved by one pixel along X."""
    files = folder / f"{name}.ome.tif", folder / f"{name}_labels.tif"
    tifffile.imwrite(files[0], image, photometric="minisblack", metadata={"axes": axes, **sizes})
    tifffile.imwrite(files[1], np.roll(image, 1, -1) // 200, photometric="minisblack")
    return files


@pytest.fixture
def bar():
    image = np.zeros((30, 40), np.uint8)
    image[5:25, 20:24] = 200
    return image


def test_distances_have_the_unit_of_the_image_file(segmented, bar, tmp_path):
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    files = calibrated(tmp_path, "a", bar, **sizes)
    (scored,) = evaluate([files], bundled_checkpoint())
    assert (scored.hd95, scored.unit) == ({1: 0.25}, "µm")


def test_a_given_scale_replaces_that_of_the_file(segmented, bar, tmp_path):
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    files = calibrated(tmp_path, "a", bar, **sizes)
    scale = {"Y": 1.0, "X": 3.0}
    (scored,) = evaluate([files], bundled_checkpoint(), scale=scale, unit="mm")
    assert (scored.hd95, scored.unit) == ({1: 3.0}, "mm")


@pytest.mark.parametrize(
    ("slices", "depth", "unit"),
    [(3, {}, "pixel"), (1, {}, "µm"), (3, {"PhysicalSizeZ": 2.0}, "µm")],
)
def test_distances_are_in_pixels_if_the_file_lacks_the_slice_spacing(
    slices, depth, unit, segmented, bar, tmp_path
):
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, **depth}
    files = calibrated(tmp_path, "a", np.stack([bar] * slices), "ZYX", **sizes)
    (scored,) = evaluate([files], bundled_checkpoint(), axes="ZYX" if slices > 1 else None)
    assert scored.unit == unit
    assert scored.hd95 == {1: 0.25 if unit == "µm" else 1.0}


def test_a_given_scale_must_have_every_axis(segmented, bar, pair):
    files = pair(np.stack([bar] * 3), np.stack([bar] * 3) // 200)
    with pytest.raises(ValueError, match=r"^a\.tif: .*along Y, X; it is needed along Z as well"):
        list(evaluate([files], bundled_checkpoint(), "ZYX", scale={"Y": 1, "X": 1}, unit="µm"))
    assert segmented == []


def test_an_axis_of_one_entry_needs_no_size(segmented, bar, tmp_path):
    files = tmp_path / "a.npy", tmp_path / "b.npy"
    np.save(files[0], bar[None])
    np.save(files[1], np.roll(bar[None], 1, -1) // 200)
    scale = {"Y": 1.0, "X": 3.0}
    (scored,) = evaluate([files], bundled_checkpoint(), "ZYX", scale=scale, unit="mm")
    assert (scored.hd95, scored.unit) == ({1: 3.0}, "mm")


# -- the worst


def test_the_worst_cases_are_sorted_and_have_small_images(segmented, pair):
    image = np.zeros((900, 1000), np.uint16)
    image[100:800, 100:900] = 4000
    checkpoint, files = bundled_checkpoint(), []
    for number, top in enumerate((300, 100, 700, 500, 101)):
        truth = np.zeros_like(image)
        truth[top:800, 100:900] = 1
        files.append(pair(image, truth, f"{number}.tif"))
    kept = ()
    for case in evaluate_cases(files, checkpoint):
        kept = keep_worst(kept, case, 3)
        assert len(kept) <= 3
    assert [shown.name for _, shown in kept] == ["2.tif", "3.tif", "0.tif"]
    assert [dice for dice, _ in kept] == sorted(dice for dice, _ in kept)
    for _, shown in kept:
        for part in (shown.picture, shown.truth, shown.predicted):
            owner = part if part.base is None else part.base
            assert memoryview(owner).nbytes < 2e6  # no view of what was read
            assert max(part.shape) <= 600


@pytest.mark.parametrize(("axes", "order"), [("TZYX", (0, 1, 2, 3)), ("YXTZ", (2, 3, 0, 1))])
def test_the_row_of_a_stack_is_the_slice_with_the_most_wrong_pixels(axes, order, segmented, pair):
    image = np.zeros((2, 3, 40, 50), np.uint8)
    image[:, :, 10:30, 10:40] = 200
    truth = image // 200
    truth[1, 2, 10:25] = 0
    truth[0, 1, 10:12] = 0
    image[1, 2, 0, 0] = 255
    turned = [np.transpose(each, np.argsort(order)) for each in (image, truth)]
    (case,) = evaluate_cases([pair(*turned)], bundled_checkpoint(), axes)
    shown = as_sheet_row(case)
    assert shown.name == "a.tif, T = 1, Z = 2"
    share = np.count_nonzero(shown.truth) / np.count_nonzero(shown.predicted)
    assert share == pytest.approx(5 / 20, abs=0.02)
    assert "Dice" in shown.figures
    assert "px" in shown.figures
