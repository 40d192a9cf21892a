"""Losses of a prediction against a target of which some pixels are unpainted.

Every loss takes logits ``(N, K, H, W)``, float32, and a target ``(N, H, W)``, int64, of classes
0 … with `UNLABELED` where nothing is known; such a pixel has exactly no gradient. K is 1 for a
binary network (class 1 against class 0), else one channel per class with the background first.
Every loss returns one number.
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
    """Binary cross-entropy of each class + Dice with plain denominators."""
    known = labeled_mask(target)
    entropy = _mean_over(_binary_entropies(logits, target).mean(1), known)
    return entropy + dice_loss(logits, target, power=1)


def unified(logits: Tensor, target: Tensor) -> Tensor:
    """0.5 Dice + 0.5 focal loss with gamma 2."""
    return 0.5 * dice_loss(logits, target) + 0.5 * focal_loss(logits, target)


def asymmetric_unified(
    logits: Tensor, target: Tensor, weight: float = 0.5, delta: float = 0.6, gamma: float = 0.5
) -> Tensor:
    """Asymmetric unified focal loss (Yeung et al. 2021, arXiv 2102.04525).

    The background's easy pixels count less, the foreground's do not; false negatives weigh `delta`,
    false positives 1 - `delta`.
    """
    known = labeled_mask(target)
    chance = class_probabilities(logits).clamp(_EPSILON, 1 - _EPSILON)
    truth = _one_hot(target, max(logits.shape[1], 2))
    return weight * _asymmetric_focal(chance, truth, known, delta, gamma) + (
        1 - weight
    ) * _asymmetric_tversky(chance, truth, known, delta, gamma)


def weighted_bce_iou(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy + IoU, pixels near borders weighing up to six times as much.

    A pixel's weight is 1 + 5 |mean of the mask over 31 × 31 pixels - mask|, over painted pixels.
    """
    known = labeled_mask(target)[:, None].float()
    truth = _foreground(logits, target)
    chance, entropy = _foreground_chances(logits), _binary_entropies(logits, target)
    near = _blurred(truth * known) / _blurred(known).clamp_min(_EPSILON)
    weight = (1 + 5 * (near - truth).abs()) * known
    bce = (weight * entropy).sum((2, 3)) / weight.sum((2, 3)).clamp_min(_EPSILON)
    both = (weight * chance * truth).sum((2, 3))
    either = (weight * (chance + truth)).sum((2, 3)) - both
    return (bce + 1 - (both + 1) / (either + 1)).mean()


LOSSES: dict[LossName, Loss] = {
    "ce_dice": ce_dice,
    "bce_dice": bce_dice,
    "unified": unified,
    "asymmetric_unified": asymmetric_unified,
    "weighted_bce_iou": weighted_bce_iou,
}
"""By the names of `TrainingConfig.loss`."""


# -- the terms


def labeled_mask(target: Tensor) -> Tensor:
    """Return where the target is known."""
    return target != UNLABELED


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean over painted pixels; 0 if there are none."""
    return _mean_over(_entropy(logits, target), labeled_mask(target))


def kl_divergence(logits: Tensor, chances: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence from probabilities; 0 once they are met.

    Parameters
    ----------
    logits
        ``(N, K, H, W)``; one channel is class 1 of two.
    chances
        ``(N, max(K, 2), H, W)``: what they should say; all 0 where nothing is asked of them.
    """
    if logits.shape[1] == 1:
        entropy = _binary_entropy(logits[:, 0], chances[:, 1])
    else:
        entropy = -(chances * F.log_softmax(logits, 1)).sum(1)
    least = torch.special.entr(chances).sum(1)
    return _mean_over(entropy - least, chances.sum(1) > 0)


def dice_loss(logits: Tensor, target: Tensor, power: int = 2) -> Tensor:
    """Return 1 - Dice, over the batch's painted pixels, averaged over classes.

    Parameters
    ----------
    logits, target
        See above.
    power
        Of the terms in the denominator, 1 or 2. A class that is neither there nor found costs 0.
    """
    known = labeled_mask(target)[:, None]
    chance, truth = _foreground_chances(logits) * known, _foreground(logits, target) * known
    both = (chance * truth).sum((0, 2, 3))
    size = (chance**power).sum((0, 2, 3)) + (truth**power).sum((0, 2, 3))
    return (1 - (2 * both + _SMOOTH) / (size + _SMOOTH)).mean()


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Return cross-entropy in which a pixel of probability p weighs (1 - p)^gamma."""
    entropy = _entropy(logits, target)
    return _mean_over((1 - torch.exp(-entropy)) ** gamma * entropy, labeled_mask(target))


def _asymmetric_focal(
    chance: Tensor, truth: Tensor, known: Tensor, delta: float, gamma: float
) -> Tensor:
    entropy = -truth * torch.log(chance)
    background = (1 - delta) * (1 - chance[:, 0]) ** gamma * entropy[:, 0]
    return _mean_over(background + delta * entropy[:, 1:].sum(1), known)


def _asymmetric_tversky(
    chance: Tensor, truth: Tensor, known: Tensor, delta: float, gamma: float
) -> Tensor:
    mask = known[:, None]
    hit = (chance * truth * mask).sum((2, 3))
    missed = ((1 - chance) * truth * mask).sum((2, 3))
    false = (chance * (1 - truth) * mask).sum((2, 3))
    cost = 1 - (hit + _EPSILON) / (hit + delta * missed + (1 - delta) * false + _EPSILON)
    foreground = cost[:, 1:].clamp_min(_EPSILON) ** (1 - gamma)
    return torch.cat([cost[:, :1], foreground], dim=1).mean()


def _entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return ``(N, H, W)``; what unpainted pixels hold means nothing."""
    safe = target.clamp_min(0)
    if logits.shape[1] == 1:
        return _binary_entropy(logits[:, 0], safe.to(logits))
    return F.cross_entropy(logits, safe, reduction="none")


class _BinaryEntropy(torch.autograd.Function):
    """Cross-entropy of a sigmoid, per pixel.

    Torch's own takes a log1p, which is slow on a CPU; a log does, as nothing is lost beside 1.
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
    """Return each class against the rest, ``(N, K, H, W)``, from sigmoid or softmax."""
    truth = _foreground(logits, target)
    if logits.shape[1] == 1:
        return _binary_entropy(logits, truth)
    yes = F.log_softmax(logits, dim=1)
    no = torch.log1p(-yes.exp().clamp_max(1 - _EPSILON))
    return -(truth * yes + (1 - truth) * no)


def _foreground_chances(logits: Tensor) -> Tensor:
    """Return ``(N, K, H, W)`` probabilities of what the channels stand for."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def _blurred(mask: Tensor) -> Tensor:
    return F.avg_pool2d(mask, kernel_size=31, stride=1, padding=15)


def class_probabilities(logits: Tensor) -> Tensor:
    """Return probabilities with the background as a channel of its own, at least two channels."""
    if logits.shape[1] > 1:
        return logits.softmax(1)
    chance = logits.sigmoid()
    return torch.cat([1 - chance, chance], dim=1)


def _foreground(logits: Tensor, target: Tensor) -> Tensor:
    """Return the truth of each channel, ``(N, K, H, W)``; 0 where unpainted."""
    if logits.shape[1] == 1:
        return (target == 1)[:, None].to(logits)
    return _one_hot(target, logits.shape[1])


def _one_hot(target: Tensor, classes: int) -> Tensor:
    numbers = torch.arange(classes, device=target.device).view(1, -1, 1, 1)
    return (target[:, None] == numbers).float()


def _mean_over(values: Tensor, known: Tensor) -> Tensor:
    """Return the mean where `known`; what lies elsewhere gets no gradient, not even a NaN."""
    return torch.where(known, values, 0).sum() / known.sum().clamp_min(1)
