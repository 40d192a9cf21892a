"""Annotated pixels over time, split into training and held-out pixels.

A `Record` is updated with each scan of the annotation layers. Pixels that changed since the last
scan are new; connected new pixels of one class are a stroke. Every fifth stroke of a class is held
out for validation. Masks have no strokes: every fifth square of a mask is held out, and so it is
with strokes that cover much of a patch. Copied predictions are no strokes and never held out, since
a model would be scored against itself.

A pixel becomes a training or a held-out pixel when it is first annotated. The assignment can be
revoked by erasing the pixel until a model has been trained with the record; from then on it is
frozen, so that no pixel is ever used for both: not when it is erased, annotated again with another
class, or annotated in another layer of the same image.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.measure import label

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.annotation.patch import AnnotatedPatch, SplitMask

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

HOLD_OUT_EVERY = 5
"""One in this many strokes (or squares of a mask) is held out."""

_CONNECTIVITY = np.ones((3, 3), bool)

_SQUARES = 5
"""Smallest number of squares along the shorter side of a mask."""

_LARGEST_SQUARE = 64

_LARGE_STROKE = 1 / 8
"""Share of its patch above which a stroke is held out by squares instead of as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """All annotated patches and their split into training and held-out pixels.

    Attributes
    ----------
    patches
        Annotated patches by key; the caller chooses the keys.
    scans
        Number of scans so far.
    strokes
        Number of strokes by class; the background is class 0.
    split_masks
        Split masks by location. A frozen mask stays when its patches disappear.
    frozen_scan
        Number of the last scan whose record was used for training.
    locations
        Location of a patch by key, for patches that share pixels; other keys are their own
        location.
    """

    patches: Mapping[Hashable, AnnotatedPatch] = field(default_factory=dict)
    scans: int = 0
    strokes: Mapping[int, int] = field(default_factory=dict)
    split_masks: Mapping[Hashable, SplitMask] = field(default_factory=dict)
    frozen_scan: int = 0
    locations: Mapping[Hashable, Hashable] = field(default_factory=dict)

    def updated(
        self,
        targets: Mapping[Any, NDArray[np.int16]],
        masks: Container[Hashable] = (),
        every: int = HOLD_OUT_EVERY,
        locations: Mapping[Any, Hashable] | None = None,
        copied: Mapping[Any, NDArray[np.bool_]] | None = None,
    ) -> Record:
        """Return the record after a new scan; patches that are no longer annotated leave it.

        Parameters
        ----------
        targets
            Present target of each patch, by key.
        masks
            Keys of masks, which are held out by squares instead of strokes.
        every
            One in this many strokes is held out; 0 holds nothing out.
        locations
            Location of a patch by key; patches of one location share its split mask. A key that
            is missing is its own location.
        copied
            Pixels of a patch that were copied from a prediction, ``(H, W)``, by key.
        """
        scan, strokes, locations = self.scans + 1, dict(self.strokes), locations or {}
        copied = copied or {}
        split_masks = self._split_masks_without_erased(targets, locations, scan)
        patches: dict[Hashable, AnnotatedPatch] = {}
        for key, target in targets.items():
            patch, location = self.patches.get(key), locations.get(key, key)
            if patch is None or not np.array_equal(patch.target, target):
                patch, split_masks[location] = _update_patch(
                    patch,
                    target,
                    split_masks[location],
                    scan,
                    strokes,
                    key in masks,
                    every,
                    copied.get(key),
                )
            patches[key] = patch
        return Record(patches, scan, strokes, split_masks, self.frozen_scan, locations)

    def _split_masks_without_erased(
        self, targets: Mapping[Any, NDArray[np.int16]], locations: Mapping[Any, Hashable], scan: int
    ) -> dict[Hashable, SplitMask]:
        """Return the split masks without pixels erased untrained, and those of new locations."""
        annotated: dict[Hashable, NDArray[np.bool_]] = {}
        for key, target in targets.items():
            location, here = locations.get(key, key), target != UNLABELED
            annotated[location] = annotated[location] | here if location in annotated else here
        split_masks = {key: SplitMask.empty(mask.shape) for key, mask in annotated.items()}
        for location, split_mask in self.split_masks.items():
            shape = (len(split_mask.training_bits), split_mask.width)
            now = annotated.get(location, np.zeros(shape, bool))
            if now.shape == shape:
                remaining = split_mask.without_erased(now, self.frozen_scan, scan)
                if location in annotated or remaining.frozen_bits.any():
                    split_masks[location] = remaining
        return split_masks

    def split_mask(self, key: Hashable) -> SplitMask:
        """Return the split mask of a patch, which other patches of its location share."""
        return self.split_masks[self.locations.get(key, key)]

    def frozen_split(self) -> Record:
        """Return the record to train with: the assignment of its pixels is frozen."""
        return replace(self, frozen_scan=self.scans)

    def subset(self, keys: Container[Hashable]) -> Record:
        """Return the record with only the patches of these keys."""
        return replace(self, patches={k: patch for k, patch in self.patches.items() if k in keys})

    def without_class(self, k: int) -> Record:
        """Return the record with class `k` removed and the classes above it renumbered."""
        patches = {key: patch.without_class(k) for key, patch in self.patches.items()}
        strokes = {c - (c > k): n for c, n in self.strokes.items() if c != k}
        return replace(self, patches=patches, scans=self.scans + 1, strokes=strokes)

    def first_strokes(self) -> dict[Hashable, NDArray[np.int16]]:
        """Return targets, by key, with only the pixels that the first scan of a class found."""
        first: dict[int, int] = {}
        for patch in self.patches.values():
            for k in patch.pixel_counts:
                scan = int(patch.scan[patch.target == k].min())
                first[k] = min(first.get(k, scan), scan)
        targets = {}
        for key, patch in self.patches.items():
            early = np.zeros(patch.target.shape, bool)
            for k, scan in first.items():
                early |= (patch.target == k) & (patch.scan == scan)
            if early.any():
                targets[key] = np.where(early, patch.target, np.int16(UNLABELED))
        return targets

    @property
    def pixel_counts(self) -> dict[int, int]:
        """Number of annotated pixels by class; the background is class 0."""
        return _sum(patch.pixel_counts for patch in self.patches.values())

    @property
    def stroke_counts(self) -> dict[int, int]:
        """Number of strokes by class that are not erased; `strokes` counts those as well."""
        present = _sum(patch.strokes for patch in self.patches.values())
        return {k: min(count, self.strokes.get(k, 0)) for k, count in present.items()}

    @property
    def held_out_counts(self) -> dict[int, int]:
        """Number of held-out pixels by class."""
        return _sum(patch.held_out_counts for patch in self.patches.values())

    def new_pixels(self, key: Hashable, since: int | None = None) -> NDArray[np.bool_]:
        """Return which training pixels of a patch are new, ``(H, W)``.

        Parameters
        ----------
        key
            Key of the patch.
        since
            Number of a scan of the annotation layers; pixels annotated later are new. None for
            the scan before the last one.
        """
        patch, since = self.patches[key], self.scans - 1 if since is None else since
        new: NDArray[np.bool_] = (patch.scan > since) & ~patch.held_out
        return new

    def why_no_score(self) -> str:
        """Return the reason why held-out pixels give no score yet, or ""."""
        annotated, held_out = self.pixel_counts, self.held_out_counts
        missing = [k for k in annotated if not held_out.get(k)]
        if len(annotated) < 2:
            return "Paint a second class (background counts) for a score."
        if any(self.strokes.get(k, 0) >= HOLD_OUT_EVERY for k in missing):
            return (
                "A class has no held-out pixels left: paint it where nothing was annotated before."
            )
        if missing:
            return f"A score needs at least {HOLD_OUT_EVERY} strokes of every class."
        return ""


def _update_patch(
    before: AnnotatedPatch | None,
    target: NDArray[np.int16],
    split_mask: SplitMask,
    scan: int,
    strokes: dict[int, int],
    is_mask: bool,
    every: int,
    copied: NDArray[np.bool_] | None,
) -> tuple[AnnotatedPatch, SplitMask]:
    """Return a changed patch and its split mask; `strokes` is counted up in place."""
    if before is None or before.target.shape != target.shape:
        unlabeled = np.full(target.shape, UNLABELED, np.int16)
        before = AnnotatedPatch(
            unlabeled, np.zeros(target.shape, np.uint16), np.zeros(target.shape, bool)
        )
    changed = target != before.target
    annotated = target != UNLABELED
    new = changed & annotated
    scans = np.where(changed, np.uint16(0), before.scan)
    scans[new] = scan
    hold_out = np.zeros(target.shape, bool)
    drawn = new if copied is None else new & ~copied
    chosen = _squares(drawn, every) if is_mask else _strokes(drawn, target, strokes, every)
    for pixels in chosen:
        hold_out[pixels] = True
    split_mask = split_mask.with_new(new, hold_out, scan)
    present = {} if is_mask else _present_strokes(target, scans)
    held_out = split_mask.held_out() & annotated
    return AnnotatedPatch(target.copy(), scans, held_out, present), split_mask


def _strokes(
    new: NDArray[np.bool_], target: NDArray[np.int16], strokes: dict[int, int], every: int
) -> Iterator[tuple[NDArray[np.integer], ...] | NDArray[np.bool_]]:
    """Yield the pixels of the strokes to hold out; `strokes` is counted up in place."""
    for k in np.unique(target[new]).tolist():
        components, count = ndimage.label(new & (target == k), _CONNECTIVITY)
        before = strokes.get(k, 0)
        strokes[k] = before + count
        for number, box in enumerate(ndimage.find_objects(components), start=1):
            if every and (before + number) % every == 0:
                rows, columns = np.nonzero(components[box] == number)
                if len(rows) > _LARGE_STROKE * new.size:
                    yield from _squares(components == number, every)
                else:
                    yield rows + box[0].start, columns + box[1].start


def _present_strokes(target: NDArray[np.int16], scans: NDArray[np.uint16]) -> dict[int, int]:
    """Return the number of connected parts of one class and one scan, by class."""
    rows, columns = np.nonzero(target != UNLABELED)
    if not len(rows):
        return {}
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    values = scans[box].astype(np.int64) * (int(target.max()) + 1) + target[box] + 1
    values[target[box] == UNLABELED] = 0
    parts = label(values, background=0, connectivity=2)
    _, first = np.unique(parts, return_index=True)
    of_parts = target[box].ravel()[first]
    classes, counts = np.unique(of_parts[of_parts != UNLABELED], return_counts=True)
    return dict(zip(classes.tolist(), counts.tolist(), strict=True))


def _squares(new: NDArray[np.bool_], every: int) -> Iterator[NDArray[np.bool_]]:
    """Yield the new pixels in the squares to hold out, which lie along diagonals."""
    if not every:
        return
    side = max(min(_LARGEST_SQUARE, min(new.shape) // _SQUARES), 1)
    rows, columns = (np.arange(size) // side for size in new.shape)
    yield ((rows[:, None] + 2 * columns[None]) % every == every - 1) & new


def _sum(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for one in counts:
        for k, count in one.items():
            total[k] = total.get(k, 0) + count
    return total
