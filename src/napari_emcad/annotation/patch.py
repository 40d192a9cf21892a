"""An annotated patch, and the split of its pixels into training and held-out ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedPatch:
    """An annotated slice, or an annotated square of a large slice.

    Attributes
    ----------
    target
        ``(H, W)`` int16: class of each pixel, `UNLABELED` where it is unknown.
    scan
        ``(H, W)`` uint16: number of the scan that found the present value first; 0 if unlabeled.
    held_out
        ``(H, W)`` bool: annotated and held out.
    strokes
        Number of strokes by class that are there; empty for masks.
    pixel_counts, held_out_counts
        Number of annotated and of held-out pixels by class; counted once, because the window asks
        for them often.
    """

    target: NDArray[np.int16]
    scan: NDArray[np.uint16]
    held_out: NDArray[np.bool_]
    strokes: Mapping[int, int] = field(default_factory=dict)
    pixel_counts: Mapping[int, int] = field(init=False)
    held_out_counts: Mapping[int, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixel_counts", _count(self.target))
        object.__setattr__(self, "held_out_counts", _count(self.target[self.held_out]))

    def training_target(self) -> NDArray[np.int16]:
        """Return the target with held-out pixels unlabeled."""
        return np.where(self.held_out, np.int16(UNLABELED), self.target)

    def validation_target(self) -> NDArray[np.int16]:
        """Return the target with all but the held-out pixels unlabeled."""
        return np.where(self.held_out, self.target, np.int16(UNLABELED))

    def without_pixels(self, mask: NDArray[np.bool_]) -> AnnotatedPatch:
        """Return the patch with the pixels of a mask unlabeled."""
        target = np.where(mask, np.int16(UNLABELED), self.target)
        return AnnotatedPatch(
            target, np.where(mask, np.uint16(0), self.scan), self.held_out & ~mask, self.strokes
        )

    def without_class(self, k: int) -> AnnotatedPatch:
        """Return the patch with class `k` unlabeled and the classes above it renumbered."""
        patch = self.without_pixels(self.target == k)
        target = patch.target - (patch.target > k)
        strokes = {c - (c > k): n for c, n in self.strokes.items() if c != k}
        return AnnotatedPatch(target.astype(np.int16), patch.scan, patch.held_out, strokes)


@dataclass(frozen=True, slots=True, eq=False)
class SplitMask:
    """Training and held-out pixels of one location, shared by all annotations of an image.

    The masks are packed to bits along rows.

    Attributes
    ----------
    width
        Width of the location in pixels.
    training_bits, held_out_bits
        Training pixels and held-out pixels.
    frozen_bits
        Pixels of both whose assignment can no longer change.
    last_scan
        Number of the scan that changed the mask last.
    """

    width: int
    training_bits: NDArray[np.uint8]
    held_out_bits: NDArray[np.uint8]
    frozen_bits: NDArray[np.uint8]
    last_scan: int

    @staticmethod
    def empty(shape: tuple[int, int]) -> SplitMask:
        """Return the mask of a location of ``(H, W)`` pixels without any annotation."""
        bits = np.packbits(np.zeros(shape, bool), axis=1)
        return SplitMask(shape[1], bits, bits, bits, 0)

    def assigned(self) -> NDArray[np.bool_]:
        """Return the pixels that are training or held-out pixels, ``(H, W)``."""
        return self._unpack(self.training_bits | self.held_out_bits)

    def training(self) -> NDArray[np.bool_]:
        """Return the training pixels, ``(H, W)``."""
        return self._unpack(self.training_bits)

    def held_out(self) -> NDArray[np.bool_]:
        """Return the held-out pixels, ``(H, W)``."""
        return self._unpack(self.held_out_bits)

    def without_erased(
        self, annotated: NDArray[np.bool_], frozen_scan: int, scan: int
    ) -> SplitMask:
        """Return the mask without pixels that were erased before a model was trained with them.

        Parameters
        ----------
        annotated
            ``(H, W)``: pixels that are annotated now.
        frozen_scan
            Number of the last scan whose record was used for training.
        scan
            Number of the present scan.
        """
        is_frozen = self.last_scan <= frozen_scan
        frozen = self.training_bits | self.held_out_bits if is_frozen else self.frozen_bits
        kept = np.packbits(annotated, axis=1) | frozen
        return SplitMask(
            self.width, self.training_bits & kept, self.held_out_bits & kept, frozen, scan
        )

    def with_new(self, new: NDArray[np.bool_], hold_out: NDArray[np.bool_], scan: int) -> SplitMask:
        """Return the mask with new pixels assigned: held out where `hold_out`, else training."""
        free = new & ~self.assigned()
        training = self.training_bits | np.packbits(free & ~hold_out, axis=1)
        held_out = self.held_out_bits | np.packbits(free & hold_out, axis=1)
        return replace(self, training_bits=training, held_out_bits=held_out, last_scan=scan)

    def _unpack(self, bits: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return np.unpackbits(bits, axis=1, count=self.width).astype(bool)


def _count(target: NDArray[np.int16]) -> dict[int, int]:
    values, counts = np.unique(target[target != UNLABELED], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
