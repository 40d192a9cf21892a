"""Parts of an image that are computed apart from the rest: slices, or rows of one slice."""

from __future__ import annotations

from dataclasses import dataclass

Rows = tuple[int, int]


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """Some complete slices of an image, or some rows of one of them.

    Attributes
    ----------
    first, stop
        Half-open range of the slices, counted from 0.
    rows
        Half-open range of the rows of the only slice; None for complete slices.
    """

    first: int
    stop: int
    rows: Rows | None = None

    @property
    def key(self) -> str:
        """A name for files: ``"3-7"`` or ``"3-4-rows-0-1024"``."""
        slices = f"{self.first}-{self.stop}"
        return slices if self.rows is None else f"{slices}-rows-{self.rows[0]}-{self.rows[1]}"

    def __str__(self) -> str:
        """Return the part as text for people; slices and rows count from 0."""
        if self.rows is not None:
            return f"rows {self.rows[0]} … {self.rows[1] - 1} of slice {self.first}"
        if self.stop - self.first == 1:
            return f"slice {self.first}"
        return f"slices {self.first} … {self.stop - 1}"
