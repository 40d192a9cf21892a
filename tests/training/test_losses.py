"""Losses against independent implementations, finite differences, and unlabeled pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss, FocalLoss
from monai.losses.unified_focal_loss import AsymmetricFocalLoss, AsymmetricFocalTverskyLoss
from segmentation_models_pytorch import losses as smp
from torch.nn import functional as F

from napari_emcad.training.losses import (
    LOSSES,
    UNLABELED,
    asymmetric_unified,
    cross_entropy,
    dice_loss,
    focal_loss,
    weighted_bce_iou,
)


def case(classes, seed=0, shape=(2, 12, 14), dtype=torch.float32):
    torch.manual_seed(seed)
    logits = torch.randn(shape[0], classes, *shape[1:], dtype=dtype)
    target = torch.randint(0, max(classes, 2), shape)
    return logits, target


def one_hot(target, classes):
    return F.one_hot(target, classes).movedim(-1, 1).float()


@pytest.mark.parametrize("classes", [1, 3])
def test_dice_equals_monai(classes):
    logits, target = case(classes)
    truth = target[:, None].float() if classes == 1 else one_hot(target, classes)
    for power, squared in ((1, False), (2, True)):
        oracle = DiceLoss(
            sigmoid=classes == 1,
            softmax=classes > 1,
            squared_pred=squared,
            batch=True,
            smooth_nr=1e-5,
            smooth_dr=1e-5,
        )(logits, truth)
        torch.testing.assert_close(dice_loss(logits, target, power), oracle)


def test_dice_equals_segmentation_models_pytorch():
    logits, target = case(4)
    oracle = smp.DiceLoss("multiclass", smooth=0.0)(logits, target)
    torch.testing.assert_close(dice_loss(logits, target, power=1), oracle, atol=1e-5, rtol=1e-5)


def test_focal_equals_monai_and_segmentation_models_pytorch():
    logits, target = case(1)
    truth = target[:, None].float()
    torch.testing.assert_close(focal_loss(logits, target), FocalLoss(gamma=2)(logits, truth))
    oracle = smp.FocalLoss("binary", gamma=2)(logits, target[:, None])
    torch.testing.assert_close(focal_loss(logits, target), oracle)
    several, classes = case(3)
    oracle = FocalLoss(gamma=2, use_softmax=True)(several, one_hot(classes, 3)) * 3
    torch.testing.assert_close(focal_loss(several, classes), oracle)


@pytest.mark.parametrize("classes", [1, 5])
def test_cross_entropy_equals_torch_where_labeled(classes):
    logits, target = case(classes)
    target[:, 3:6] = UNLABELED
    known = target != UNLABELED
    if classes == 1:
        oracle = F.binary_cross_entropy_with_logits(logits[:, 0][known], target[known].float())
    else:
        oracle = F.cross_entropy(logits, target, ignore_index=UNLABELED)
    torch.testing.assert_close(cross_entropy(logits, target), oracle)


def test_asymmetric_unified_focal_equals_monai():
    """MONAI averages the focal part over both channels, the paper's authors add them up."""
    logits, target = case(2)
    probabilities, truth = logits.softmax(1), one_hot(target, 2)
    focal = 2 * AsymmetricFocalLoss(gamma=0.5, delta=0.6)(probabilities, truth)
    tversky = AsymmetricFocalTverskyLoss(gamma=0.5, delta=0.6)(probabilities, truth)
    loss = asymmetric_unified(logits, target, weight=0.3, delta=0.6, gamma=0.5)
    torch.testing.assert_close(loss, 0.3 * focal + 0.7 * tversky)


def test_one_channel_and_two_equal_channels_have_equal_losses():
    logits, target = case(1)
    twin = torch.cat([torch.zeros_like(logits), logits], dim=1)
    torch.testing.assert_close(asymmetric_unified(logits, target), asymmetric_unified(twin, target))
    torch.testing.assert_close(cross_entropy(logits, target), cross_entropy(twin, target))
    torch.testing.assert_close(focal_loss(logits, target), focal_loss(twin, target))


def test_weighted_bce_iou_by_numpy():
    logits, target = case(1, shape=(2, 40, 45))
    probabilities = 1 / (1 + np.exp(-logits[:, 0].numpy().astype(float)))
    mask = target.numpy().astype(float)
    costs = []
    for p, m in zip(probabilities, mask, strict=True):
        near = np.zeros_like(m)
        for y, x in np.ndindex(m.shape):
            near[y, x] = m[max(y - 15, 0) : y + 16, max(x - 15, 0) : x + 16].mean()
        w = 1 + 5 * np.abs(near - m)
        bce = -(m * np.log(p) + (1 - m) * np.log(1 - p))
        both, either = (w * p * m).sum(), (w * (p + m)).sum()
        costs.append((w * bce).sum() / w.sum() + 1 - (both + 1) / (either - both + 1))
    assert float(weighted_bce_iou(logits, target)) == pytest.approx(np.mean(costs), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [1, 3])
def test_gradient_equals_finite_differences(name, classes):
    logits, target = case(classes, shape=(1, 4, 5), dtype=torch.float64)
    target[:, 0] = UNLABELED
    logits.requires_grad_()
    torch.autograd.gradcheck(lambda x: LOSSES[name](x, target).double(), logits, atol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [1, 4])
def test_unlabeled_pixels_have_no_gradient_and_no_influence(name, classes):
    logits, target = case(classes)
    target[:, :, 5:] = UNLABELED
    logits.requires_grad_()
    cost = LOSSES[name](logits, target)
    cost.backward()
    assert (logits.grad[..., 5:] == 0).all()
    assert (logits.grad[..., :5] != 0).any()
    changed = logits.detach().clone()
    changed[..., 5:] = 1e4 * torch.randn_like(changed[..., 5:])
    torch.testing.assert_close(LOSSES[name](changed, target), cost.detach())


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("fill", [UNLABELED, 0, 1])
def test_absent_classes_and_empty_targets_give_finite_numbers(name, classes, fill):
    logits, target = case(classes)
    for scale in (1, 200):
        x = (logits * scale).requires_grad_()
        cost = LOSSES[name](x, torch.full_like(target, fill))
        cost.backward()
        assert torch.isfinite(cost)
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [1, 3])
def test_a_perfect_prediction_has_no_loss(name, classes):
    _, target = case(classes)
    certain = (2 * target - 1)[:, None].float() if classes == 1 else 2 * one_hot(target, 3) - 1
    assert float(LOSSES[name](30 * certain, target)) == pytest.approx(0, abs=2e-3)
    assert float(LOSSES[name](-30 * certain, target)) > 0.5
