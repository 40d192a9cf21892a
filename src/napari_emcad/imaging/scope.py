"""The part of an image to work on."""

from __future__ import annotations

from dataclasses import dataclass

from napari_emcad.imaging.validation import as_ints, as_pair

Index = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of an image to work on.

    Attributes
    ----------
    index
        Position along the stacked axes of a single slice, a plain number where one axis is
        stacked; None takes all slices.
    rows, columns
        Half-open ranges within the slices; None takes all.

    Raises
    ------
    ValueError
        If they are of another type.
    """

    index: Index | None = None
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.index is not None:
            object.__setattr__(self, "index", as_ints("The index of a slice", self.index))
        for name in ("rows", "columns"):
            if (chosen := getattr(self, name)) is not None:
                object.__setattr__(self, name, as_pair(name, chosen))
