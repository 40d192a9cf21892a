"""The numbers of the separated objects of a result, and their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class ObjectNumbers:
    """Which numbers the objects of a result have.

    Attributes
    ----------
    classes
        Classes of objects 1, 2, …, also of those that are no longer there.
    """

    def __init__(self) -> None:
        self.classes: tuple[int, ...] = ()
        self._present: set[int] = set()
        self._new: set[int] = set()
        self._previous = 0

    @property
    def new_count(self) -> int:
        """Number of objects that the last job has separated."""
        return len(self._new)

    @property
    def class_by_number(self) -> dict[int, int]:
        """Class of every object that is there."""
        return {number: self.classes[number - 1] for number in sorted(self._present)}

    def begin(self, part: NDArray[Any] | None) -> None:
        """Prepare for new objects instead of those of a part of the labels; None for all labels."""
        if part is None:
            self.classes, self._present = (), set()
        else:
            self._present -= _nonzero_values(part)
        self._previous = len(self.classes)

    def finish(self, classes: Sequence[int], part: NDArray[Any] | None) -> None:
        """Add the objects of a job that has ended.

        Parameters
        ----------
        classes
            Classes of objects 1, 2, …, those of earlier jobs included.
        part
            The labels of the part that the job has computed; None for all labels.
        """
        self.classes = tuple(classes)
        numbers = set(range(self._previous + 1, len(self.classes) + 1))
        self._new = numbers if part is None else _nonzero_values(part)
        self._present |= self._new

    def first_free(self, part: NDArray[Any]) -> int:
        """Return the largest number outside of a part of the labels, 0 without any."""
        return max(self._present - _nonzero_values(part), default=0)

    def replace(self, part: NDArray[Any], first: int, classes: Sequence[int]) -> None:
        """Replace the objects of a part by others, which are numbered from `first` + 1 on."""
        self._present -= _nonzero_values(part)
        self.classes = (*self.classes[:first], *classes)
        self._new = set(range(first + 1, len(self.classes) + 1))
        self._present |= self._new


def _nonzero_values(labels: NDArray[Any]) -> set[int]:
    return set(np.unique(labels).tolist()) - {0}
