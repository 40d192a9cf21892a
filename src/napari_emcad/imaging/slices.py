"""An image array of any rank as a stack of 2-D slices with the channels that a network takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.arrays import as_array, check_pixels
from napari_emcad.imaging.axes import AxesError, check_axes, guess_axes
from napari_emcad.imaging.channels import ChannelMap, luminance, map_channels
from napari_emcad.imaging.intensity import as_numbers
from napari_emcad.imaging.positions import Positions
from napari_emcad.imaging.range_cache import RangeCache
from napari_emcad.imaging.read_plane import read_plane
from napari_emcad.imaging.scope import Index as Index
from napari_emcad.imaging.scope import Scope as Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Where = tuple[int | slice, ...]

_SAMPLE = 2**24
"""Most pixels that are read at once, and that percentiles are computed from."""

_MOST_READ = 2**28
"""Most pixels of a slice that are read for percentiles; of a larger one, evenly spaced bands."""


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """An image as a sequence of 2-D slices that are read on demand; made by `as_slices`.

    Attributes
    ----------
    image
        The array, perhaps lazy.
    axes
        One letter per axis.
    channels
        Channels that feed the network.
    scope
        The part of the image to work on.
    finest
        The finest level of the image if `image` is a coarser one; None if it is the finest.
    ranges
        Ranges of intensity that were computed before; all scopes and levels of an image share it.
    """

    image: Any
    axes: str
    channels: ChannelMap
    scope: Scope
    finest: Any = None
    ranges: RangeCache = field(default_factory=RangeCache)

    @property
    def whole(self) -> Slices:
        """All slices of the finest level, whose pixels determine the ranges of intensity."""
        image = self.image if self.finest is None else self.finest
        return replace(self, image=image, scope=Scope(), finest=None)

    @property
    def is_color_picture(self) -> bool:
        """Whether the planes that are read are red, green and blue of one picture.

        Pictures have bytes or floats; integers of more bits are measured channels.
        """
        dtype = np.dtype(self.image.dtype)
        is_rgb = self.axes.endswith("YXC") and self._size("C") in (3, 4)
        is_picture = dtype.kind == "f" or dtype == np.uint8
        return is_rgb and is_picture and self.channels.planes == (0, 1, 2)

    @property
    def covers_slices(self) -> bool:
        """Whether the slices of the scope are complete ones of the finest level."""
        return self.finest is None and self.scope.rows is None and self.scope.columns is None

    @property
    def spatial_axes(self) -> str:
        """The axes of a segmentation: all but the channels."""
        return self.axes.replace("C", "")

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Shape of a segmentation of the whole image."""
        return tuple(self._size(letter) for letter in self.spatial_axes)

    @property
    def indices(self) -> tuple[Index, ...] | Positions:
        """Positions of the slices along the stacked axes."""
        if self.scope.index is not None:
            return (self.scope.index,)
        return Positions(self.stacked_shape)

    @property
    def stacked_shape(self) -> tuple[int, ...]:
        """Sizes of the stacked axes."""
        return tuple(self._size(letter) for letter in self.spatial_axes if letter not in "YX")

    @property
    def height(self) -> int:
        """Number of rows of a slice within the scope."""
        start, stop = self._range("Y")
        return stop - start

    @property
    def width(self) -> int:
        """Number of columns of a slice within the scope."""
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
        return luminance(pixels) if self.channels.luminance else pixels

    def _planes(self, index: Index, rows: tuple[int, int], channels: slice) -> NDArray[Any]:
        part = {"Y": slice(*rows), "X": slice(*self._range("X")), "C": channels}
        pixels = read_plane(self.image, self._where(index, part), self.axes)
        order = [letter for letter in self.axes if letter in part]
        if "C" not in order:
            pixels, order = pixels[None], ["C", *order]
        return pixels.transpose([order.index(letter) for letter in "CYX"])

    def sample(self, index: Index) -> NDArray[Any]:
        """Return pixels of one slice for percentiles, ``(planes, …)``: all, or a regular sample.

        A slice that does not fit in memory is read in bands of which every n-th pixel is kept.
        """
        if self.fits_in_memory:
            return self.read(index)
        height, planes = max(1, _SAMPLE // (4 * self.width)), len(self.channels.planes)
        starts = np.arange(0, self.height, height)
        most = max(_MOST_READ // (height * self.width * planes), 1)
        if len(starts) > most:
            starts = starts[np.linspace(0, len(starts) - 1, most).round().astype(int)]
        step = -(-min(self.height, height * most) * self.width * planes // _SAMPLE)
        bands = (self.read(index, (y, min(y + height, self.height))) for y in starts.tolist())
        return np.concatenate([band.reshape(len(band), -1)[:, ::step] for band in bands], axis=1)

    def planes_to_inputs(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(inputs, H, W)`` from normalized planes; empty inputs are 0."""
        inputs = self.channels.inputs
        if inputs == tuple(range(len(planes))):
            return planes
        empty = np.zeros_like(planes[0])
        return np.stack([empty if plane is None else planes[plane] for plane in inputs])

    def where(self, index: Index, rows: tuple[int, int], columns: tuple[int, int]) -> Where:
        """Return the NumPy index of a part of a slice in a segmentation of the whole image.

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
        return tuple(at for at, letter in zip(where, self.axes, strict=True) if letter != "C")

    @property
    def transposed(self) -> bool:
        """Whether columns come before rows in the image's own order."""
        return self.axes.index("X") < self.axes.index("Y")

    def check_scope(self) -> None:
        """Refuse a scope that is not within the image.

        Raises
        ------
        AxesError
            The message says what is possible.
        """
        sizes, index = self.stacked_shape, self.scope.index
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

    def _size(self, letter: str) -> int:
        return int(self.image.shape[self.axes.index(letter)])

    def _range(self, letter: str) -> tuple[int, int]:
        chosen = self.scope.rows if letter == "Y" else self.scope.columns
        return (0, self._size(letter)) if chosen is None else chosen

    def _where(self, index: Index, part: dict[str, slice]) -> Where:
        stacked = self.spatial_axes.replace("Y", "").replace("X", "")
        position = dict(zip(stacked, index, strict=True))
        return tuple(part.get(a, position.get(a, 0)) for a in self.axes)


def as_slices(
    image: Any,
    inputs: int,
    axes: str | None = None,
    channels: Sequence[int | None] | int | None = None,
    scope: Scope | None = None,
    finest: Any = None,
    ranges: RangeCache | None = None,
) -> Slices:
    """Return an image as slices for a network; nothing is read yet.

    Parameters
    ----------
    image
        Anything with a shape and a dtype that can be indexed: numpy, dask, zarr, … Of a
        multiscale image pass one level.
    inputs
        Number of inputs of the network, 1 or 3.
    axes
        One letter per axis: Y and X, C for channels, any other for a stacked axis; None guesses
        where only one reading is sensible (see `guess_axes`).
    channels
        Channels that feed the network, see `map_channels`.
    scope
        The part to work on; None takes the whole image.
    finest
        The finest level, if `image` is a coarser level of a multiscale image.
    ranges
        Ranges of intensity that were computed before for this image.

    Raises
    ------
    AxesError
        If axes, channels or scope do not fit the image, or are ambiguous.
    TypeError
        If the pixels are not real numbers, the image is several arrays, or axes or scope are of
        another type.
    ValueError
        If the image is empty, has fewer than two axes, an unknown shape or masked pixels, or a
        channel is no whole number.
    """
    image = as_array(image)
    if scope is not None and not isinstance(scope, Scope):
        raise TypeError(f"scope is {scope!r}; it must be a Scope, such as Scope(index=3).")
    check_pixels(image)
    shape = tuple(image.shape)
    axes = guess_axes(shape) if axes is None else check_axes(axes, shape)
    count = shape[axes.index("C")] if "C" in axes else None
    mapped = map_channels(count, inputs, channels, color=axes.endswith("YXC"))
    scope = Scope() if scope is None else scope
    finest = None if finest is image else finest
    cache = RangeCache() if ranges is None else ranges
    slices = Slices(image, axes, mapped, scope, finest, cache)
    slices.check_scope()
    return slices
