"""Whether pixels are numbers, and more than one: in others there is nothing to find."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE = 2**16
"""About the most pixels of an array that are counted."""

_FEW = 0.1
"""Share of pixels that are no numbers below which they are not the reason of an empty result."""

_MOST = 0.5
"""Share above which an image is hardly one, whatever is found in the rest."""


class PixelCheck:
    """Counts NaN and infinite pixels in a sample of what is read, and notices a constant image."""

    def __init__(self) -> None:
        self._counted = self._nan = self._infinite = 0
        self._lows: NDArray[Any] | None = None
        self._varies = False

    def add(self, pixels: NDArray[Any]) -> None:
        """Add pixels ``(C, h, w)`` as they are stored."""
        if not pixels.size or pixels.dtype.kind not in "biuf":
            return
        step = max(ceil(sqrt(pixels.size / _SAMPLE)), 1)
        sample = pixels[:, ::step, ::step]
        self._counted += sample.size
        if pixels.dtype.kind == "f":
            self._nan += int(np.isnan(sample).sum())
            self._infinite += int(np.isinf(sample).sum())
        for part in (sample, pixels):  # all pixels are compared only while the image seems constant
            self._varies = self._varies or self._differs(part)

    def _differs(self, pixels: NDArray[Any]) -> bool:
        """Return whether a channel has several finite values, here and in what was added before."""
        known = [None] * len(pixels) if self._lows is None else list(self._lows)
        for number, channel in enumerate(pixels):
            finite = channel[np.isfinite(channel)] if channel.dtype.kind == "f" else channel
            if not finite.size:
                continue
            low = finite.min()
            if low != finite.max() or known[number] not in (None, low):
                return True
            known[number] = low
        self._lows = np.array(known, object)
        return False

    @property
    def mostly_not_finite(self) -> bool:
        """Whether most pixels are NaN or infinite."""
        return self._share > _MOST

    @property
    def message(self) -> str:
        """Why nothing can be found in these pixels, as a sentence; "" if nothing prevents it."""
        if self._share > _FEW:
            kinds = ((self._nan, "NaN"), (self._infinite, "infinite"))
            parts = [_percent(count / self._counted, kind) for count, kind in kinds if count]
            return f"Of the pixels, {' and '.join(parts)}: replace them by numbers."
        if self._varies or self._lows is None:
            return ""
        values = [f"{float(low):g}" for low in self._lows if low is not None]
        return f"All pixels have one value ({', '.join(dict.fromkeys(values))})."

    @property
    def _share(self) -> float:
        return (self._nan + self._infinite) / self._counted if self._counted else 0.0


def _percent(share: float, kind: str) -> str:
    """Return a share without rounding it to all or none."""
    if share == 1:
        return f"all are {kind}"
    return f"{min(max(share, 0.01), 0.99):.0%} are {kind}"
