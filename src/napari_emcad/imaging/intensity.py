"""From pixel values to the numbers that a network was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Intensity = Literal["range", "percentile", "none"]
Over = Literal["slice", "stack"]
PooledChannels = Literal["color", "all", "none"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
ValueRange = tuple[float, float]

ZOOMS = (0.125, 8.0)
"""Least and largest `Preprocessing.zoom`."""

SIDES = (32, 4096)
"""Least and largest height and width of `Preprocessing.size`, in pixels."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Conversion of pixels to network inputs; saved with a checkpoint.

    Parameters
    ----------
    intensity
        ``"range"``: `low` … `high` become 0 … 1, values outside are clipped (a fixed range such as
        0 … 255, or a CT window in HU). ``"percentile"``: the same with `low` and `high` as
        percentiles of the finite values, or their least and largest value where both percentiles
        are equal. ``"none"``: values stay as they are.
    low, high
        Values or percentiles, `low` < `high`.
    over
        Pixels that percentiles are computed from: a ``"slice"``, or the whole ``"stack"``.
    pool_channels
        Channels that share one range of percentiles: ``"color"``, red, green and blue of a color
        picture, while all other channels have their own; ``"all"``, or ``"none"``.
    mean, std
        Mean that is subtracted and standard deviation that is divided by afterwards; one number
        per network input, or one for all.
    size
        (height, width) that slices are resized to, see `SIDES`; aspect is not kept, as published
        networks expect. None keeps the native resolution and cuts large slices into tiles.
    zoom
        Factor by which slices are enlarged for the network (2: twice as wide and high), tile by
        tile, aspect kept; its logits are resized back. It helps with small objects, because the
        finest map has a quarter of the network's resolution. 1 with a fixed `size`.

    Raises
    ------
    ValueError
        If a value is outside these bounds.
    """

    intensity: Intensity = "range"
    low: float = 0.0
    high: float = 255.0
    over: Over = "slice"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    size: tuple[int, int] | None = None
    zoom: float = 1.0
    pool_channels: PooledChannels = "color"

    def __post_init__(self) -> None:
        for name in ("low", "high", "zoom"):
            object.__setattr__(self, name, _numbers(name, [getattr(self, name)])[0])
        for name in ("mean", "std"):
            value = getattr(self, name)
            listed = value if isinstance(value, (tuple, list)) else [value]
            object.__setattr__(self, name, _numbers(name, listed))
        if self.size is not None:
            listed = self.size if isinstance(self.size, (tuple, list)) else [self.size] * 2
            numbers = _numbers("size", listed)
            if not all(number.is_integer() for number in numbers):  # infinities are none either
                raise ValueError(f"size must be whole numbers, not {self.size!r}.")
            object.__setattr__(self, "size", tuple(map(int, numbers)))
        for problem in self._problems():
            raise ValueError(problem)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Return the preprocessing that a file describes.

        Files that say nothing about `pool_channels` were written when all channels shared a range.
        """
        return cls(**{"pool_channels": "all", **values})

    def pools(self, is_color_picture: bool) -> bool:
        """Whether the channels that are read share one range of percentiles."""
        return self.pool_channels == "all" or (self.pool_channels == "color" and is_color_picture)

    def _problems(self) -> list[str]:
        percentile = self.intensity == "percentile"
        checks = [
            (self.intensity in get_args(Intensity), "intensity must be range, percentile or none."),
            (self.over in get_args(Over), "over must be slice or stack."),
            (
                self.pool_channels in get_args(PooledChannels),
                "pool_channels must be color, all or none.",
            ),
            (np.isfinite([self.low, self.high]).all(), "low and high must be finite numbers."),
            (self.low < self.high, f"low ({self.low:g}) must be below high ({self.high:g})."),
            (
                not percentile or (self.low >= 0 and self.high <= 100),
                f"percentiles lie between 0 and 100, not {self.low:g} … {self.high:g}.",
            ),
            (
                len(self.mean) == len(self.std) and len(self.mean) in (1, 3),
                "mean and std must have one number per network input (1 or 3).",
            ),
            (all(np.isfinite(self.mean)), "mean must be finite."),
            (all(s > 0 and np.isfinite(s) for s in self.std), "std must be positive."),
            (
                self.size is None or (len(self.size) == 2 and min(self.size) >= SIDES[0]),
                f"size must be (height, width), both of at least {SIDES[0]} pixels.",
            ),
            (
                self.size is None or max(self.size, default=0) <= SIDES[1],
                f"size must be at most {SIDES[1]} pixels a side; leave it out (None) to segment "
                f"large slices tile by tile.",
            ),
            (
                ZOOMS[0] <= self.zoom <= ZOOMS[1],
                f"zoom must be {ZOOMS[0]:g} to {ZOOMS[1]:g}, not {self.zoom:g}.",
            ),
            (
                self.size is None or self.zoom == 1,
                "zoom is for the native resolution; it must be 1 where slices are resized.",
            ),
        ]
        return [message for valid, message in checks if not valid]


def _numbers(name: str, values: Sequence[Any]) -> tuple[float, ...]:
    """Return the values of a setting as floats, or refuse them with its name."""
    try:
        if any(isinstance(value, (str, bool)) for value in values):
            raise TypeError
        return tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be numbers, not {values!r}.") from None


def as_numbers(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return pixels in a native-endian type of 8 to 64 bits; bool becomes 0 and 255."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "f" and pixels.dtype.itemsize not in (4, 8):
        with np.errstate(over="ignore"):  # beyond float64 is infinity
            return pixels.astype(np.float32 if pixels.dtype.itemsize < 4 else np.float64)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def value_range(pixels: NDArray[np.generic], preprocessing: Preprocessing) -> ValueRange:
    """Return the values that become 0 and 1 for these pixels.

    Percentiles ignore NaN and infinities; without any finite value the range is (0, 0). Where both
    percentiles are equal although values differ (a small object on a clean background), the range
    is that of the least and the largest value.

    Parameters
    ----------
    pixels
        Any shape; channels are pooled.
    preprocessing
        Kind of range, and its ends or percentiles.
    """
    if preprocessing.intensity != "percentile":
        return preprocessing.low, preprocessing.high
    numbers = as_numbers(pixels)
    finite = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers.ravel()
    if not finite.size:
        return 0.0, 0.0
    halves = finite.astype(np.float64) / 2  # so that differences cannot overflow
    low, high = np.percentile(halves, (preprocessing.low, preprocessing.high)) * 2
    if not high > low:
        low, high = finite.min(), finite.max()
    return float(low), float(high)


def normalize(
    pixels: NDArray[np.generic], values: ValueRange, preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Return pixels with a range of values scaled to 0 … 1 and clipped.

    Mean and standard deviation come later, see `standardize`. NaN becomes 0 (the low end);
    infinities become the ends. A constant image, whose range is empty, becomes 0. With intensity
    ``"none"`` only NaN and infinities are replaced (by 0).

    Parameters
    ----------
    pixels
        ``(C, H, W)``, any real type.
    values
        The range from `value_range`.
    preprocessing
        Intensity setting: kind of range.
    """
    numbers = as_numbers(pixels)
    if preprocessing.intensity == "none":
        return _to_float32(np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0))
    low, high = values
    if not high > low:
        return np.zeros(numbers.shape, np.float32)
    if _fits_float32(numbers.dtype, low, high):
        scaled = (numbers.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    else:  # the difference of two halves cannot overflow
        halved = numbers.astype(np.float64) / 2
        scaled = ((halved - low / 2) / (high / 2 - low / 2)).astype(np.float32)
    result: NDArray[np.float32] = np.nan_to_num(np.clip(scaled, 0, 1), copy=False, nan=0.0)
    return result


def _to_float32(numbers: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return finite numbers as float32, clipped to its range."""
    if numbers.dtype == np.float64:
        largest = np.finfo(np.float32).max
        numbers = np.clip(numbers, -largest, largest)
    return numbers.astype(np.float32)


def _fits_float32(dtype: np.dtype[np.generic], low: float, high: float) -> bool:
    """Whether float32 represents values and range without a loss that matters."""
    if dtype.kind in "iu" and dtype.itemsize > 2:
        return False
    if dtype == np.float64:
        return False
    return high - low > 1e-2 * max(abs(low), abs(high)) and max(abs(low), abs(high)) < 1e30


def standardize(planes: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return ``(C, H, W)`` minus the mean, divided by the standard deviation of the inputs."""
    mean = np.asarray(preprocessing.mean, np.float32)[:, None, None]
    std = np.asarray(preprocessing.std, np.float32)[:, None, None]
    return (planes - mean) / std
