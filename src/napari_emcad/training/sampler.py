"""Draw batches of augmented crops from labeled slices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.intensity import standardize
from napari_emcad.model.padding import reflect_indices
from napari_emcad.training.augment import Augmenter
from napari_emcad.training.samples import Batch, LabeledSlice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.training.config import TrainingConfig


class Sampler:
    """Draws the batches of a training; they depend on seed and step alone.

    Parameters
    ----------
    slices
        Slices to draw from; those without any annotated pixel are left out.
    inputs
        Number of input channels of the network.
    preprocessing
        Mean, standard deviation and zoom.
    config
        Crop, batch, augmentation, seed.
    part
        The share of every batch that is drawn: its number from 0, and the number of equal shares.

    Raises
    ------
    ValueError
        If there is nothing to draw from.
    """

    def __init__(
        self,
        slices: Sequence[LabeledSlice],
        inputs: int,
        preprocessing: Preprocessing,
        config: TrainingConfig,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._part = part
        self._slices = [source for source in slices if (source.target != UNLABELED).any()]
        if not self._slices:
            raise ValueError("There is nothing to train on: no slice has a label.")
        self._inputs, self._preprocessing, self._config = inputs, preprocessing, config
        self._augment = Augmenter(config.augmentation, config.crop, preprocessing.zoom)
        self._pool: dict[int, tuple[Tensor, Tensor]] = {}
        weights = np.array([source.weight for source in self._slices], float)
        self._shares = weights / weights.sum()
        self._order_epoch, self._order = 0, self._draw_order(0)
        self._present = [_classes(source.target) for source in self._slices if config.balance]
        self._classes = sorted(set[int]().union(*self._present))

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch; the last one is full as well."""
        crops = self._config.crops_per_epoch or len(self._slices)
        return -(-crops // self._config.batch)

    def batch(self, step: int) -> Batch:
        """Return the batch of a step."""
        number, count = self._part
        size = self._config.batch // count
        crop_ids = self._crop_ids(step)[number * size : (number + 1) * size]
        sources = [self._source(crop) for crop in crop_ids]
        draws = [self._draw(*pair) for pair in zip(sources, crop_ids, strict=True)]
        pixels, targets = zip(*draws, strict=True)
        names = tuple(source.name for source in sources)
        target = torch.stack(targets)
        unlabeled = target == UNLABELED
        if self._config.balance:
            target = balanced(target, self._config.balance, (self._config.seed, 2, step))
        return Batch(torch.stack(pixels), target, unlabeled, names, crop_ids)

    def _crop_ids(self, step: int) -> tuple[int, ...]:
        """Return the numbers of a step's crops: consecutive, or drawn from the pool."""
        size, pool = self._config.batch, self._config.pool
        numbers = range(step * size, (step + 1) * size)
        if pool is None:
            return tuple(numbers)
        rounds = [np.random.default_rng((self._config.seed, 1, k // pool)) for k in numbers]
        return tuple(
            int(rng.permutation(pool)[k % pool]) for rng, k in zip(rounds, numbers, strict=True)
        )

    def _draw(self, source: LabeledSlice, crop: int) -> tuple[Tensor, Tensor]:
        """Return the pixels and the target of a crop; crops of a pool are computed once."""
        if self._config.pool is None:
            return self._crop(source, crop)
        if crop not in self._pool:
            self._pool[crop] = self._crop(source, crop)
        return self._pool[crop]

    def _source(self, crop: int) -> LabeledSlice:
        """Return the slice of a crop; with balancing, classes take turns over the slices."""
        if not self._config.balance:
            return self._slices[self._slice_number(crop)]
        rng = np.random.default_rng((self._config.seed, 3, crop))
        k = self._classes[(crop + self._config.seed) % len(self._classes)]
        candidates = [i for i, present in enumerate(self._present) if k in present]
        shares = self._shares[candidates] / self._shares[candidates].sum()
        source = self._slices[int(rng.choice(candidates, p=shares))]
        return replace(source, focus_class=k)

    def _slice_number(self, crop: int) -> int:
        epoch, position = divmod(crop, self.steps_per_epoch * self._config.batch)
        if epoch != self._order_epoch:
            self._order_epoch, self._order = epoch, self._draw_order(epoch)
        return int(self._order[position])

    def _draw_order(self, epoch: int) -> NDArray[np.integer]:
        """Return the slice numbers of an epoch's crops, by systematic sampling of the shares."""
        rng = np.random.default_rng((self._config.seed, epoch))
        count = self.steps_per_epoch * self._config.batch
        marks = (np.arange(count) + rng.random()) / count
        numbers = np.searchsorted(np.cumsum(self._shares), marks, side="right")
        return rng.permutation(np.minimum(numbers, len(self._slices) - 1))

    def _crop(self, source: LabeledSlice, crop: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self._config.seed, *divmod(crop, self._config.batch)))
        side = self._augment.draw_window(rng)
        center = _draw_center(source, self._config, rng)
        pixels, target = _window(source, center, side)
        seed = int(rng.integers(2**62))
        image, labels = self._augment(pixels, target, self._inputs, seed)
        return torch.from_numpy(standardize(image.numpy(), self._preprocessing)), labels


def _classes(target: NDArray[np.integer]) -> set[int]:
    return set(np.unique(target).tolist()) - {UNLABELED}


def balanced(target: Tensor, ratio: float, seed: tuple[int, ...]) -> Tensor:
    """Return a target in which no class has more than `ratio` times the pixels of the rarest.

    Randomly drawn pixels of classes that have more become `UNLABELED`.
    """
    classes, counts = np.unique(target[target != UNLABELED].numpy(), return_counts=True)
    if len(classes) < 2:
        return target
    draw = torch.from_numpy(np.random.default_rng(seed).random(target.shape, np.float32))
    limit = ratio * float(counts.min())
    result = target.clone()
    for k, count in zip(classes.tolist(), counts.tolist(), strict=True):
        if count > limit:
            result[(target == k) & (draw > limit / count)] = UNLABELED
    return result


def _draw_center(
    source: LabeledSlice, config: TrainingConfig, rng: np.random.Generator
) -> tuple[int, int]:
    """Draw the center of a crop: a recent pixel, a pixel of a class, or any annotated pixel.

    With a focus class it is one of that class, recent ones first.
    """
    target = source.target
    recent = source.recent
    if source.focus_class is not None:
        of_class = target == source.focus_class
        fresh = of_class if recent is None else of_class & recent
        candidates = fresh if rng.random() < config.recent and fresh.any() else of_class
    elif recent is not None and rng.random() < config.recent and recent.any():
        candidates = recent
    elif rng.random() < config.foreground:
        present = np.unique(target)
        classes = present[present > (0 if recent is None else UNLABELED)]
        candidates = target == rng.choice(classes) if len(classes) else target != UNLABELED
    else:
        candidates = target != UNLABELED
    flat = np.flatnonzero(candidates)
    y, x = divmod(int(flat[rng.integers(len(flat))]), target.shape[1])
    return y, x


def _window(
    source: LabeledSlice, center: tuple[int, int], side: int
) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """Return a square of the slice and its target, mirrored beyond the slice's borders."""
    height, width = source.target.shape
    rows = _window_indices(center[0] - side // 2, side, height)[:, None]
    columns = _window_indices(center[1] - side // 2, side, width)[None]
    return source.planes[:, rows, columns], source.target[rows, columns].astype(np.int64)


def _window_indices(first: int, count: int, size: int) -> NDArray[np.integer]:
    """Return `count` indices from `first` on within 0 … size - 1.

    A window that fits into the slice is moved into it; a larger one is centered and mirrored.
    """
    first = min(max(first, 0), size - count) if count <= size else (size - count) // 2
    return reflect_indices(np.arange(first, first + count), size)
