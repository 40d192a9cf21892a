"""What was painted when, and which strokes are held out: never a pixel that was also trained on.

A `Record` grows with each look at what is painted. Pixels that changed since the look before are
new; what hangs together among them is a stroke. Every fifth stroke of a class is held out for good,
whatever is painted beside it later. Masks have no strokes: every fifth square of them is held out,
as of strokes that cover much of a page.

Whether a pixel is learned or held out is drawn when it is first painted, and is final once a model
was taught with it: erased, painted over, or painted on another annotation of the same image, it
stays what it was. What is erased before that is free again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_emcad.annotation.label_rules import UNLABELED

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

EVERY = 5
"""One of so many strokes, or squares of a mask, is held out."""

_AROUND = np.ones((3, 3), bool)
_SQUARES = 5
"""A mask is cut into at least so many squares along its shorter side."""

_LARGEST_SQUARE = 64

_MUCH = 1 / 8
"""A stroke of more than this share of its page is held out in squares, not as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedPatch:
    """One painted slice, or window of a large one.

    Attributes
    ----------
    target
        ``(H, W)`` int16: class of each pixel, `UNLABELED` where nothing is known.
    seen
        ``(H, W)`` uint16: the look that found the pixel's present value first; 0 if unpainted.
    held
        ``(H, W)`` bool: painted, and held out.
    painted, held_out
        Pixels of each class, counted once: a window asks for them often.
    """

    target: NDArray[np.int16]
    seen: NDArray[np.uint16]
    held: NDArray[np.bool_]
    painted: Mapping[int, int] = field(init=False)
    held_out: Mapping[int, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "painted", _counted(self.target))
        object.__setattr__(self, "held_out", _counted(self.target[self.held]))

    def learned(self) -> NDArray[np.int16]:
        """Return the target without what is held out."""
        return np.where(self.held, np.int16(UNLABELED), self.target)

    def clear_of(self, lost: NDArray[np.bool_]) -> AnnotatedPatch:
        """Return the page without some of its pixels."""
        target = np.where(lost, np.int16(UNLABELED), self.target)
        return AnnotatedPatch(target, np.where(lost, np.uint16(0), self.seen), self.held & ~lost)

    def without(self, k: int) -> AnnotatedPatch:
        """Return the page once class `k` is gone and those behind it have moved up."""
        gone = self.target == k
        target = np.where(gone, np.int16(UNLABELED), self.target - (self.target > k))
        return AnnotatedPatch(
            target.astype(np.int16), np.where(gone, np.uint16(0), self.seen), self.held & ~gone
        )

    def tested(self) -> NDArray[np.int16]:
        """Return the target of what is held out alone."""
        return np.where(self.held, self.target, np.int16(UNLABELED))


@dataclass(frozen=True, slots=True, eq=False)
class SplitMask:
    """What became of the pixels of a place, whichever page painted them; bits packed along rows.

    Attributes
    ----------
    width
        Of the place, in pixels.
    learned, held
        Pixels that are learned, and that are held out, wherever they are painted.
    final
        Pixels of both that a model was taught with, or judged by.
    look
        The look that changed it last.
    """

    width: int
    learned: NDArray[np.uint8]
    held: NDArray[np.uint8]
    final: NDArray[np.uint8]
    look: int

    @staticmethod
    def empty(shape: tuple[int, int]) -> SplitMask:
        """Return the ground of a place of ``(H, W)`` pixels on which nothing was painted."""
        bits = np.packbits(np.zeros(shape, bool), axis=1)
        return SplitMask(shape[1], bits, bits, bits, 0)

    def taken(self) -> NDArray[np.bool_]:
        """Return which pixels are learned or held out."""
        return self._unpacked(self.learned | self.held)

    def for_learning(self) -> NDArray[np.bool_]:
        """Return which pixels are learned."""
        return self._unpacked(self.learned)

    def held_out(self) -> NDArray[np.bool_]:
        """Return which pixels are held out."""
        return self._unpacked(self.held)

    def cleared(self, painted: NDArray[np.bool_], taught: int, look: int) -> SplitMask:
        """Return the ground without what is painted no more and was never taught.

        Parameters
        ----------
        painted
            ``(H, W)``: what is painted now.
        taught
            The look that a model was taught by last.
        look
            The present one.
        """
        final = self.learned | self.held if self.look <= taught else self.final
        kept = np.packbits(painted, axis=1) | final
        return SplitMask(self.width, self.learned & kept, self.held & kept, final, look)

    def drawn(self, fresh: NDArray[np.bool_], chosen: NDArray[np.bool_], look: int) -> SplitMask:
        """Return the ground once a look has drawn new pixels; those chosen are held out."""
        free = fresh & ~self.taken()
        learned = self.learned | np.packbits(free & ~chosen, axis=1)
        held = self.held | np.packbits(free & chosen, axis=1)
        return replace(self, learned=learned, held=held, look=look)

    def _unpacked(self, bits: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return np.unpackbits(bits, axis=1, count=self.width).astype(bool)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """All pages, by what the caller calls them, and how often was looked.

    Attributes
    ----------
    pages
        By key.
    looks
        How many there were.
    strokes
        How many strokes each class has had, the background's being class 0.
    grounds
        By place; it stays when its pages leave, if it was taught.
    taught
        The look that a model was taught by last.
    places
        Where each page lies, if it is not a place of its own.
    """

    pages: Mapping[Hashable, AnnotatedPatch] = field(default_factory=dict)
    looks: int = 0
    strokes: Mapping[int, int] = field(default_factory=dict)
    grounds: Mapping[Hashable, SplitMask] = field(default_factory=dict)
    taught: int = 0
    places: Mapping[Hashable, Hashable] = field(default_factory=dict)

    def looked(
        self,
        targets: Mapping[Any, NDArray[np.int16]],
        masks: Container[Hashable] = (),
        every: int = EVERY,
        places: Mapping[Any, Hashable] | None = None,
    ) -> Record:
        """Return the record after another look; pages that are not there any more leave it.

        Parameters
        ----------
        targets
            What is painted now, by page.
        masks
            Pages of whole masks, which are held out in squares instead of strokes.
        every
            One of so many is held out; 0 holds nothing out.
        places
            Where a page lies, by page; pages of one place share its pixels. A page that is not
            in here has a place of its own.
        """
        looks, strokes, places = self.looks + 1, dict(self.strokes), places or {}
        grounds = self._cleared(targets, places, looks)
        pages: dict[Hashable, AnnotatedPatch] = {}
        for key, target in targets.items():
            page, place = self.pages.get(key), places.get(key, key)
            if page is None or not np.array_equal(page.target, target):
                page, grounds[place] = _turned(
                    page, target, grounds[place], looks, strokes, key in masks, every
                )
            pages[key] = page
        return Record(pages, looks, strokes, grounds, self.taught, places)

    def _cleared(
        self, targets: Mapping[Any, NDArray[np.int16]], places: Mapping[Any, Hashable], look: int
    ) -> dict[Hashable, SplitMask]:
        """Return all grounds without what was erased untaught, and those of new places."""
        painted: dict[Hashable, NDArray[np.bool_]] = {}
        for key, target in targets.items():
            place, here = places.get(key, key), target != UNLABELED
            painted[place] = painted[place] | here if place in painted else here
        grounds = {place: SplitMask.empty(each.shape) for place, each in painted.items()}
        for place, ground in self.grounds.items():
            rows = len(ground.learned)
            now = painted.get(place, np.zeros((rows, ground.width), bool))
            if now.shape == (rows, ground.width):
                cleared = ground.cleared(now, self.taught, look)
                if place in painted or cleared.final.any():
                    grounds[place] = cleared
        return grounds

    def ground(self, key: Hashable) -> SplitMask:
        """Return what became of the pixels of a page, whichever page painted them."""
        return self.grounds[self.places.get(key, key)]

    def frozen_split(self) -> Record:
        """Return the record when a model is about to learn it: what was drawn is final."""
        return replace(self, taught=self.looks)

    def only(self, keys: Container[Hashable]) -> Record:
        """Return the record of some pages alone."""
        return replace(self, pages={k: page for k, page in self.pages.items() if k in keys})

    def without(self, k: int) -> Record:
        """Return the record once class `k` is gone and those behind it have moved up."""
        pages = {key: page.without(k) for key, page in self.pages.items()}
        moved = {c - (c > k): n for c, n in self.strokes.items() if c != k}
        return replace(self, pages=pages, looks=self.looks + 1, strokes=moved)

    def first(self) -> dict[Hashable, NDArray[np.int16]]:
        """Return, by page, what the first look at each class found of it, and nothing else."""
        looks: dict[int, int] = {}
        for page in self.pages.values():
            for k in page.painted:
                look = int(page.seen[page.target == k].min())
                looks[k] = min(looks.get(k, look), look)
        found = {}
        for key, page in self.pages.items():
            firsts = [
                (page.target == k) & (page.seen == look)
                for k, look in looks.items()
                if k in page.painted
            ]
            early = np.any(firsts, axis=0) if firsts else np.zeros(page.target.shape, bool)
            if early.any():
                found[key] = np.where(early, page.target, np.int16(UNLABELED))
        return found

    @property
    def painted(self) -> dict[int, int]:
        """Painted pixels of each class, the background's being class 0."""
        return _summed(page.painted for page in self.pages.values())

    @property
    def held_out(self) -> dict[int, int]:
        """Held-out pixels of each class."""
        return _summed(page.held_out for page in self.pages.values())

    def new(self, key: Hashable, since: int | None = None) -> NDArray[np.bool_]:
        """Return which pixels of a page are new, of those that may be learned.

        Parameters
        ----------
        key
            Of the page.
        since
            The look after which they were found; None for those that the last look found.
        """
        page, since = self.pages[key], self.looks - 1 if since is None else since
        new: NDArray[np.bool_] = (page.seen > since) & ~page.held
        return new

    def why_no_score(self) -> str:
        """Return why what is held out says nothing yet, or "" if it does."""
        painted, held = self.painted, self.held_out
        missing = [k for k in painted if not held.get(k)]
        if len(painted) < 2:
            return "Paint a second class (background counts) for a score."
        if any(self.strokes.get(k, 0) >= EVERY for k in missing):
            return "Nothing of a class is held out now: paint it where nothing was painted yet."
        if missing:
            return f"Too few strokes to hold some out: a class has a score from {EVERY} strokes on."
        return ""


def _turned(
    before: AnnotatedPatch | None,
    target: NDArray[np.int16],
    ground: SplitMask,
    look: int,
    strokes: dict[int, int],
    masks: bool,
    every: int,
) -> tuple[AnnotatedPatch, SplitMask]:
    """Return a page that changed, and its ground, after a look; `strokes` counts on."""
    if before is None or before.target.shape != target.shape:
        nothing = np.full(target.shape, UNLABELED, np.int16)
        before = AnnotatedPatch(
            nothing, np.zeros(target.shape, np.uint16), np.zeros(target.shape, bool)
        )
    changed = target != before.target
    painted = target != UNLABELED
    fresh = changed & painted
    seen = np.where(changed, np.uint16(0), before.seen)
    seen[fresh] = look
    chosen = np.zeros(target.shape, bool)
    for each in _squares(fresh, every) if masks else _strokes(fresh, target, strokes, every):
        chosen[each] = True
    ground = ground.drawn(fresh, chosen, look)
    return AnnotatedPatch(target.copy(), seen, ground.held_out() & painted), ground


def _strokes(
    fresh: NDArray[np.bool_], target: NDArray[np.int16], strokes: dict[int, int], every: int
) -> Iterator[tuple[NDArray[np.integer], ...] | NDArray[np.bool_]]:
    """Yield the pixels of the strokes to hold out, counting them all."""
    for k in np.unique(target[fresh]).tolist():
        pieces, count = ndimage.label(fresh & (target == k), _AROUND)
        first = strokes.get(k, 0)
        strokes[k] = first + count
        for piece, box in enumerate(ndimage.find_objects(pieces), start=1):
            if every and (first + piece) % every == 0:
                rows, columns = np.nonzero(pieces[box] == piece)
                if len(rows) > _MUCH * fresh.size:
                    yield from _squares(pieces == piece, every)
                else:
                    yield rows + box[0].start, columns + box[1].start


def _squares(fresh: NDArray[np.bool_], every: int) -> Iterator[NDArray[np.bool_]]:
    """Yield what is new in the squares to hold out, which lie along diagonals."""
    if not every:
        return
    side = max(min(_LARGEST_SQUARE, min(fresh.shape) // _SQUARES), 1)
    rows, columns = (np.arange(size) // side for size in fresh.shape)
    yield ((rows[:, None] + 2 * columns[None]) % every == every - 1) & fresh


def _counted(target: NDArray[np.int16]) -> dict[int, int]:
    values, counts = np.unique(target[target != UNLABELED], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _summed(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for each in counts:
        for k, count in each.items():
            total[k] = total.get(k, 0) + count
    return total
