"""Benchmark: how fast this computer runs a checkpoint's network, and in which way it is fastest."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_emcad.imaging.slices import as_slices
from napari_emcad.inference.batch_size import default_batch
from napari_emcad.inference.devices import (
    DeviceChoice,
    device_choices,
    free_memory,
    half_precision,
    half_types,
)
from napari_emcad.inference.events import InferenceSettings, Progress
from napari_emcad.inference.fast_network import fast_copy, half_autocast
from napari_emcad.inference.patches import Preprocessor, make_plan
from napari_emcad.inference.postprocess import labels_from_logits
from napari_emcad.inference.segment import describe_memory_errors
from napari_emcad.inference.timing import alternate, median_times, synchronize
from napari_emcad.io.images.samples import SAMPLES, read_sample
from napari_emcad.model.macs import count_macs
from napari_emcad.pipelines.benchmark_results import (
    FULL,
    Agreement,
    BenchmarkResult,
    MeasuredDevice,
    Timing,
    recommend,
)
from napari_emcad.pipelines.scores import class_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.segmenter import Segmenter

    Size = tuple[int, int]
    Clock = Callable[[], float]

SIZES: tuple[Size, ...] = ((1, 256), (4, 352), (1, 512))
"""Number of images of a batch, and their side in pixels."""

QUICK_SIZES: tuple[Size, ...] = ((1, 64),)

RUNS = 7
_MOST_S = 45.0
"""Seconds after which no further rounds begin on a device."""

_PLAIN, _LIMIT = "plain", "limit "


def benchmark_job(
    checkpoint: Checkpoint,
    devices: Sequence[DeviceChoice] | None = None,
    quick: bool = False,
    clock: Clock = time.perf_counter,
) -> Generator[Progress, None, BenchmarkResult]:
    """Time the forward pass of a checkpoint's network on every device.

    Parameters
    ----------
    checkpoint
        Model whose network is timed.
    devices
        Devices to measure; None takes all that are available.
    quick
        Whether to time one small image once.
    clock
        Returns seconds.

    Yields
    ------
    Progress
        After every round.

    Raises
    ------
    OutOfMemory
        If memory is short.
    """
    if devices is None:
        devices = [choice for choice in device_choices() if not choice.reason]
    measured = tuple(map(_measured_device, devices))
    timings, agreements = list[Timing](), list[Agreement]()
    with describe_memory_errors():
        for number, device in enumerate(measured):
            job = _time_device(checkpoint, device, quick, clock)
            for event in job:
                if isinstance(event, Timing):
                    timings.append(event)
                elif isinstance(event, Agreement):
                    agreements.append(event)
                else:
                    rounds = number * event.total + event.done
                    yield Progress(rounds, event.total * len(measured))
            free_memory()
    return BenchmarkResult(
        checkpoint.title,
        torch.__version__,
        torch.get_num_threads(),
        measured,
        tuple(timings),
        tuple(agreements),
        recommend(measured, timings, agreements),
    )


def _measured_device(choice: DeviceChoice) -> MeasuredDevice:
    device, side = torch.device(choice.name), InferenceSettings().tile
    half = half_precision(device)
    precision = FULL if half is None else _name(half)
    size = default_batch(device, side**2), side
    return MeasuredDevice(choice.name, choice.title, precision, size)


def _time_device(
    checkpoint: Checkpoint, measured: MeasuredDevice, quick: bool, clock: Clock
) -> Generator[Timing | Agreement | Progress, None, None]:
    """Yield the timing of every size, the agreement of every half precision, and progress."""
    device = torch.device(measured.name)
    network = checkpoint.network().to(device)
    fast = {FULL: fast_copy(network, device, None)}
    fast |= {_name(half): fast_copy(network, device, half) for half in half_types(device)}
    more = () if measured.default_size in SIZES else (measured.default_size,)
    sizes = QUICK_SIZES if quick else (*SIZES, *more)
    runs = 1 if quick else RUNS
    for number, size in enumerate(sizes):
        ways = _passes(network, fast, checkpoint, size, device)
        rounds: list[dict[str, float]] = []
        for times in alternate(ways, runs, _MOST_S / len(sizes), clock):
            rounds.append(times)
            yield Progress(number * runs + len(rounds), runs * len(sizes))
        if len(rounds) < runs:
            yield Progress((number + 1) * runs, runs * len(sizes))
        yield _timing(measured.name, size, rounds)
    for half in half_types(device):
        samples = SAMPLES[:1] if quick else SAMPLES
        networks = fast[FULL], fast[_name(half)]
        dice = {name: _dice(networks, checkpoint, name, device, half) for name in samples}
        yield Agreement(measured.name, _name(half), dice)


def _passes(
    network: Segmenter,
    fast: Mapping[str, Segmenter],
    checkpoint: Checkpoint,
    size: Size,
    device: torch.device,
) -> dict[str, Callable[[], object]]:
    """Return the forward passes to compare by name, and a matrix product per precision."""
    images, side = size
    shape = images, checkpoint.config.input_channels, side, side
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(shape, generator=generator, device="cpu").to(device)
    last = x.contiguous(memory_format=torch.channels_last)
    types = {FULL: torch.float32} | {_name(half): half for half in half_types(device)}
    plain = _forward(network, checkpoint, x, device, torch.float32)
    ways: dict[str, Callable[[], object]] = {_PLAIN: plain}
    for name, dtype in types.items():
        ways[name] = _forward(fast[name], checkpoint, last, device, dtype)
        macs = images * count_macs(checkpoint.config, side, side)
        ways[_LIMIT + name] = _product(round(macs ** (1 / 3)), device, dtype)
    return ways


def _forward(
    network: Segmenter,
    checkpoint: Checkpoint,
    x: torch.Tensor,
    device: torch.device,
    dtype: torch.dtype,
    zoom: float = 1.0,
) -> Callable[[], torch.Tensor]:
    half = None if dtype == torch.float32 else dtype

    def forward() -> torch.Tensor:
        with torch.inference_mode(), half_autocast(network, device, half):
            logits = network.predict(x, checkpoint.head, zoom)
            synchronize(device)
            return logits

    return forward


def _product(side: int, device: torch.device, dtype: torch.dtype) -> Callable[[], torch.Tensor]:
    """Return a product of two square matrices with sides of this length."""
    one, other = (torch.rand(side, side, device="cpu").to(device, dtype) for _ in range(2))

    def product() -> torch.Tensor:
        with torch.inference_mode():
            result = one @ other
            synchronize(device)
            return result

    return product


def _timing(device: str, size: Size, rounds: list[dict[str, float]]) -> Timing:
    names = [name for name in rounds[0] if name != _PLAIN and not name.startswith(_LIMIT)]

    def ratio(name: str, other: str) -> float:
        return median(times[other] / times[name] for times in rounds)

    return Timing(
        device,
        *size,
        plain_s=median_times(rounds)[_PLAIN],
        times_as_fast={name: ratio(name, _PLAIN) for name in names},
        share_of_limit={name: ratio(name, _LIMIT + name) for name in names},
    )


def _dice(
    networks: tuple[Segmenter, Segmenter],
    checkpoint: Checkpoint,
    sample: str,
    device: torch.device,
    half: torch.dtype,
) -> float:
    """Return the Dice of the labels of a sample image in half precision with those in float32."""
    exact, rounded = (
        _labels(network, checkpoint, sample, device, dtype)
        for network, dtype in zip(networks, (torch.float32, half), strict=True)
    )
    scores = class_scores(rounded, exact, len(checkpoint.classes)).values()
    return float(np.mean([score.dice for score in scores if score.occurs] or [1.0]))


def _labels(
    network: Segmenter,
    checkpoint: Checkpoint,
    sample: str,
    device: torch.device,
    dtype: torch.dtype,
) -> NDArray[np.uint8]:
    """Return the labels of all tiles of a sample image, flat."""
    pixels, settings = read_sample(sample), InferenceSettings()
    axes = "YXC" if pixels.ndim == 3 else "YX"
    slices = as_slices(pixels, checkpoint.config.input_channels, axes)
    preprocessor = Preprocessor(slices, checkpoint.preprocessing)
    plan = make_plan(slices, checkpoint.preprocessing, settings.tile, settings.overlap)
    labels = []
    for patch in plan.patches(preprocessor, 0):
        x = torch.from_numpy(np.ascontiguousarray(patch.pixels))[None].to(device)
        forward = _forward(network, checkpoint, x, device, dtype, checkpoint.preprocessing.zoom)
        logits = forward()[0].float().cpu().numpy()
        labels.append(labels_from_logits(logits, settings.threshold).ravel())
    return np.concatenate(labels)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
