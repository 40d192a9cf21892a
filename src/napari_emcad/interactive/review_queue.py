"""A queue of images to review one after another: which are done, and their scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """An image of the queue.

    Attributes
    ----------
    name
        Name of the image.
    path
        Path of its file; "" for a layer that is in no file.
    done
        Whether it has been reviewed.
    dice
        Mean Dice of its last comparison with a truth; None if there is none.
    failed
        Whether its file could not be opened; such an image is passed over, and not in projects.
    """

    name: str
    path: str = ""
    done: bool = False
    dice: float | None = None
    failed: bool = False

    @property
    def key(self) -> str:
        """What tells it from other images: its path, or its name if it has none."""
        return self.path or self.name


class ReviewQueue:
    """Images to review, of which at most one is current.

    Attributes
    ----------
    changed
        Emitted after every change.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._items: list[ReviewItem] = []
        self._current: int | None = None

    @property
    def items(self) -> tuple[ReviewItem, ...]:
        """All images in their order."""
        return tuple(self._items)

    @property
    def current(self) -> int | None:
        """Number of the current image; None before the first one was opened."""
        return self._current

    @property
    def remaining(self) -> int:
        """Number of images that are not done."""
        return sum(not item.done for item in self._items)

    def add(self, items: Iterable[ReviewItem]) -> int:
        """Append images that are not in the queue yet; return how many are new."""
        known = {item.key for item in self._items}
        new = {item.key: item for item in items if item.key not in known}
        self._items += new.values()
        self.changed.emit()
        return len(new)

    def clear(self) -> None:
        """Remove all images."""
        self._items, self._current = [], None
        self.changed.emit()

    def go_to(self, number: int | None) -> None:
        """Make another image current; None for none."""
        self._current = number
        self.changed.emit()

    def next_to_do(self) -> int | None:
        """Return the number of the next image that is not done, from the start after the last.

        Images that could not be opened are passed over.
        """
        start = 0 if self._current is None else self._current + 1
        count = len(self._items)
        order = [*range(start, count), *range(min(start, count))]
        waiting = (n for n in order if not (self._items[n].done or self._items[n].failed))
        return next((n for n in waiting if n != self._current), None)

    def previous(self) -> int | None:
        """Return the number of the image before the current one."""
        return None if not self._current else self._current - 1

    def change(self, number: int, **changes: Any) -> None:
        """Change attributes of an image, such as `done`."""
        self._items[number] = replace(self._items[number], **changes)
        self.changed.emit()

    def to_list(self) -> list[dict[str, Any]]:
        """Return the images as plain values for JSON."""
        return [
            {"name": item.name, "path": item.path, "done": item.done, "dice": item.dice}
            for item in self._items
        ]

    def restore(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Add images of a project, and their states to those that are in the queue already.

        Raises
        ------
        KeyError, TypeError, ValueError
            If an entry is not one of `to_list`; nothing changes then.
        """
        restored = [_item(entry) for entry in items]
        states = {item.key: item for item in restored}
        self._items = [states.pop(item.key, item) for item in self._items]
        self.add(states.values())


def _item(entry: Mapping[str, Any]) -> ReviewItem:
    dice = entry.get("dice")
    return ReviewItem(
        str(entry["name"]),
        str(entry.get("path") or ""),
        bool(entry.get("done")),
        None if dice is None else float(dice),
    )
