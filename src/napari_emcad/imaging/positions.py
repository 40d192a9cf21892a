"""Positions along the stacked axes of an image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Positions:
    """The positions of a stack in their order, as a sequence that is computed on demand.

    Attributes
    ----------
    shape
        Sizes of the stacked axes.
    """

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return prod(self.shape)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return product(*map(range, self.shape))

    def __getitem__(self, position: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(position, self.shape))
