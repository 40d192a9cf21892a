"""What a benchmark of this computer found, and what it recommends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FULL = "float32"

LEAST_DICE = 0.99
"""Agreement with float32 on every sample image below which a half precision is not recommended."""

_WORTH_HALF = 1.1
"""Factor by which a half precision has to be faster than float32 to be recommended."""

_WORTH_SIZE = 1.25
"""The same for another size than the default; smaller tiles see less around their pixels."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of the forward pass on a batch of images.

    Attributes
    ----------
    device
        Name of the device.
    images, side
        Number of images, and their side in pixels.
    plain_s
        Median seconds of the network in plain float32 torch.
    times_as_fast
        Speed of the network as this package runs it, by precision, as multiples of plain torch's;
        medians of alternating runs.
    share_of_limit
        The same as a share of the speed of a matrix product with as many multiplications.
    """

    device: str
    images: int
    side: int
    plain_s: float
    times_as_fast: Mapping[str, float]
    share_of_limit: Mapping[str, float]

    def pixels_per_s(self, precision: str) -> float:
        """Return the speed at a precision in pixels per second."""
        return self.images * self.side**2 * self.times_as_fast[precision] / self.plain_s


@dataclass(frozen=True, slots=True)
class Agreement:
    """Mean Dice over classes of labels in a half precision with those in float32.

    Attributes
    ----------
    device, precision
        Name of the device, and of the precision.
    dice
        By name of the sample image.
    """

    device: str
    precision: str
    dice: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MeasuredDevice:
    """A device that was measured.

    Attributes
    ----------
    name, title
        Its name in torch, and its title.
    precision
        Precision in which `segment` computes there by default.
    default_size
        Number of tiles that are computed at once by default, and their side.
    """

    name: str
    title: str
    precision: str
    default_size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The fastest of what was measured, among what `segment` can be asked for."""

    device: str
    precision: str
    tile: int
    batch: int


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """Everything that was measured.

    Attributes
    ----------
    model
        Title of the checkpoint.
    torch, threads
        Version of torch, and number of its threads on the CPU.
    devices, timings, agreements
        What was measured.
    recommendation
        What follows from it.
    """

    model: str
    torch: str
    threads: int
    devices: tuple[MeasuredDevice, ...]
    timings: tuple[Timing, ...]
    agreements: tuple[Agreement, ...]
    recommendation: Recommendation


def recommend(
    devices: Sequence[MeasuredDevice], timings: Sequence[Timing], agreements: Sequence[Agreement]
) -> Recommendation:
    """Return the fastest device, precision, tile and batch, by pixels per second.

    The default size is left only for one that is 1.25 times as fast, and float32 for a half
    precision that is 1.1 times as fast, agrees with it, and is what `segment` uses on the device.
    """
    found = [_on_device(device, timings, agreements) for device in devices]
    timing, precision = max(found, key=lambda choice: choice[0].pixels_per_s(choice[1]))
    return Recommendation(timing.device, precision, timing.side, timing.images)


def _on_device(
    device: MeasuredDevice, timings: Sequence[Timing], agreements: Sequence[Agreement]
) -> tuple[Timing, str]:
    """Return the best size and precision on a device."""
    own = [timing for timing in timings if timing.device == device.name]
    best = _best_size(device, own, FULL), FULL
    agrees = any(
        (one.device, one.precision) == (device.name, device.precision)
        and min(one.dice.values()) >= LEAST_DICE
        for one in agreements
    )
    if agrees:
        half = _best_size(device, own, device.precision), device.precision
        if half[0].pixels_per_s(half[1]) >= _WORTH_HALF * best[0].pixels_per_s(best[1]):
            return half
    return best


def _best_size(device: MeasuredDevice, own: Sequence[Timing], precision: str) -> Timing:
    fastest = max(own, key=lambda timing: timing.pixels_per_s(precision))
    for timing in own:
        is_default = (timing.images, timing.side) == device.default_size
        enough = _WORTH_SIZE * timing.pixels_per_s(precision) > fastest.pixels_per_s(precision)
        if is_default and enough:
            return timing
    return fastest
