"""The public functions on arrays: train, fine_tune, evaluate, create_model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import napari_emcad

pytestmark = pytest.mark.usefixtures("tiny_bundled")

TINY = {"crop": 64, "batch": 1, "crops_per_epoch": 2}


@pytest.fixture(scope="module")
def bundled():
    return napari_emcad.bundled_checkpoint()


def disc(row, column, shape=(96, 128)):
    """Return an image with a bright disc on a dark background, and its mask."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = (y - row) ** 2 + (x - column) ** 2 < 15**2
    return np.where(mask, 180, 12).astype(np.uint8), mask.astype(np.uint8)


def pairs(count=3):
    images, masks = zip(*(disc(30 + 15 * n, 40 + 20 * n) for n in range(count)), strict=True)
    return list(images), list(masks)


def test_train_returns_a_new_checkpoint_and_leaves_the_old_one(bundled):
    images, masks = pairs()
    before = {name: tensor.copy() for name, tensor in bundled.tensors.items()}
    events = []
    result = napari_emcad.train(
        images, masks, bundled, device="cpu", epochs=1, on_event=events.append, **TINY
    )
    assert events
    assert len(result.course.epochs) == 1
    assert result.checkpoint.history[-1]["event"] == "trained on 2 slices"
    assert all((bundled.tensors[name] == before[name]).all() for name in before)
    changed = [(result.checkpoint.tensors[name] != before[name]).any() for name in before]
    assert any(changed)


def test_train_gives_new_classes_a_head(bundled):
    image, mask = disc(40, 60)
    labels = mask.astype(int)
    labels[80:] = 2
    result = napari_emcad.train(
        [image, image],
        [labels, labels],
        bundled,
        classes=("nucleus", "floor"),
        epochs=1,
        device="cpu",
        **TINY,
    )
    assert [label.name for label in result.checkpoint.classes] == ["nucleus", "floor"]
    assert napari_emcad.segment(image, result.checkpoint, device="cpu").labels.max() <= 2


def test_fine_tune_learns_scribbles(bundled):
    image, mask = disc(48, 64)
    scribbles = np.zeros(image.shape, np.uint8)
    scribbles[46:50, 60:68], scribbles[5:9, 5:25] = 1, 255
    result = napari_emcad.fine_tune([image], [scribbles], bundled, device="cpu", **TINY)
    labels = napari_emcad.segment(image, result.checkpoint, device="cpu").labels
    assert (labels == mask).mean() > 0.9


def test_evaluate_scores_a_perfect_and_an_empty_result(bundled):
    image, _ = disc(48, 64)
    labels = napari_emcad.segment(image, bundled, device="cpu").labels
    same, none = napari_emcad.evaluate([image, image], [labels, 0 * labels], bundled, device="cpu")
    assert same.mean("dice") == 1
    assert none.mean("dice") == 0
    assert same.mean_hd95 == 0


@pytest.mark.parametrize("form", ["mask of 255", "numbered objects"])
def test_evaluate_measures_distances_to_masks_and_numbered_objects(bundled, form):
    image, _ = disc(48, 64)
    found = napari_emcad.segment(image, bundled, device="cpu").labels
    labels = 255 * found.astype(np.uint8) if form == "mask of 255" else 7 * found.astype(np.int32)
    (score,) = napari_emcad.evaluate([image], [labels], bundled, device="cpu")
    assert (score.mean("dice"), score.mean_hd95) == (1, 0)


def test_create_model_returns_a_fresh_module():
    model = napari_emcad.create_model("pvt_v2_b0", in_channels=1, num_classes=3)
    assert isinstance(model, torch.nn.Module)
    with torch.inference_mode():
        logits = model(torch.zeros(1, 1, 64, 64))
    assert logits[-1].shape[1] == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: napari_emcad.train([disc(9, 9)[0]], [], c), "shorter"),
        (lambda c: napari_emcad.train([disc(9, 9)[0]], [np.zeros((3, 3), int)], c), "must agree"),
        (lambda c: napari_emcad.train([], [], c, preset="spam"), "no preset spam; choose one of"),
        (lambda c: napari_emcad.train([disc(9, 9)[0]], [disc(9, 9)[1] * 2], c), "class 1"),
        (lambda c: napari_emcad.fine_tune([disc(9, 9)[0]], [np.zeros((96, 128), int)], c), "are 0"),
        (lambda c: napari_emcad.evaluate([disc(9, 9)[0]], [np.zeros((3, 3), int)], c), "shape"),
    ],
)
def test_invalid_arguments_are_refused_with_a_message(bundled, call, message):
    with pytest.raises(ValueError, match=message):
        call(bundled)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(napari_emcad.CheckpointError, match="pvt_v2_b9"):
        napari_emcad.create_model("pvt_v2_b9")
