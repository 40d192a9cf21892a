"""What was painted when, and which strokes are held out: never a pixel that was also trained on.

A `Record` grows with each look at what is painted. Pixels that changed since the look before are
new; what hangs together among them is a stroke. Every fifth stroke of a class is held out for good,
whatever is painted beside it later. Masks have no strokes: every fifth square of them is held out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_emcad.imaging.paint import UNPAINTED

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

EVERY = 5
"""One of so many strokes, or squares of a mask, is held out."""

_AROUND = np.ones((3, 3), bool)
_SQUARES = 5
"""A mask is cut into at least so many squares along its shorter side."""

_LARGEST_SQUARE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One painted slice, or window of a large one.

    Attributes
    ----------
    target
        ``(H, W)`` int16: class of each pixel, `UNPAINTED` where nothing is known.
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

    def learnt(self) -> NDArray[np.int16]:
        """Return the target without what is held out."""
        return np.where(self.held, np.int16(UNPAINTED), self.target)

    def without(self, k: int) -> Page:
        """Return the page once class `k` is gone and those behind it have moved up."""
        gone = self.target == k
        target = np.where(gone, np.int16(UNPAINTED), self.target - (self.target > k))
        return Page(
            target.astype(np.int16), np.where(gone, np.uint16(0), self.seen), self.held & ~gone
        )

    def tested(self) -> NDArray[np.int16]:
        """Return the target of what is held out alone."""
        return np.where(self.held, self.target, np.int16(UNPAINTED))


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
    """

    pages: Mapping[Hashable, Page] = field(default_factory=dict)
    looks: int = 0
    strokes: Mapping[int, int] = field(default_factory=dict)

    def looked(
        self,
        targets: Mapping[Any, NDArray[np.int16]],
        masks: Container[Hashable] = (),
        every: int = EVERY,
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
        """
        looks, strokes = self.looks + 1, dict(self.strokes)
        pages = {
            key: _turned(self.pages.get(key), target, looks, strokes, key in masks, every)
            for key, target in targets.items()
        }
        return replace(self, pages=pages, looks=looks, strokes=strokes)

    def only(self, keys: Container[Hashable]) -> Record:
        """Return the record of some pages alone."""
        return replace(self, pages={k: page for k, page in self.pages.items() if k in keys})

    def without(self, k: int) -> Record:
        """Return the record once class `k` is gone and those behind it have moved up."""
        pages = {key: page.without(k) for key, page in self.pages.items()}
        moved = {c - (c > k): n for c, n in self.strokes.items() if c != k}
        return replace(self, pages=pages, looks=self.looks + 1, strokes=moved)

    @property
    def painted(self) -> dict[int, int]:
        """Painted pixels of each class, the background's being class 0."""
        return _summed(page.painted for page in self.pages.values())

    @property
    def held_out(self) -> dict[int, int]:
        """Held-out pixels of each class."""
        return _summed(page.held_out for page in self.pages.values())

    def new(self, key: Hashable, since: int | None = None) -> NDArray[np.bool_]:
        """Return which pixels of a page are new, of those that may be learnt.

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
        if missing:
            return f"Too few strokes to hold some out: a class has a score from {EVERY} strokes on."
        return ""


def _turned(
    before: Page | None,
    target: NDArray[np.int16],
    look: int,
    strokes: dict[int, int],
    masks: bool,
    every: int,
) -> Page:
    """Return a page after a look; `strokes` counts on."""
    if before is None or before.target.shape != target.shape:
        nothing = np.full(target.shape, UNPAINTED, np.int16)
        before = Page(nothing, np.zeros(target.shape, np.uint16), np.zeros(target.shape, bool))
    changed = target != before.target
    if not changed.any():
        return before
    fresh = changed & (target != UNPAINTED)
    seen = np.where(changed, np.uint16(0), before.seen)
    seen[fresh] = look
    held = before.held & ~changed
    chosen = _squares(fresh, every) if masks else _strokes(fresh, target, strokes, every)
    for each in chosen:
        held[each] = True
    return Page(target.copy(), seen, held)


def _strokes(
    fresh: NDArray[np.bool_], target: NDArray[np.int16], strokes: dict[int, int], every: int
) -> Iterator[tuple[NDArray[np.integer], ...]]:
    """Yield the pixels of the strokes to hold out, counting them all."""
    for k in np.unique(target[fresh]).tolist():
        pieces, count = ndimage.label(fresh & (target == k), _AROUND)
        first = strokes.get(k, 0)
        strokes[k] = first + count
        for piece, box in enumerate(ndimage.find_objects(pieces), start=1):
            if every and (first + piece) % every == 0:
                rows, columns = np.nonzero(pieces[box] == piece)
                yield rows + box[0].start, columns + box[1].start


def _squares(fresh: NDArray[np.bool_], every: int) -> Iterator[NDArray[np.bool_]]:
    """Yield what is new in the squares to hold out, which lie along diagonals."""
    if not every:
        return
    side = max(min(_LARGEST_SQUARE, min(fresh.shape) // _SQUARES), 1)
    rows, columns = (np.arange(size) // side for size in fresh.shape)
    yield ((rows[:, None] + 2 * columns[None]) % every == every - 1) & fresh


def _counted(target: NDArray[np.int16]) -> dict[int, int]:
    values, counts = np.unique(target[target != UNPAINTED], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _summed(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for each in counts:
        for k, count in each.items():
            total[k] = total.get(k, 0) + count
    return total
