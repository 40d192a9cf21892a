"""Training data: labeled slices, and batches of crops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from skimage.transform import resize

from napari_emcad.annotation.label_rules import UNLABELED

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LabeledSlice:
    """A slice with its labels.

    Attributes
    ----------
    name
        Name for messages.
    planes
        ``(1 or inputs, H, W)`` float32, normalized to 0 … 1 but not yet standardized; a single
        plane feeds all inputs.
    target
        ``(H, W)`` integers: classes 0 …, `UNLABELED` where nothing is annotated.
    weight
        Frequency with which the slice is drawn, relative to the others.
    recent
        ``(H, W)`` bool, the latest strokes; None for a slice that was not annotated by hand.
    image
        Name of the image that the slice is a part of; "" if it is an image of its own.
    focus_class
        The class on which crops are centered; None for any.
    first_strokes
        ``(H, W)`` bool, the pixels of the first strokes per class; None if there were none.
    digest
        Checksum of the pixels in the file; "" if it is not known.
    """

    name: str
    planes: NDArray[np.float32]
    target: NDArray[np.integer]
    weight: float = 1.0
    recent: NDArray[np.bool_] | None = None
    image: str = ""
    focus_class: int | None = None
    first_strokes: NDArray[np.bool_] | None = None
    digest: str = ""

    @property
    def image_name(self) -> str:
        """Name of the image that the slice is a part of, or is."""
        return self.image or self.name


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Crops of one training step.

    Attributes
    ----------
    pixels
        Network input, ``(N, inputs, crop, crop)`` float32.
    target
        ``(N, crop, crop)`` int64.
    unlabeled
        ``(N, crop, crop)`` bool: where nothing is annotated. Balancing may leave out some
        annotated pixels of `target` that are not marked here.
    names
        Names of the slices that the crops are cut from.
    crop_ids
        Equal numbers mean equal crops.
    """

    pixels: Tensor
    target: Tensor
    unlabeled: Tensor
    names: tuple[str, ...] = ()
    crop_ids: tuple[int, ...] = ()


def resized_slice(source: LabeledSlice, size: tuple[int, int] | None) -> LabeledSlice:
    """Return a slice at the size that its network resizes images to; None leaves it unchanged.

    Parameters
    ----------
    source
        Its planes are reduced with anti-aliasing. No stroke of its target is lost: a pixel that
        covers several annotated ones has the class of the last of them.
    size
        Height and width.
    """
    if size is None or source.target.shape == size:
        return source
    planes = np.stack([resize(plane, size, order=1, anti_aliasing=True) for plane in source.planes])
    return replace(
        source,
        planes=planes.astype(np.float32),
        target=_resize_target(source.target, size),
        recent=_resize_mask(source.recent, size),
        first_strokes=_resize_mask(source.first_strokes, size),
    )


def _resize_mask(mask: NDArray[np.bool_] | None, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Return a mask of another size, of which no pixel is lost."""
    return None if mask is None else _resize_target(mask.astype(np.int16) - 1, size) == 0


def _resize_target(target: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.int16]:
    """Return a target of another size, in which annotated pixels replace `UNLABELED` ones."""
    nearest = resize(target, size, order=0, preserve_range=True, anti_aliasing=False)
    resized: NDArray[np.int16] = nearest.astype(np.int16)
    positions = np.nonzero(target != UNLABELED)
    classes = target[positions]
    rows, columns = (
        position * new // old
        for position, new, old in zip(positions, size, target.shape, strict=True)
    )
    empty = resized[rows, columns] == UNLABELED
    resized[rows[empty], columns[empty]] = classes[empty]
    return resized
