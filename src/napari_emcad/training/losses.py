"""Losses of a prediction against a target of which some pixels are unlabeled.

Arguments of all losses are logits ``(N, K, H, W)``, float32, and a target ``(N, H, W)``, int64, of
classes 0 … with `UNLABELED` where nothing is annotated; the gradient of such a pixel is exactly 0.
K is 1 for a binary network (class 1 against class 0), else one channel per class with the
background first. All losses return a scalar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_emcad.annotation.label_rules import UNLABELED

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.training.config import LossName

    Loss = Callable[[Tensor, Tensor], Tensor]

_SMOOTH = 1e-5
_EPSILON = 1e-7


def ce_dice(logits: Tensor, target: Tensor) -> Tensor:
    """0.3 cross-entropy + 0.7 Dice with squared denominators (the paper's multi-class loss)."""
    return 0.3 * cross_entropy(logits, target) + 0.7 * dice_loss(logits, target)


def bce_dice(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, mean over the classes, + Dice with plain denominators."""
    entropy = _mean_over(_binary_entropies(logits, target).mean(1), labeled_mask(target))
    return entropy + dice_loss(logits, target, power=1)


def unified(logits: Tensor, target: Tensor) -> Tensor:
    """0.5 Dice + 0.5 focal loss with gamma 2."""
    return 0.5 * dice_loss(logits, target) + 0.5 * focal_loss(logits, target)


def asymmetric_unified(
    logits: Tensor, target: Tensor, weight: float = 0.5, delta: float = 0.6, gamma: float = 0.5
) -> Tensor:
    """Asymmetric unified focal loss (Yeung et al. 2021, arXiv 2102.04525).

    Easy pixels count less in the background only; false negatives weigh `delta`, false positives
    1 - `delta`.
    """
    mask = labeled_mask(target)
    probabilities = class_probabilities(logits).clamp(_EPSILON, 1 - _EPSILON)
    truth = _one_hot(target, max(logits.shape[1], 2))
    return weight * _asymmetric_focal(probabilities, truth, mask, delta, gamma) + (
        1 - weight
    ) * _asymmetric_tversky(probabilities, truth, mask, delta, gamma)


def weighted_bce_iou(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy + IoU, with weights of up to six near borders (the paper's binary loss).

    The weight of a pixel is 1 + 5 |mean of the truth over 31 × 31 pixels - truth|, over labeled
    pixels.
    """
    mask = labeled_mask(target)[:, None].float()
    truth = _truth(logits, target)
    probabilities, entropy = channel_probabilities(logits), _binary_entropies(logits, target)
    mean_truth = _box_mean(truth * mask) / _box_mean(mask).clamp_min(_EPSILON)
    weight = (1 + 5 * (mean_truth - truth).abs()) * mask
    bce = (weight * entropy).sum((2, 3)) / weight.sum((2, 3)).clamp_min(_EPSILON)
    intersection = (weight * probabilities * truth).sum((2, 3))
    union = (weight * (probabilities + truth)).sum((2, 3)) - intersection
    return (bce + 1 - (intersection + 1) / (union + 1)).mean()


LOSSES: dict[LossName, Loss] = {
    "ce_dice": ce_dice,
    "bce_dice": bce_dice,
    "unified": unified,
    "asymmetric_unified": asymmetric_unified,
    "weighted_bce_iou": weighted_bce_iou,
}
"""The losses by the names of `TrainingConfig.loss`."""


# -- probabilities


def channel_probabilities(logits: Tensor) -> Tensor:
    """Return the sigmoid of a single channel, or the softmax over several, ``(N, K, H, W)``."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def class_probabilities(logits: Tensor) -> Tensor:
    """Return the probabilities of all classes, background first, ``(N, max(K, 2), H, W)``."""
    probabilities = channel_probabilities(logits)
    if probabilities.shape[1] > 1:
        return probabilities
    return torch.cat([1 - probabilities, probabilities], dim=1)


def most_likely_class(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probability and the number of the most likely class, both ``(N, H, W)``."""
    probabilities = channel_probabilities(logits)
    if probabilities.shape[1] > 1:
        probability, label = probabilities.max(1)
        return probability, label
    foreground = probabilities[:, 0]
    return torch.maximum(foreground, 1 - foreground), (foreground > 0.5).long()


# -- the terms


def labeled_mask(target: Tensor) -> Tensor:
    """Return where the target is labeled."""
    return target != UNLABELED


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy of the labeled pixels; 0 if there are none."""
    return _mean_over(_entropy(logits, target), labeled_mask(target))


def kl_divergence(logits: Tensor, probabilities: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence of the prediction from probabilities.

    Parameters
    ----------
    logits
        ``(N, K, H, W)``; a single channel is class 1 of two.
    probabilities
        Soft targets, ``(N, max(K, 2), H, W)``; all 0 for pixels that do not count.
    """
    if logits.shape[1] == 1:
        entropy = _binary_entropy(logits[:, 0], probabilities[:, 1])
    else:
        entropy = -(probabilities * F.log_softmax(logits, 1)).sum(1)
    least = torch.special.entr(probabilities).sum(1)
    return _mean_over(entropy - least, probabilities.sum(1) > 0)


def dice_loss(logits: Tensor, target: Tensor, power: int = 2) -> Tensor:
    """Return 1 - Dice of the batch's labeled pixels, averaged over classes.

    A class that is neither in the target nor predicted costs 0.

    Parameters
    ----------
    logits, target
        See the module.
    power
        Exponent of the terms in the denominator, 1 or 2.
    """
    mask = labeled_mask(target)[:, None]
    probabilities, truth = channel_probabilities(logits) * mask, _truth(logits, target) * mask
    intersection = (probabilities * truth).sum((0, 2, 3))
    size = (probabilities**power).sum((0, 2, 3)) + (truth**power).sum((0, 2, 3))
    return (1 - (2 * intersection + _SMOOTH) / (size + _SMOOTH)).mean()


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the cross-entropy in which a pixel of probability p weighs (1 - p)^gamma."""
    entropy = _entropy(logits, target)
    return _mean_over((1 - torch.exp(-entropy)) ** gamma * entropy, labeled_mask(target))


def _asymmetric_focal(
    probabilities: Tensor, truth: Tensor, mask: Tensor, delta: float, gamma: float
) -> Tensor:
    entropy = -truth * torch.log(probabilities)
    background = (1 - delta) * (1 - probabilities[:, 0]) ** gamma * entropy[:, 0]
    return _mean_over(background + delta * entropy[:, 1:].sum(1), mask)


def _asymmetric_tversky(
    probabilities: Tensor, truth: Tensor, mask: Tensor, delta: float, gamma: float
) -> Tensor:
    mask = mask[:, None]
    hits = (probabilities * truth * mask).sum((2, 3))
    misses = ((1 - probabilities) * truth * mask).sum((2, 3))
    false_alarms = (probabilities * (1 - truth) * mask).sum((2, 3))
    index = (hits + _EPSILON) / (hits + delta * misses + (1 - delta) * false_alarms + _EPSILON)
    cost = 1 - index
    foreground = cost[:, 1:].clamp_min(_EPSILON) ** (1 - gamma)
    return torch.cat([cost[:, :1], foreground], dim=1).mean()


def _entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy per pixel, ``(N, H, W)``; unlabeled pixels have some value."""
    safe = target.clamp_min(0)
    if logits.shape[1] == 1:
        return _binary_entropy(logits[:, 0], safe.to(logits))
    return F.cross_entropy(logits, safe, reduction="none")


class _BinaryEntropy(torch.autograd.Function):
    """Cross-entropy of a sigmoid, per pixel.

    Torch's own computes log1p, which is slow on a CPU. log(1 + x) does as well here: its error is
    at most one rounding error of the number 1.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Tensor) -> Tensor:
        ctx.save_for_backward(logits, truth)
        rest = logits.abs().neg_().exp_().add_(1).log_()
        return rest.add_(logits.clamp_min(0)).addcmul_(logits, truth, value=-1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        logits, truth = ctx.saved_tensors
        return logits.sigmoid().sub_(truth).mul_(grad), None


def _binary_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    entropy: Tensor = _BinaryEntropy.apply(logits, truth)
    return entropy


def _binary_entropies(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropies of single classes against the rest, ``(N, K, H, W)``."""
    truth = _truth(logits, target)
    if logits.shape[1] == 1:
        return _binary_entropy(logits, truth)
    log_yes = F.log_softmax(logits, dim=1)
    log_no = torch.log1p(-log_yes.exp().clamp_max(1 - _EPSILON))
    return -(truth * log_yes + (1 - truth) * log_no)


def _box_mean(mask: Tensor) -> Tensor:
    return F.avg_pool2d(mask, kernel_size=31, stride=1, padding=15)


def _truth(logits: Tensor, target: Tensor) -> Tensor:
    """Return the truth for the channels of the logits, ``(N, K, H, W)``; 0 where unlabeled."""
    if logits.shape[1] == 1:
        return (target == 1)[:, None].to(logits)
    return _one_hot(target, logits.shape[1])


def _one_hot(target: Tensor, classes: int) -> Tensor:
    numbers = torch.arange(classes, device=target.device).view(1, -1, 1, 1)
    return (target[:, None] == numbers).float()


def _mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the mask; other pixels get no gradient, even where they are NaN."""
    return torch.where(mask, values, 0).sum() / mask.sum().clamp_min(1)
