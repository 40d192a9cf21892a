"""``napari-emcad benchmark``: how fast this computer is, and which options are the fastest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import UsageError, print_json, print_result, show_progress
from napari_emcad.cli.options import add_settings, load_checkpoint

if TYPE_CHECKING:
    import argparse

    from napari_emcad.inference.devices import DeviceChoice
    from napari_emcad.pipelines.benchmark_results import BenchmarkResult, Recommendation, Timing

_FULL = "float32"

_LEGEND = (
    "Speed of a forward pass as a multiple of plain float32 torch's, whose seconds are given; in "
    "brackets as a share of the speed of a matrix product with as many multiplications."
)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "benchmark", help="time this computer, and recommend options (one minute)"
    )
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled one")
    add_settings(parser)
    parser.add_argument("--device", choices=("cuda", "mps", "cpu"), help="default: all there are")
    parser.add_argument("--quick", action="store_true", help="one small image once, in seconds")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Time the network on every device, and print a table and a recommendation, or JSON."""
    checkpoint = load_checkpoint(args.checkpoint, args.set)
    devices = None if args.device is None else [_device(args.device)]
    result = _measure(checkpoint, devices, args.quick)
    if args.json:
        from dataclasses import asdict

        print_json(asdict(result))
        return
    print_result(f"{result.model}\ntorch {result.torch}, threads of the CPU: {result.threads}")
    for device in result.devices:
        print_result(f"\n{device.title}")
        for line in _table([one for one in result.timings if one.device == device.name]):
            print_result(line)
        for one in result.agreements:
            if one.device == device.name:
                dice = ", ".join(f"{name} {value:.4f}" for name, value in one.dice.items())
                print_result(f"Dice of {one.precision} with {_FULL}: {dice}")
    print_result(f"\n{_LEGEND}")
    if args.quick:
        print_result("--quick: a small image, timed once, is a test of the command alone.")
    print_result(f"\nFastest: {_options(result)}")
    default = max(side for _, side in (device.default_size for device in result.devices))
    if not args.quick and result.recommendation.tile < default:
        print_result("A smaller tile sees less around its pixels, so labels may differ slightly.")


def _device(name: str) -> DeviceChoice:
    """Return a device.

    Raises
    ------
    UsageError
        If it is not available.
    """
    from napari_emcad.inference.devices import device_choices

    (choice,) = (one for one in device_choices() if one.name == name)
    if choice.reason:
        raise UsageError(f"{choice.title} cannot be used here: {choice.reason}.")
    return choice


def _measure(checkpoint: Any, devices: list[DeviceChoice] | None, quick: bool) -> BenchmarkResult:
    from napari_emcad.inference.jobs import run_job
    from napari_emcad.pipelines.benchmark import benchmark_job

    def show(event: Any) -> None:
        last = event.done == event.total
        show_progress(f"benchmark: {event.done} of {event.total}", last=last)

    return run_job(benchmark_job(checkpoint, devices, quick), show)


def _table(timings: list[Timing]) -> list[str]:
    """Return a header, and a line per size of images."""
    precisions = list(timings[0].times_as_fast)
    lines = ["".join([f"{'images':<12}{'plain':>10}", *(f"{name:>16}" for name in precisions)])]
    for one in timings:
        size = f"{one.images} × {one.side}²"
        cells = [
            f"{one.times_as_fast[name]:>8.2f} ({one.share_of_limit[name]:>4.0%})"
            for name in precisions
        ]
        lines.append("".join([f"{size:<12}{one.plain_s:>8.3f} s", *(f"{c:>16}" for c in cells)]))
    return lines


def _options(result: BenchmarkResult) -> str:
    """Return the recommended options of other commands, and the precision that they stand for."""
    best: Recommendation = result.recommendation
    default = next(one.precision for one in result.devices if one.name == best.device)
    full = " --full-precision" if best.precision == _FULL != default else ""
    options = f"--device {best.device} --tile {best.tile} --batch {best.batch}{full}"
    return f"{options} ({best.precision})"
