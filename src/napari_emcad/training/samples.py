"""Labeled slices become batches of augmented crops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.transform import resize
from torch import Tensor

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.intensity import standardize
from napari_emcad.training.augment import Augmenter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.training.config import TrainingConfig


@dataclass(frozen=True, slots=True, eq=False)
class LabeledSlice:
    """A slice and what is known of it.

    Attributes
    ----------
    name
        For people.
    planes
        ``(1 or inputs, H, W)`` float32, normalized to 0 … 1 but not yet standardized; one plane
        feeds all inputs.
    target
        ``(H, W)`` integers: classes 0 …, `UNLABELED` where nothing is known.
    weight
        How often it is drawn, relative to the others.
    recent
        ``(H, W)`` bool, what was painted last; None for a slice that was not painted by hand.
    image
        What it is a slice of; "" if it is an image of its own.
    focus_class
        The class whose turn it is to be in the middle of a crop; None for any.
    first_strokes
        ``(H, W)`` bool, what the first strokes of each class painted; None if there were none.
    """

    name: str
    planes: NDArray[np.float32]
    target: NDArray[np.integer]
    weight: float = 1.0
    recent: NDArray[np.bool_] | None = None
    image: str = ""
    focus_class: int | None = None
    first_strokes: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Crops that are learned from at once.

    Attributes
    ----------
    pixels
        ``(N, inputs, crop, crop)`` float32, ready for the network.
    target
        ``(N, crop, crop)`` int64.
    unlabeled
        ``(N, crop, crop)`` bool: where nothing is painted, while `target` may leave out some paint.
    names
        The slices that they are of.
    crop_ids
        What tells each from all others; the same number is the same crop.
    """

    pixels: Tensor
    target: Tensor
    unlabeled: Tensor
    names: tuple[str, ...] = ()
    crop_ids: tuple[int, ...] = ()


def resized_slice(source: LabeledSlice, size: tuple[int, int] | None) -> LabeledSlice:
    """Return a slice at the size that its network resizes images to; None leaves it.

    Parameters
    ----------
    source
        Its planes become smaller with anti-aliasing. Of its target no stroke is lost: a pixel that
        covers several painted ones has the class of the last of them.
    size
        Height and width.
    """
    if size is None or source.target.shape == size:
        return source
    planes = np.stack([resize(plane, size, order=1, anti_aliasing=True) for plane in source.planes])
    return replace(
        source,
        planes=planes.astype(np.float32),
        target=_sized_target(source.target, size),
        recent=_sized_mask(source.recent, size),
        first_strokes=_sized_mask(source.first_strokes, size),
    )


def _sized_mask(mask: NDArray[np.bool_] | None, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Return a mask of another size, of which no pixel is lost."""
    return None if mask is None else _sized_target(mask.astype(np.int16) - 1, size) == 0


def _sized_target(target: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.int16]:
    """Return a target of another size; its `UNLABELED` pixels yield to painted ones."""
    plain = resize(target, size, order=0, preserve_range=True, anti_aliasing=False)
    small: NDArray[np.int16] = plain.astype(np.int16)
    places = np.nonzero(target != UNLABELED)
    values = target[places]
    rows, columns = (
        at * wanted // whole for at, wanted, whole in zip(places, size, target.shape, strict=True)
    )
    empty = small[rows, columns] == UNLABELED
    small[rows[empty], columns[empty]] = values[empty]
    return small


class Sampler:
    """Draws the batches of a training; what it draws depends on seed and step alone.

    Parameters
    ----------
    slices
        What to draw from, each with at least one painted pixel.
    inputs
        Of the network.
    preprocessing
        Mean and standard deviation.
    config
        Crop, batch, augmentation, seed.

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
    ) -> None:
        self._slices = [each for each in slices if (each.target != UNLABELED).any()]
        if not self._slices:
            raise ValueError("There is nothing to train on: no slice has a label.")
        self._inputs, self._preprocessing, self._config = inputs, preprocessing, config
        self._augment = Augmenter(config.augmentation, config.crop, preprocessing.zoom)
        self._pool: dict[int, tuple[Tensor, Tensor]] = {}
        weights = np.array([each.weight for each in self._slices], float)
        self._shares = weights / weights.sum()
        self._ordered_epoch, self._ordered = 0, self._order(0)
        self._present = [_classes(each.target) for each in self._slices if config.balance]
        self._classes = sorted(set[int]().union(*self._present))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the last one is full as well."""
        crops = self._config.crops_per_epoch or len(self._slices)
        return -(-crops // self._config.batch)

    def batch(self, step: int) -> Batch:
        """Return what one step learns from."""
        crops = self._crops(step)
        chosen = [self._source(each) for each in crops]
        draws = [self._draw(*each) for each in zip(chosen, crops, strict=True)]
        pixels, targets = zip(*draws, strict=True)
        names = tuple(each.name for each in chosen)
        target = torch.stack(targets)
        free = target == UNLABELED
        if self._config.balance:
            target = balanced(target, self._config.balance, (self._config.seed, 2, step))
        return Batch(torch.stack(pixels), target, free, names, crops)

    def _crops(self, step: int) -> tuple[int, ...]:
        """Return the numbers of a step's crops: counted on, or drawn from the pool."""
        size, pool = self._config.batch, self._config.pool
        counted = range(step * size, (step + 1) * size)
        if pool is None:
            return tuple(counted)
        rounds = [np.random.default_rng((self._config.seed, 1, k // pool)) for k in counted]
        return tuple(
            int(rng.permutation(pool)[k % pool]) for rng, k in zip(rounds, counted, strict=True)
        )

    def _draw(self, source: LabeledSlice, crop: int) -> tuple[Tensor, Tensor]:
        if self._config.pool is None:
            return self._crop(source, crop)
        if crop not in self._pool:
            self._pool[crop] = self._crop(source, crop)
        return self._pool[crop]

    def _source(self, crop: int) -> LabeledSlice:
        """Return the slice of a crop; where classes are balanced, they take turns over slices."""
        if not self._config.balance:
            return self._slices[self._slice_of(crop)]
        rng = np.random.default_rng((self._config.seed, 3, crop))
        k = self._classes[(crop + self._config.seed) % len(self._classes)]
        having = [i for i, present in enumerate(self._present) if k in present]
        shares = self._shares[having] / self._shares[having].sum()
        found = self._slices[int(rng.choice(having, p=shares))]
        return replace(found, focus_class=k)

    def _slice_of(self, crop: int) -> int:
        epoch, place = divmod(crop, self.steps_per_epoch * self._config.batch)
        if epoch != self._ordered_epoch:
            self._ordered_epoch, self._ordered = epoch, self._order(epoch)
        return int(self._ordered[place])

    def _order(self, epoch: int) -> NDArray[np.integer]:
        """Return which slices an epoch draws: it samples the shares systematically."""
        rng = np.random.default_rng((self._config.seed, epoch))
        count = self.steps_per_epoch * self._config.batch
        marks = (np.arange(count) + rng.random()) / count
        drawn = np.searchsorted(np.cumsum(self._shares), marks, side="right")
        return rng.permutation(np.minimum(drawn, len(self._slices) - 1))

    def _crop(self, source: LabeledSlice, crop: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self._config.seed, *divmod(crop, self._config.batch)))
        side = self._augment.window(rng)
        center = _center(source, self._config, rng)
        pixels, target = _window(source, center, side)
        seed = int(rng.integers(2**62))
        shown, labels = self._augment(pixels, target, self._inputs, seed)
        ready = standardize(shown.numpy(), self._preprocessing)
        return torch.from_numpy(ready), labels


def _classes(target: NDArray[np.integer]) -> set[int]:
    return set(np.unique(target).tolist()) - {UNLABELED}


def balanced(target: Tensor, most: float, seed: tuple[int, ...]) -> Tensor:
    """Return a target in which no class has more than `most` times the pixels of the rarest.

    Of classes that have more, a draw of pixels counts as unpainted.
    """
    classes, counts = np.unique(target[target != UNLABELED].numpy(), return_counts=True)
    if len(classes) < 2:
        return target
    draw = torch.from_numpy(np.random.default_rng(seed).random(target.shape, np.float32))
    limit = most * float(counts.min())
    kept = target.clone()
    for k, count in zip(classes.tolist(), counts.tolist(), strict=True):
        if count > limit:
            kept[(target == k) & (draw > limit / count)] = UNLABELED
    return kept


def _center(
    source: LabeledSlice, config: TrainingConfig, rng: np.random.Generator
) -> tuple[int, int]:
    """Return where a crop is centered: on what is new, a pixel of a class, or anything painted.

    If it is a class's turn, it is one of its pixels, new ones first.
    """
    target = source.target
    new = source.recent
    if source.focus_class is not None:
        of_class = target == source.focus_class
        fresh = of_class if new is None else of_class & new
        among = fresh if rng.random() < config.recent and fresh.any() else of_class
    elif new is not None and rng.random() < config.recent and new.any():
        among = new
    elif rng.random() < config.foreground:
        present = np.unique(target)
        classes = present[present > (0 if new is None else UNLABELED)]
        among = target == rng.choice(classes) if len(classes) else target != UNLABELED
    else:
        among = target != UNLABELED
    flat = np.flatnonzero(among)
    y, x = divmod(int(flat[rng.integers(len(flat))]), target.shape[1])
    return y, x


def _window(
    source: LabeledSlice, center: tuple[int, int], side: int
) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """Return a square of the slice with its target, both mirrored beyond the slice's borders."""
    rows = _reflected(center[0] - side // 2, side, source.target.shape[0])[:, None]
    columns = _reflected(center[1] - side // 2, side, source.target.shape[1])[None]
    return source.planes[:, rows, columns], source.target[rows, columns].astype(np.int64)


def _reflected(first: int, count: int, size: int) -> NDArray[np.integer]:
    """Return `count` indices from `first` on, mirrored into 0 … size - 1.

    A window that fits into the slice is moved into it.
    """
    first = min(max(first, 0), size - count) if count <= size else (size - count) // 2
    period = max(2 * (size - 1), 1)
    folded = np.abs(np.arange(first, first + count)) % period
    return np.minimum(folded, period - folded) if size > 1 else folded * 0
