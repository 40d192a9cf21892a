"""Any image array as a stack of 2-D slices with the channels a network wants.

Axes are letters: Y and X span a slice, C are channels, every other letter (Z, T, …) stacks slices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product, takewhile
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.intensity import as_numbers
from napari_emcad.imaging.validation import as_int, as_ints, as_pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

Index = tuple[int, ...]
Where = tuple[int | slice, ...]

_SAMPLE = 2**24
"""Pixels read at once, and at most used for percentiles."""

_FEW = 10
"""Entries of a last axis that may be channels, or positions in time or depth."""

_MUCH = 4
"""So many times as large are rows and columns, where such an axis may lie behind them."""

_LUMINANCE = (0.2125, 0.7154, 0.0721)
"""Weights of red, green and blue (ITU-R BT.709), as in scikit-image's ``rgb2gray``."""


class AxesError(ValueError):
    """The axes or channels of an image are ambiguous or contradictory."""


def guess_axes(shape: Sequence[int]) -> str:
    """Return the axes of an image of this shape where only one reading is sensible.

    A last axis of 3 or 4 is color, the two before it span the slices; without one, the last two
    do. Leading axes of 5 or more stack slices.

    Raises
    ------
    AxesError
        If a leading axis has 2 to 4 entries and could be channels, if the last one has and the
        image could be channels last, or if the last ones have 10 at most and are much smaller than
        the two before them, which could span the slices.
    ValueError
        If there are too few axes.
    """
    sizes = tuple(shape)
    _check_rank(sizes)
    color = len(sizes) >= 3 and sizes[-1] in (3, 4) and min(sizes[-3:-1]) > 4
    plane = 3 if color else 2
    stacked = len(sizes) - plane
    thin = stacked and sum(size <= 4 for size in sizes[-plane:][:2]) == 1
    behind = not color and _something_behind(sizes)
    if stacked > 2 or thin or behind or any(2 <= size <= 4 for size in sizes[:stacked]):
        raise AxesError(
            f"The axes of shape {sizes} are ambiguous: say what each axis is, as in CYX for "
            f"channels or ZYX for slices."
        )
    return "TZ"[2 - stacked :] + ("YXC" if color else "YX")


def _check_rank(sizes: tuple[int, ...]) -> None:
    if len(sizes) < 2:
        raise ValueError(f"An image has at least two axes; this one has shape {sizes}.")


def _something_behind(sizes: tuple[int, ...]) -> bool:
    """Whether the last axes are so small that the two before them could be rows and columns."""
    small = list(takewhile(lambda size: size <= _FEW, reversed(sizes)))
    plane = sizes[: len(sizes) - len(small)][-2:]
    return bool(small) and len(plane) == 2 and min(plane) >= _MUCH * max(small)


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """Which source channels feed the network.

    Attributes
    ----------
    planes
        The source channels that are read.
    inputs
        For each network input the position in `planes`, or None for an empty input.
    luminance
        Whether red, green and blue are weighted into one plane first.
    """

    planes: tuple[int, ...]
    inputs: tuple[int | None, ...]
    luminance: bool = False


def map_channels(
    count: int | None,
    wanted: int,
    channels: Sequence[int | None] | int | None = None,
    color: bool = False,
) -> ChannelMap:
    """Return how an image's channels feed a network.

    Parameters
    ----------
    count
        Channels of the image, None if it has no channel axis.
    wanted
        Inputs of the network, 1 or 3.
    channels
        For each input the image's channel, None for an empty one; a single entry feeds all.
        None chooses where only one choice is sensible: gray is repeated, color goes in as it is
        (without alpha) or as luminance.
    color
        Whether four channels are red, green, blue and alpha.

    Raises
    ------
    AxesError
        If the choice is not the caller's to leave open, or does not fit.
    ValueError
        If a channel is no whole number.
    """
    total = count or 1
    if channels is not None:
        return _chosen(total, wanted, _listed(channels))
    if total == 1:
        return ChannelMap((0,), (0,) * wanted)
    if total == 3 or (total == 4 and color):
        if wanted == 3:
            return ChannelMap((0, 1, 2), (0, 1, 2))
        return ChannelMap((0, 1, 2), (0,), luminance=True)
    raise AxesError(
        f"The image has {total} channels and the network takes {wanted}: choose which, as in "
        f"channels {', '.join(map(str, range(min(total, wanted))))}."
    )


def _listed(channels: Any) -> tuple[int | None, ...]:
    """Return a channel for each input, of which a single one may stand by itself."""
    several = isinstance(channels, Iterable) and not isinstance(channels, str)
    listed = list(channels) if several else [channels]
    return tuple(None if each is None else as_int("The channel", each) for each in listed)


def _chosen(total: int, wanted: int, channels: tuple[int | None, ...]) -> ChannelMap:
    if len(channels) not in (1, wanted) or all(each is None for each in channels):
        raise AxesError(
            f"The network takes {wanted} input{'s' if wanted > 1 else ''}; "
            f"{len(channels)} channels were chosen: {channels}."
        )
    for each in channels:
        if each is not None and not 0 <= each < total:
            raise AxesError(f"There is no channel {each}; the image has 0 to {total - 1}.")
    planes = tuple(sorted({each for each in channels if each is not None}))
    inputs = tuple(None if each is None else planes.index(each) for each in channels)
    return ChannelMap(planes, inputs * (wanted // len(inputs)))


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of an image to work on.

    Attributes
    ----------
    index
        Position along the stacked axes of the only slice wanted, a single number where one axis is
        stacked; None takes all.
    rows, columns
        Half-open ranges within each slice; None takes all.

    Raises
    ------
    ValueError
        If they are of another kind.
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


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """An image as a sequence of 2-D slices, read piece by piece; made by `as_slices`.

    Attributes
    ----------
    image
        The array, perhaps lazy.
    axes
        A letter per axis.
    channels
        What feeds the network.
    scope
        The part that counts.
    """

    image: Any
    axes: str
    channels: ChannelMap
    scope: Scope

    @property
    def spatial_axes(self) -> str:
        """The axes of a segmentation: all but the channels."""
        return self.axes.replace("C", "")

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Shape of a segmentation of the whole image."""
        return tuple(self._size(letter) for letter in self.spatial_axes)

    @property
    def indices(self) -> tuple[Index, ...] | _Product:
        """Position of each slice along the stacked axes."""
        if self.scope.index is not None:
            return (self.scope.index,)
        return _Product(tuple(self._size(each) for each in self._stacked))

    @property
    def height(self) -> int:
        """Rows of each slice within the scope."""
        start, stop = self._range("Y")
        return stop - start

    @property
    def width(self) -> int:
        """Columns of each slice within the scope."""
        start, stop = self._range("X")
        return stop - start

    @property
    def fits_in_memory(self) -> bool:
        """Whether a slice is small enough to be read at once."""
        return self.height * self.width * len(self.channels.planes) <= _SAMPLE

    def read(self, index: Index, rows: tuple[int, int] | None = None) -> NDArray[Any]:
        """Return one slice, or some of its rows, as ``(planes, H, W)`` numbers.

        Parameters
        ----------
        index
            Position along the stacked axes.
        rows
            Half-open range, counted from the scope's first row.
        """
        first, last = self._range("Y")
        chosen = (first, last) if rows is None else (first + rows[0], first + rows[1])
        planes = self.channels.planes
        if planes == tuple(range(planes[0], planes[-1] + 1)):
            pixels = self._planes(index, chosen, slice(planes[0], planes[-1] + 1))
        else:
            pixels = np.concatenate([self._planes(index, chosen, slice(p, p + 1)) for p in planes])
        pixels = as_numbers(pixels)
        return _luminance(pixels) if self.channels.luminance else pixels

    def _planes(self, index: Index, rows: tuple[int, int], channels: slice) -> NDArray[Any]:
        part = {"Y": slice(*rows), "X": slice(*self._range("X")), "C": channels}
        pixels = np.asarray(self.image[self._where(index, part)])
        order = [letter for letter in self.axes if letter in part]
        if "C" not in order:
            pixels, order = pixels[None], ["C", *order]
        return pixels.transpose([order.index(letter) for letter in "CYX"])

    def sample(self, index: Index) -> NDArray[Any]:
        """Return pixels of one slice for percentiles: all of them, or a regular grid of rows.

        A slice that does not fit is read in bands of which every n-th pixel is kept.
        """
        if self.fits_in_memory:
            return self.read(index)
        step = max(1, _SAMPLE // (4 * self.width))
        every = -(-self.height * self.width * len(self.channels.planes) // _SAMPLE)
        starts = range(0, self.height, step)
        bands = (self.read(index, (y, min(y + step, self.height))) for y in starts)
        return np.concatenate([band.reshape(-1)[::every] for band in bands])

    def planes_to_inputs(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(inputs, H, W)`` from normalized planes; empty inputs are 0."""
        inputs = self.channels.inputs
        if inputs == tuple(range(len(planes))):
            return planes
        empty = np.zeros_like(planes[0])
        return np.stack([empty if each is None else planes[each] for each in inputs])

    def where(self, index: Index, rows: tuple[int, int], columns: tuple[int, int]) -> Where:
        """Return where a part of a slice lies in a segmentation of the whole image.

        Parameters
        ----------
        index
            Position along the stacked axes.
        rows, columns
            Half-open ranges, counted from the scope's corner.
        """
        top, left = self._range("Y")[0], self._range("X")[0]
        part = {
            "Y": slice(top + rows[0], top + rows[1]),
            "X": slice(left + columns[0], left + columns[1]),
        }
        where = self._where(index, part)
        return tuple(each for each, a in zip(where, self.axes, strict=True) if a != "C")

    @property
    def transposed(self) -> bool:
        """Whether columns come before rows in the image's own order."""
        return self.axes.index("X") < self.axes.index("Y")

    def check_scope(self) -> None:
        """Refuse a scope that is not within the image.

        Raises
        ------
        AxesError
            It says what is possible.
        """
        sizes = tuple(self._size(each) for each in self._stacked)
        index = self.scope.index
        if index is not None:
            pairs = zip(index, sizes, strict=False)
            if len(index) != len(sizes) or not all(0 <= i < size for i, size in pairs):
                raise AxesError(f"There is no slice {index}; stacked sizes are {sizes}.")
        for name, chosen, letter in (
            ("rows", self.scope.rows, "Y"),
            ("columns", self.scope.columns, "X"),
        ):
            size = self._size(letter)
            if chosen is not None and not 0 <= chosen[0] < chosen[1] <= size:
                raise AxesError(f"{name} {chosen} must lie within 0 … {size} and not be empty.")

    @property
    def _stacked(self) -> str:
        return "".join(each for each in self.axes if each not in "CYX")

    def _size(self, letter: str) -> int:
        return int(self.image.shape[self.axes.index(letter)])

    def _range(self, letter: str) -> tuple[int, int]:
        chosen = self.scope.rows if letter == "Y" else self.scope.columns
        return (0, self._size(letter)) if chosen is None else chosen

    def _where(self, index: Index, part: dict[str, slice]) -> Where:
        position = dict(zip(self._stacked, index, strict=True))
        return tuple(part.get(a, position.get(a, 0)) for a in self.axes)


@dataclass(frozen=True, slots=True)
class _Product:
    """The positions of a stack, counted without listing them."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return prod(self.shape)

    def __iter__(self) -> Iterator[Index]:
        return product(*map(range, self.shape))

    def __getitem__(self, position: int) -> Index:
        return tuple(int(each) for each in np.unravel_index(position, self.shape))


def as_slices(
    image: Any,
    wanted: int,
    axes: str | None = None,
    channels: Sequence[int | None] | int | None = None,
    scope: Scope | None = None,
) -> Slices:
    """Return an image as slices for a network; nothing is read yet.

    Parameters
    ----------
    image
        Anything with a shape and a dtype that can be indexed: numpy, dask, zarr, … For a
        multiscale image hand in one level.
    wanted
        Inputs of the network, 1 or 3.
    axes
        A letter per axis, Y and X among them, C for channels, others stack; None guesses where
        only one reading is sensible (see `guess_axes`).
    channels
        Which channels feed the network, see `map_channels`.
    scope
        The part to work on.

    Raises
    ------
    AxesError
        If axes, channels or scope do not fit the image, or are ambiguous.
    TypeError
        If the pixels are not real numbers, the image is several arrays, or axes or scope are of
        another kind.
    ValueError
        If the image is empty, has fewer than two axes, a shape that is not known or pixels behind a
        mask, or a channel is no whole number.
    """
    image = _as_array(image)
    if scope is not None and not isinstance(scope, Scope):
        raise TypeError(f"scope is {scope!r}; it must be a Scope, such as Scope(index=3).")
    _check_pixels(image)
    shape = tuple(image.shape)
    axes = guess_axes(shape) if axes is None else _checked_axes(axes, shape)
    count = shape[axes.index("C")] if "C" in axes else None
    mapped = map_channels(count, wanted, channels, color=axes.endswith("YXC"))
    slices = Slices(image, axes, mapped, Scope() if scope is None else scope)
    slices.check_scope()
    return slices


def _as_array(image: Any) -> Any:
    """Return what can be indexed as it is, and a list or a tensor as an array of NumPy."""
    if hasattr(image, "shape") and hasattr(image, "dtype") and _has_type(image):
        return image
    if hasattr(image, "keys") and not hasattr(image, "shape"):
        raise TypeError(
            f"The image is a {type(image).__name__} of several arrays; name one of them, as in "
            f"group['0']."
        )
    try:
        return np.asarray(image)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"The image is a {type(image).__name__} that NumPy cannot read; hand in an array (of a "
            f"tensor detach().cpu().numpy())."
        ) from None


def _has_type(image: Any) -> bool:
    """Whether NumPy knows its type of numbers: that of a tensor it does not."""
    try:
        np.dtype(image.dtype)
    except TypeError:
        return False
    return True


def _check_pixels(image: Any) -> None:
    kind = np.dtype(image.dtype).kind
    if kind == "c":
        raise TypeError("The image is complex; segment its magnitude (numpy.abs) instead.")
    if kind not in "biuf":
        raise TypeError(f"The image holds {image.dtype}, not numbers; convert it first.")
    if any(size != size for size in image.shape):  # NaN
        raise ValueError(
            f"The image's shape {tuple(image.shape)} is not known; call its compute_chunk_sizes() "
            f"first."
        )
    if not all(image.shape):
        raise ValueError(f"The image is empty: its shape is {tuple(image.shape)}.")
    if np.ma.is_masked(image):
        raise ValueError(
            "The image hides pixels behind a mask; fill them first, as image.filled(0) does."
        )
    _check_rank(tuple(image.shape))


def _checked_axes(axes: str, shape: tuple[int, ...]) -> str:
    if not isinstance(axes, (str, tuple, list)) or not all(isinstance(a, str) for a in axes):
        raise TypeError(f"axes is {axes!r}; it must be a letter for each axis, as in ZYX.")
    letters = "".join(axes).upper()
    if not letters.isalpha() or len(set(letters)) != len(letters) or not set("YX") <= set(letters):
        raise AxesError(f"axes={axes!r} must name each axis by another letter, Y and X among them.")
    if len(letters) != len(shape):
        raise AxesError(f"axes={axes!r} names {len(letters)} axes; the image has shape {shape}.")
    return letters


def _luminance(pixels: NDArray[Any]) -> NDArray[Any]:
    weights = np.asarray(_LUMINANCE, np.float32 if pixels.dtype.itemsize <= 4 else np.float64)
    with np.errstate(invalid="ignore"):  # infinities of both signs in one pixel are NaN
        gray: NDArray[Any] = np.tensordot(weights, pixels, axes=1)[None]
    return gray
