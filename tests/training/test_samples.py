"""Batches depend on seed and step alone, and image and target stay aligned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import hed_from_rgb, rgb_from_hed
from torchvision import tv_tensors

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.training.augment import _RandomStain
from napari_emcad.training.config import Augmentation, TrainingConfig
from napari_emcad.training.losses import UNLABELED
from napari_emcad.training.sampler import Sampler, balanced
from napari_emcad.training.samples import LabeledSlice

PLAIN = Preprocessing(mean=(0.0,), std=(1.0,))
SCALED = Preprocessing(mean=(0.5,), std=(0.25,))
SHAPES = Augmentation(scale=(0.5, 2), rotate=180, shear=10, flip=True)
EVERYTHING = replace(
    SHAPES,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.1,
    gamma=2,
    stain=0.5,
    blur=2,
    noise=0.1,
    invert=0.5,
    gray=0.5,
    permute=0.5,
)


def sampler(slices, inputs=3, preprocessing=PLAIN, **changes):
    return Sampler(
        slices, inputs, preprocessing, TrainingConfig(crop=64, batch=4).replace(**changes)
    )


def parts(batch):
    return batch.pixels, batch.target, batch.names


def test_a_batch_depends_on_seed_and_step_alone(slices):
    first = sampler(slices, augmentation=EVERYTHING)
    torch.manual_seed(99)
    pixels, target, names = parts(first.batch(5))
    again = sampler(slices, augmentation=EVERYTHING)
    for step in (0, 5):
        torch.rand(17)
        other = again.batch(step)
    assert torch.equal(pixels, other.pixels)
    assert torch.equal(target, other.target)
    assert names == other.names
    assert not torch.equal(pixels, first.batch(6).pixels)
    assert not torch.equal(pixels, sampler(slices, augmentation=EVERYTHING, seed=1).batch(5).pixels)


def test_drawing_does_not_change_the_global_random_state(slices):
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    sampler(slices, augmentation=EVERYTHING).batch(0)
    assert torch.equal(torch.rand(3), expected)


def test_image_and_target_go_through_the_same_shapes(discs):
    """An image that equals its target still does, except for a seam one pixel wide."""
    source = discs(1, (90, 120))
    source = replace(source, planes=source.target[None].astype(np.float32))
    for step in range(6):
        pixels, target, _ = parts(sampler([source], augmentation=SHAPES, foreground=1).batch(step))
        known = target != UNLABELED
        clear = known & ((pixels[:, 0] < 0.02) | (pixels[:, 0] > 0.98))
        assert clear.float().mean() > 0.5
        agree = (pixels[:, 0] > 0.5).long() == target
        assert agree[clear].float().mean() > 0.995


@pytest.mark.parametrize("shape", [(64, 64), (20, 200), (1, 1), (300, 40)])
@pytest.mark.parametrize("inputs", [1, 3])
def test_crops_of_any_slice_have_one_size_and_finite_values(shape, inputs):
    rng = np.random.default_rng(0)
    planes = rng.random((1, *shape)).astype(np.float32)
    source = LabeledSlice("a", planes, rng.integers(0, 2, shape).astype(np.int16))
    pixels, target, _ = parts(sampler([source], inputs, augmentation=EVERYTHING).batch(0))
    assert pixels.shape == (4, inputs, 64, 64)
    assert target.shape == (4, 64, 64)
    assert torch.isfinite(pixels).all()
    assert set(target.unique().tolist()) <= {UNLABELED, 0, 1}
    assert (target != UNLABELED).any()


def test_foreground_crops_contain_an_object_and_classes_take_turns():
    target = np.zeros((400, 400), np.int16)
    target[10:14, 10:14], target[300:400, 200:400] = 1, 2
    source = LabeledSlice("a", np.zeros((1, 400, 400), np.float32), target)
    drawn = sampler([source], foreground=1, batch=40).batch(0).target
    rare = sum(bool((each == 1).any()) for each in drawn)
    assert all((each > 0).any() for each in drawn)
    assert 8 < rare < 32


def test_weights_decide_how_often_a_slice_is_drawn(slices):
    heavy = [replace(each, weight=3.0 if i == 0 else 1.0) for i, each in enumerate(slices)]
    drawing = sampler(heavy, batch=8, crops_per_epoch=80)
    names = [name for step in range(10) for name in drawing.batch(step).names]
    assert names.count("disc 0") == pytest.approx(80 * 3 / 8, abs=1)


def test_an_epoch_shows_every_slice(slices):
    drawing = sampler(slices, batch=3)
    assert drawing.steps_per_epoch == 2
    assert len({name for step in range(2) for name in drawing.batch(step).names}) == 6


def test_unlabeled_slices_are_left_out_and_nothing_to_draw_is_refused(slices):
    blank = replace(slices[0], target=np.full((64, 64), UNLABELED, np.int16), name="blank")
    names = sampler([blank, slices[1]]).batch(0).names
    assert set(names) == {"disc 1"}
    with pytest.raises(ValueError, match="nothing to train on"):
        sampler([blank])


def test_values_are_standardized_by_the_preprocessing(slices):
    plain = sampler(slices, augmentation=Augmentation()).batch(0).pixels
    scaled = sampler(slices, preprocessing=SCALED, augmentation=Augmentation()).batch(0).pixels
    torch.testing.assert_close(scaled, (plain - 0.5) / 0.25)


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
def test_crops_are_zoomed_by_the_preprocessing(zoom):
    y, x = np.mgrid[:200, :200]
    target = ((y - 100) ** 2 + (x - 100) ** 2 < 7**2).astype(np.int16)
    disc = LabeledSlice("disc", target[None].astype(np.float32), target)
    drawn = sampler([disc], preprocessing=replace(PLAIN, zoom=zoom), foreground=1).batch(0)
    for each in drawn.target:
        assert each.sum() == pytest.approx(np.pi * 7**2 * zoom**2, rel=0.15)


def test_balanced_classes_take_turns_over_the_slices():
    """Many strokes of one class on several slices do not crowd out the few of another."""
    planes = np.zeros((1, 96, 96), np.float32)
    ground = np.full((96, 96), UNLABELED)
    ground[10:14, 10:80] = 0
    mixed = ground.copy()
    mixed[60:64, 60:66] = 1
    slices = [LabeledSlice(f"ground {i}", planes, ground) for i in range(5)]
    slices.append(LabeledSlice("mixed", planes, mixed))
    drawn = sampler(slices, batch=2, balance=2.0, crops_per_epoch=8)
    for step in range(12):
        assert set(drawn.batch(step).target.unique().tolist()) >= {0, 1}


def test_no_class_has_many_times_the_pixels_of_the_rarest():
    target = torch.full((2, 40, 40), UNLABELED)
    target[0, :10] = 0
    target[1, :2, :10] = 1
    result = balanced(target, 2.0, (0, 1))
    assert int((result == 1).sum()) == 20
    assert 20 <= int((result == 0).sum()) <= 70
    assert torch.equal(result[result != UNLABELED], target[result != UNLABELED])
    assert torch.equal(balanced(target, 2.0, (0, 1)), result)
    alone = torch.where(target == 1, UNLABELED, target)
    assert torch.equal(balanced(alone, 2.0, (0, 1)), alone)


def test_other_amounts_of_stain_keep_the_structure_and_change_the_color():
    """Without a change of the amounts an image is as it was; gray images of one input as well."""
    image = tv_tensors.Image(torch.rand(3, 16, 16))
    torch.testing.assert_close(_RandomStain(0.0)(image), image, atol=1e-3, rtol=0)
    gray = tv_tensors.Image(torch.rand(1, 16, 16))
    assert torch.equal(_RandomStain(0.5)(gray), gray)
    torch.manual_seed(0)
    changed = _RandomStain(0.5)(image)
    assert (changed - image).abs().mean() > 0.02
    assert changed.min() >= 0
    assert changed.max() <= 1


@given(st.floats(0.6, 1.4), st.floats(0.6, 1.4))
def test_amounts_of_stain_are_those_of_scikit_image(hematoxylin, eosin):
    pixels = np.random.default_rng(0).uniform(0.3, 0.9, (8, 8, 3))
    image = tv_tensors.Image(torch.from_numpy(np.moveaxis(pixels, -1, 0)).float())
    factors = torch.tensor([hematoxylin, eosin, 1.0])
    params = {"factors": factors, "shifts": torch.zeros(3)}
    changed = _RandomStain(0.5).transform(image, params).numpy()
    amounts = -np.log(pixels) @ hed_from_rgb * factors.numpy()
    expected = np.exp(-(amounts @ rgb_from_hed)).clip(0, 1)
    np.testing.assert_allclose(np.moveaxis(changed, 0, -1), expected, atol=1e-4)
