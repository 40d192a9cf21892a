"""Temperature scaling fitted to held-out pixels, with the predictions of `segment`."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_emcad
from napari_emcad.annotation.label_rules import UNLABELED, LabelRule
from napari_emcad.annotation.record import AnnotatedPatch, Record
from napari_emcad.inference.events import InferenceSettings, Progress
from napari_emcad.inference.probabilities import class_probabilities
from napari_emcad.inference.uncertainty import TEMPERATURES
from napari_emcad.interactive.annotated_patches import AnnotatedImage, PatchKey
from napari_emcad.interactive.calibrate import (
    FEWEST_PIXELS,
    calibrate_job,
    fit_calibration,
    why_not_calibrate,
)
from napari_emcad.interactive.held_out import HeldOutPredictions, held_out_predictions
from napari_emcad.io.checkpoints.files import read_checkpoint
from napari_emcad.pipelines.segment import slices_for

CPU = InferenceSettings(device="cpu", full_precision=True)


@pytest.fixture(scope="module")
def bundled():
    return napari_emcad.bundled_checkpoint()


def cells(shape=(160, 224), seed=0):
    """Return noisy discs and their mask."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    random = np.random.default_rng(seed)
    mask = ((y % 48 - 24) ** 2 + (x % 48 - 24) ** 2) < 150
    return (60 * mask + random.integers(0, 60, shape)).astype(np.uint8), mask.astype(np.int16)


def page_with_held_out_pixels(truth, key, classes=2, share=0.2, seed=1):
    """Return a patch with randomly scattered held-out pixels of all classes."""
    random = np.random.default_rng(seed)
    rows, columns = (slice(*bounds) for bounds in (key.rows, key.columns))
    part = truth[rows, columns] % classes
    known = random.uniform(size=part.shape) < share
    target = np.where(known, part, UNLABELED).astype(np.int16)
    return AnnotatedPatch(target, known.astype(np.uint16), known)


def annotated_source(image, truth, checkpoint, axes="YX", patches=None):
    """Return an annotated image and a record of its patches (index, rows, columns)."""
    slices = slices_for(image, checkpoint, axes)
    source = AnnotatedImage("a", "a", slices, np.zeros(slices.spatial_shape, np.uint8), LabelRule())
    complete = ((), (0, slices.height), (0, slices.width))
    keys = [PatchKey("a", "a", *bounds) for bounds in patches or [complete]]
    planes = {k: truth[k.index] if k.index else truth for k in keys}
    planes = {k: v.T if slices.transposed else v for k, v in planes.items()}
    classes = max(checkpoint.config.num_classes, 2)
    return source, Record(
        {k: page_with_held_out_pixels(v, k, classes) for k, v in planes.items()}, 1
    )


def run_job(job):
    events = []
    while True:
        try:
            events.append(next(job))
        except StopIteration as end:
            return end.value, events


def predict_held_out(checkpoint, source, record, inference=CPU, **options):
    stop = threading.Event()
    return run_job(held_out_predictions(checkpoint, [source], record, inference, stop, **options))[
        0
    ]


def expected(image, checkpoint, record, axes="YX"):
    """Return the probabilities by `segment` of the held-out pixels, (K, N)."""
    probabilities = napari_emcad.segment(
        image, checkpoint, axes, "cpu", probabilities=True, full_precision=True
    ).probabilities
    parts = []
    for key, patch in record.patches.items():
        part = probabilities[(slice(None), *key.index)]
        part = part.swapaxes(1, 2) if axes.index("X") < axes.index("Y") else part
        part = part[:, slice(*key.rows), slice(*key.columns)]
        parts.append(part[:, patch.held_out])
    all_parts = np.concatenate(parts, 1)
    return np.concatenate([1 - all_parts, all_parts]) if len(all_parts) == 1 else all_parts


@pytest.mark.parametrize("head", ["finest", "sum"])
@pytest.mark.parametrize("how", [{}, {"zoom": 1.0}, {"size": (96, 160), "zoom": 1.0}])
def test_held_out_predictions_equal_those_of_segment(tiny_checkpoint, head, how):
    image, truth = cells()
    checkpoint = replace(
        tiny_checkpoint, head=head, preprocessing=replace(tiny_checkpoint.preprocessing, **how)
    )
    source, record = annotated_source(image, truth, checkpoint)
    predictions = predict_held_out(checkpoint, source, record)
    expected_probabilities = expected(image, checkpoint, record)
    probabilities = class_probabilities(predictions.logits)
    assert np.abs(probabilities - expected_probabilities).mean() < 0.01
    assert (probabilities.argmax(0) == expected_probabilities.argmax(0)).mean() > 0.99
    patch = next(iter(record.patches.values()))
    np.testing.assert_array_equal(predictions.classes, patch.target[patch.held_out])


def test_stacks_with_columns_first_and_several_classes(two_classes):
    checkpoint = read_checkpoint(two_classes)
    image, truth = cells()
    image, truth = (
        np.stack([np.roll(array.T, 9 * z, 0) for z in range(3)]) for array in (image, truth)
    )
    truth[:, ::2] *= 2
    patches = [((z,), (0, 160), (0, 224)) for z in (2, 0)]
    source, record = annotated_source(image, truth, checkpoint, "ZXY", patches)
    predictions = predict_held_out(checkpoint, source, record)
    assert len(predictions.logits) == 3
    expected_probabilities = expected(image, checkpoint, record, "ZXY")
    np.testing.assert_allclose(
        class_probabilities(predictions.logits), expected_probabilities, atol=0.02
    )


@pytest.mark.parametrize("how", [{}, {"size": (256, 128), "zoom": 1.0}])
def test_a_patch_of_a_large_slice_is_preprocessed_like_the_slice(tiny_checkpoint, how):
    """Percentiles are those of the whole slice, and patch borders have their surroundings."""
    checkpoint = replace(
        tiny_checkpoint, preprocessing=replace(tiny_checkpoint.preprocessing, **how)
    )
    image, truth = cells((1000, 400))
    image[:500] //= 3
    patches = [((), (0, 128), (128, 256)), ((), (912, 1000), (384, 400))]
    source, record = annotated_source(image, truth, checkpoint, patches=patches)
    predictions = predict_held_out(checkpoint, source, record)
    expected_probabilities = expected(image, checkpoint, record)
    assert np.abs(class_probabilities(predictions.logits) - expected_probabilities).mean() < 0.01


def test_doubled_logits_double_the_temperature(bundled):
    image, truth = cells()
    truth = np.roll(truth, 3, 1)  # some predictions are wrong
    source, record = annotated_source(image, truth, bundled)
    tensors = {
        name: 2 * tensor if name.startswith("heads.") else tensor
        for name, tensor in bundled.tensors.items()
    }
    confident = replace(bundled, tensors=tensors)
    one, two = (
        run_job(calibrate_job(checkpoint, [source], record, CPU, threading.Event()))[0]
        for checkpoint in (bundled, confident)
    )
    assert two.temperature == pytest.approx(2 * one.temperature, rel=0.01)
    assert two.checkpoint is confident
    assert two.correct == one.correct < one.pixels == sum(record.held_out_counts.values())
    assert two.after.error == pytest.approx(one.after.error, abs=0.01)
    assert two.after.error < two.before.error
    assert f"{two.temperature:.2g}: the model was overconfident" in str(two)
    assert f"on {one.pixels:,} held-out pixels" in str(two)


def test_progress_and_stop(tiny_checkpoint):
    image, truth = cells()
    stack, truth = np.stack([image] * 5), np.stack([truth] * 5)
    patches = [((z,), (0, 160), (0, 224)) for z in range(5)]
    source, record = annotated_source(stack, truth, tiny_checkpoint, "ZYX", patches)
    stop = threading.Event()
    job = calibrate_job(tiny_checkpoint, [source], record, CPU, stop)
    progress = []
    while len(progress) < 2:
        event = next(job)
        assert isinstance(event, Progress)
        progress.append((event.done, event.total))
    assert progress == [(0, 5), (1, 5)]
    stop.set()
    assert run_job(job)[0] is None
    flat, only = annotated_source(image, truth[0], tiny_checkpoint)
    fine = replace(CPU, tile=96)
    events = run_job(calibrate_job(tiny_checkpoint, [flat], only, fine, threading.Event()))[1]
    assert len({event.done for event in events}) > 4  # a single patch reports its tiles


def test_pixels_are_subsampled_evenly_above_the_limit(tiny_checkpoint):
    image, truth = cells()
    source, record = annotated_source(image, truth, tiny_checkpoint)
    every_pixel = predict_held_out(tiny_checkpoint, source, record)
    some = predict_held_out(tiny_checkpoint, source, record, most_pixels=1000)
    every = -(-len(every_pixel.classes) // 1000)
    np.testing.assert_array_equal(some.classes, every_pixel.classes[::every])
    np.testing.assert_allclose(some.logits, every_pixel.logits[:, ::every])


def _record(*counts):
    """Return a record with (annotated, held out) pixels of classes 0, 1, …"""
    target = np.full((1, 4096), UNLABELED, np.int16)
    held_out, at = np.zeros((1, 4096), bool), 0
    for k, (annotated, out) in enumerate(counts):
        target[0, at : at + annotated], held_out[0, at : at + out] = k, True
        at += annotated
    return Record({"page": AnnotatedPatch(target, np.ones(target.shape, np.uint16), held_out)}, 1)


@pytest.mark.parametrize(
    ("record", "word"),
    [
        (Record(), "Teach tab"),
        (_record((200, 100)), "second class"),
        (_record((200, 100), (200, 0)), "every class"),
        (_record((200, 30), (200, FEWEST_PIXELS - 31)), f"there are {FEWEST_PIXELS - 1}"),
        (_record((200, 30), (200, FEWEST_PIXELS - 30)), ""),
    ],
)
def test_too_few_pixels_give_a_reason(record, word):
    message = why_not_calibrate(record)
    assert word in message
    assert bool(message) == bool(word)


def test_calibration_without_held_out_pixels_is_refused(tiny_checkpoint):
    image, truth = cells()
    source, _ = annotated_source(image, truth, tiny_checkpoint)
    with pytest.raises(ValueError, match="held-out strokes"):
        run_job(calibrate_job(tiny_checkpoint, [source], Record(), CPU, threading.Event()))
    with pytest.raises(ValueError, match="No pixel is held out"):
        predict_held_out(tiny_checkpoint, source, Record())


def test_a_network_without_errors_is_not_calibrated(tiny_checkpoint):
    predictions = HeldOutPredictions(
        np.array([[3.0, -3.0, 2.0]], np.float32), np.array([1, 0, 1], np.int16)
    )
    calibration = fit_calibration(tiny_checkpoint, predictions)
    assert calibration.temperature == 1
    assert not calibration.is_fitted
    assert "right on all 3 held-out pixels" in str(calibration)


def test_a_network_that_is_mostly_wrong_must_be_trained_first(tiny_checkpoint):
    predictions = HeldOutPredictions(
        np.full((1, 60), 5.0, np.float32), (np.arange(60) < 9).astype(np.int16)
    )
    message = str(fit_calibration(tiny_checkpoint, predictions))
    assert "wrong on 51 of 60 held-out pixels" in message
    assert "Train it first" in message


@pytest.mark.parametrize(
    ("size", "wrong", "words"),
    [
        (1000.0, 1, "20, the highest: the model is wrong on 1 of 100 held-out pixels"),
        (1000.0, 6, "Train it first"),
        (0.01, 1, "0.05, the lowest: the model is right on 99 of 100 held-out pixels"),
    ],
)
def test_a_temperature_at_its_bound_is_named(tiny_checkpoint, size, wrong, words):
    logits = np.full((1, 100), size, np.float32)
    classes = (np.arange(100) >= wrong).astype(np.int16)
    message = str(fit_calibration(tiny_checkpoint, HeldOutPredictions(logits, classes)))
    assert words in message
    assert ("Train it first" in message) == (wrong > 5)


def test_logits_that_are_not_finite_are_refused(tiny_checkpoint):
    predictions = HeldOutPredictions(
        np.array([[3.0, np.nan]], np.float32), np.array([1, 0], np.int16)
    )
    with pytest.raises(ValueError, match="not finite"):
        fit_calibration(tiny_checkpoint, predictions)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 200), st.floats(0.1, 20), st.integers(0, 999))
def test_any_finite_logits_can_be_calibrated(count, size, spread, seed):
    random = np.random.default_rng(seed)
    logits = (random.standard_normal((count, size)) * spread).astype(np.float32)
    classes = random.integers(0, max(count, 2), size).astype(np.int16)
    predictions = HeldOutPredictions(logits, classes)
    calibration = fit_calibration(None, predictions)
    assert TEMPERATURES[0] * 0.99 <= calibration.temperature <= TEMPERATURES[1] * 1.01
    assert (
        calibration.before.pixels.sum()
        == calibration.after.pixels.sum()
        == calibration.pixels
        == size
    )
    assert 0 <= predictions.mean_entropy <= 1
    assert f"{size:,} held-out pixels" in str(calibration)
    labels = class_probabilities(logits).argmax(0)
    np.testing.assert_array_equal(
        class_probabilities(logits, calibration.temperature).argmax(0), labels
    )
