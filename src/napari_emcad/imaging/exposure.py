"""Whether the values of an image lie in the range that a model expects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.scope import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing, ValueRange
    from napari_emcad.imaging.slices import Index, Slices


class IntensityRangeWarning(UserWarning):
    """An image lies outside of the range that a model expects, so the result may be empty."""


_STORAGE_RANGES = {(0.0, float(high)) for high in (1, 255, 1023, 4095, 16383, 65535)}
"""Ranges of file formats, which no value exceeds; others are windows, which clip on purpose."""

_MOST_SLICES = 8
"""Number of evenly spaced slices that are looked at if one slice seems to be out of range."""

_BLOCK, _BLOCKS = 512, 4
"""Side in pixels, and number along each side, of the blocks that are read of a large slice."""

_SAMPLE = 2**20
"""Most pixels of a slice that are counted; the least and largest value are those of all."""

_MOST_BANDS = 64
"""Number of bands of large slices that are looked at."""

_TOLERANCE = 0.05
"""Share of the range by which a value may lie outside of a storage range."""

_FLAT = 0.005
"""Share of the range within which all values of an image are one gray to the model."""

_HOT = 4
"""Most pixels that are darker or brighter than all others without being an object."""

_DARK, _DARK_FLOAT = 0.015, 0.03
"""Share of the range that nothing of an image exceeds which is black to the model. It is larger for
floats, which are often scaled to 0 … 1 or to unit variance."""


def range_mismatch(slices: Slices, preprocessing: Preprocessing) -> str:
    """Return a message if an image lies outside of the range that a model expects, else "".

    A dark, empty or normally clipped image is none of these cases. Slices of the whole image
    decide; of an array that is not in memory only if the first slice seems to be such a case.

    Parameters
    ----------
    slices
        The image.
    preprocessing
        That of the model.
    """
    expected = _expected_range(preprocessing)
    if expected is None or _is_stored_so(slices, expected):
        return ""
    return _judge(_sample(slices, expected, preprocessing), expected, preprocessing)


@dataclass(frozen=True, slots=True, eq=False)
class RangeReport:
    """The values of an image beside the range that a model expects.

    Attributes
    ----------
    low, high
        Least and largest finite value; both 0 without any.
    values
        Some of the finite values, ``(N,)``.
    expected
        Least and largest value that the model expects.
    problem
        What becomes of the values in the model, "" if they are as expected.
    """

    low: float
    high: float
    values: NDArray[Any]
    expected: ValueRange
    problem: str


def range_report(slices: Slices, preprocessing: Preprocessing) -> RangeReport | None:
    """Compare the values of an image with the range that a model expects, as `range_mismatch` does.

    Returns
    -------
    RangeReport or None
        None if the model adapts to any range.
    """
    expected = _expected_range(preprocessing)
    if expected is None:
        return None
    sample = _sample(slices, expected, preprocessing)
    fits = sample.constant or _is_stored_so(slices, expected)
    problem = "" if fits else _problem(sample, expected, preprocessing)
    return RangeReport(sample.low, sample.high, sample.some, expected, problem)


def _sample(slices: Slices, expected: ValueRange, preprocessing: Preprocessing) -> _Values:
    """Return values of the whole image; of one that is not in memory, of a slice if it fits."""
    image = replace(slices, scope=Scope())
    sample = _read(image, slices.indices[0])
    in_memory = isinstance(slices.image, np.ndarray)
    if not (in_memory or sample.constant or _problem(sample, expected, preprocessing)):
        return sample
    count = len(image.indices)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_SLICES)).round().astype(int))
    others = [image.indices[n] for n in chosen.tolist()]
    return _pool([sample, *(_read(image, index) for index in others if index != slices.indices[0])])


class ExposureCheck:
    """Checks the range of slices that are too large to be read twice, from the bands of a job.

    Parameters
    ----------
    slices, preprocessing
        Those of the job.
    """

    def __init__(self, slices: Slices, preprocessing: Preprocessing) -> None:
        expected = None if slices.fits_in_memory else _expected_range(preprocessing)
        skipped = expected is None or _is_stored_so(slices, expected)
        self._expected = None if skipped else expected
        self._preprocessing = preprocessing
        self._samples: list[_Values] = []

    def add(self, band: NDArray[Any]) -> None:
        """Add the pixels of a band, as they were read."""
        if self._expected is not None and len(self._samples) < _MOST_BANDS:
            self._samples.append(_values(band.reshape(-1), _SAMPLE // _MOST_BANDS))

    def message(self) -> str:
        """Return a message as `range_mismatch` does, or ""."""
        if self._expected is None or not self._samples:
            return ""
        return _judge(_pool(self._samples), self._expected, self._preprocessing)


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """Some finite values of an image, with the least and the largest of all."""

    low: float
    high: float
    some: NDArray[Any]

    @property
    def constant(self) -> bool:
        return not self.high > self.low


def _expected_range(preprocessing: Preprocessing) -> ValueRange | None:
    """Return the range that a model expects; None if it adapts, or is not known."""
    if preprocessing.intensity == "range":
        return preprocessing.low, preprocessing.high
    mean, std = np.asarray(preprocessing.mean), np.asarray(preprocessing.std)
    if preprocessing.intensity == "percentile" or ((mean == 0) & (std == 1)).all():
        return None
    return float((mean - 3 * std).min()), float((mean + 3 * std).max())


def _is_stored_so(slices: Slices, expected: ValueRange) -> bool:
    """Whether the pixels are bytes or booleans of a model for bytes, which may be dark.

    Images of 16 bits are checked, as cameras of 12 bits fill a sixteenth of the range.
    """
    return slices.image.dtype in (np.bool_, np.uint8) and expected == (0, 255)


def _read(image: Slices, index: Index) -> _Values:
    """Return values of a slice: of all of it, or of evenly spaced blocks of a large one."""
    if image.fits_in_memory:
        pixels = image.read(index).reshape(-1)
    else:
        pixels = np.concatenate([block.reshape(-1) for block in _blocks(image, index)])
    return _values(pixels, _SAMPLE)


def _values(pixels: NDArray[Any], most: int) -> _Values:
    finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    if not finite.size:
        return _Values(0.0, 0.0, finite)
    step = -(-finite.size // most)
    return _Values(float(finite.min()), float(finite.max()), finite[::step])


def _blocks(image: Slices, index: Index) -> list[NDArray[Any]]:
    starts = [
        np.linspace(0, max(side - _BLOCK, 0), _BLOCKS).astype(int).tolist()
        for side in (image.height, image.width)
    ]
    scopes = [
        Scope(index, (y, min(y + _BLOCK, image.height)), (x, min(x + _BLOCK, image.width)))
        for y in starts[0]
        for x in starts[1]
    ]
    return [replace(image, scope=scope).read(index) for scope in scopes]


def _pool(samples: list[_Values]) -> _Values:
    known = [sample for sample in samples if sample.some.size]
    if not known:
        return samples[0]
    low, high = min(sample.low for sample in known), max(sample.high for sample in known)
    return _Values(low, high, np.concatenate([sample.some for sample in known]))


def _judge(sample: _Values, expected: ValueRange, preprocessing: Preprocessing) -> str:
    problem = "" if sample.constant else _problem(sample, expected, preprocessing)
    return _message(sample, expected, problem) if problem else ""


def _problem(sample: _Values, expected: ValueRange, preprocessing: Preprocessing) -> str:
    """Return what becomes of values in the model, or "" if they are as expected."""
    (low, high), values = expected, sample.some.astype(np.float64)
    span = high - low
    if preprocessing.intensity == "none":
        outside = np.mean((values < low - span) | (values > high + span))
        return "most values are far from it" if outside > 0.5 else ""
    dark = _DARK_FLOAT if sample.some.dtype.kind == "f" else _DARK
    least, largest = _without_hot_pixels(sample)
    if least == largest:  # an empty image with hot pixels
        return ""
    if largest <= low + dark * span:
        return "all of it is black to the model"
    if largest - least < _FLAT * span:
        return "all of it is one gray to the model"
    above, margin = float(np.mean(values > high)), _TOLERANCE * span
    if above > 0.9:
        return f"{above:.0%} of it is white to the model"
    below = float(np.mean(values < low))
    if below > 0.99:
        return f"{below:.0%} of it is black to the model"
    if expected in _STORAGE_RANGES:
        if np.mean(values > high + margin) > 0.01:
            return f"{above:.0%} of it is white to the model"
        if np.mean(values < low - margin) > 0.25:
            return f"{below:.0%} of it is black to the model"
    return ""


def _without_hot_pixels(sample: _Values) -> ValueRange:
    """Return the least and the largest value, without `_HOT` pixels at either end."""
    some = sample.some
    if some.size <= 100 * _HOT:
        return sample.low, sample.high
    ordered = np.partition(some, (_HOT, some.size - 1 - _HOT))
    return float(ordered[_HOT]), float(ordered[-1 - _HOT])


def _message(sample: _Values, expected: ValueRange, problem: str) -> str:
    low, high = expected
    return (
        f"The image has values {sample.low:.4g} … {sample.high:.4g}, the model expects {low:.4g} … "
        f"{high:.4g}: {problem}. Choose percentiles, or the range of the image (Model tab, Values; "
        f'checkpoint.override(intensity="percentile", low=0.5, high=99.5); in a terminal --set, of '
        f"train --model, with intensity=percentile, low=0.5 and high=99.5)."
    )
