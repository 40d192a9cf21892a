"""Ranges of intensity of an image that were computed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari_emcad.imaging.intensity import ValueRange

    Ranges = tuple[ValueRange, ...]


class RangeCache:
    """Ranges of intensity of one image, by what they were computed from.

    A value is computed anew if the fingerprint of its pixels changed, because arrays in memory can
    be changed in place.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Hashable, Ranges]] = {}

    def get(self, key: Hashable, fingerprint: Hashable, compute: Callable[[], Ranges]) -> Ranges:
        """Return the ranges of a key; they are computed if they are unknown or outdated.

        Parameters
        ----------
        key
            What the ranges are computed from: slice, planes and percentiles.
        fingerprint
            A value that differs if the pixels differ; None for pixels that do not change.
        compute
            Computes the ranges.
        """
        known = self._known.get(key)
        if known is None or known[0] != fingerprint:
            known = self._known[key] = fingerprint, compute()
        return known[1]


class KnownRanges(RangeCache):
    """The ranges of one slice or stack, which were computed from the whole image elsewhere.

    Parameters
    ----------
    ranges
        One range for all planes, or one for each.
    """

    def __init__(self, ranges: Ranges) -> None:
        super().__init__()
        self._ranges = ranges

    def get(self, key: Hashable, fingerprint: Hashable, compute: Callable[[], Ranges]) -> Ranges:
        """Return the ranges."""
        return self._ranges
