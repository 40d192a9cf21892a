"""Mapping of an image's channels to the inputs of a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.axes import AxesError
from napari_emcad.imaging.validation import as_int

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LUMINANCE = (0.2125, 0.7154, 0.0721)
"""Weights of red, green and blue (ITU-R BT.709), as in scikit-image's ``rgb2gray``."""


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """Mapping from the channels of an image to the inputs of a network.

    Attributes
    ----------
    planes
        The image's channels that are read.
    inputs
        Positions in `planes` of what feeds the network's inputs, None for an empty input.
    luminance
        Whether red, green and blue are weighted into one plane first.
    """

    planes: tuple[int, ...]
    inputs: tuple[int | None, ...]
    luminance: bool = False


def map_channels(
    count: int | None,
    inputs: int,
    channels: Sequence[int | None] | int | None = None,
    color: bool = False,
) -> ChannelMap:
    """Return how an image's channels feed a network.

    Parameters
    ----------
    count
        Number of channels of the image, None if it has no channel axis.
    inputs
        Number of inputs of the network, 1 or 3.
    channels
        The image's channels for the inputs, None for an empty one; a single number feeds all.
        None chooses where only one choice is sensible: gray is repeated, color goes in as it is
        (without alpha) or as luminance.
    color
        Whether four channels are red, green, blue and alpha.

    Raises
    ------
    AxesError
        If the channels must be chosen, or do not fit.
    ValueError
        If a channel is no whole number.
    """
    total = count or 1
    if channels is not None:
        return _map_chosen(total, inputs, _as_tuple(channels))
    if total == 1:
        return ChannelMap((0,), (0,) * inputs)
    if total == 3 or (total == 4 and color):
        if inputs == 3:
            return ChannelMap((0, 1, 2), (0, 1, 2))
        return ChannelMap((0, 1, 2), (0,), luminance=True)
    raise AxesError(
        f"The image has {total} channels and the network takes {inputs}: choose which, as in "
        f"channels {', '.join(map(str, range(min(total, inputs))))}."
    )


def _as_tuple(channels: Any) -> tuple[int | None, ...]:
    """Return channels as a tuple; a single channel may be a plain number."""
    several = isinstance(channels, Iterable) and not isinstance(channels, str)
    listed = list(channels) if several else [channels]
    return tuple(None if channel is None else as_int("The channel", channel) for channel in listed)


def _map_chosen(total: int, inputs: int, channels: tuple[int | None, ...]) -> ChannelMap:
    if len(channels) not in (1, inputs) or all(channel is None for channel in channels):
        raise AxesError(
            f"The network takes {inputs} input{'s' if inputs > 1 else ''}; "
            f"{len(channels)} channels were chosen: {channels}."
        )
    for channel in channels:
        if channel is not None and not 0 <= channel < total:
            raise AxesError(f"There is no channel {channel}; the image has 0 to {total - 1}.")
    planes = tuple(sorted({channel for channel in channels if channel is not None}))
    positions = tuple(None if channel is None else planes.index(channel) for channel in channels)
    return ChannelMap(planes, positions * (inputs // len(positions)))


def luminance(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the luminance ``(1, H, W)`` of red, green and blue ``(3, H, W)``."""
    weights = np.asarray(_LUMINANCE, np.float32 if pixels.dtype.itemsize <= 4 else np.float64)
    with np.errstate(invalid="ignore"):  # infinities of both signs in one pixel are NaN
        gray: NDArray[Any] = np.tensordot(weights, pixels, axes=1)[None]
    return gray
