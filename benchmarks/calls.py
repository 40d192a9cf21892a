"""Time whole calls of `segment`: with the network of the call before, and for many small slices.

    python benchmarks/calls.py [--data DIR] [--quick] [--json] [--threads N]

The first row compares a call on an image of 512² with one forward pass of plain float32 torch: with
the network of an earlier call, and with one that is built for the call. The second compares a stack
of slices of 32² in batches across slices with slice after slice. Medians of alternating runs with
the bundled model, which does not enlarge the image of the first row; images are random numbers, or
the first of ``DIR/images``, resized. With one thread times are those of the processor, on which
other programs have little influence. ``--quick`` uses small images once.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.color import rgb2gray
from skimage.transform import resize

from napari_emcad import bundled_checkpoint, segment
from napari_emcad.inference.network_pool import NETWORK_POOL
from napari_emcad.inference.timing import alternate, median_times
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.read import read_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_emcad import Checkpoint


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder that contains images/")
    parser.add_argument("--quick", action="store_true", help="small images, once")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--threads", type=int, help="number of threads; default: torch's")
    parser.add_argument("--slices", type=int, default=2000, help="of the stack (2000)")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    checkpoint = bundled_checkpoint()
    side, slices, runs = (64, 6, 1) if args.quick else (512, args.slices, 9)
    call = _call(checkpoint.override(zoom=1), _picture(args.data, side), runs)
    stack = _stack(checkpoint, _picture(args.data, 32), slices, 1 if args.quick else 3)
    figures = {"threads": torch.get_num_threads(), "call": call, "stack": stack}
    if args.json:
        print(json.dumps(figures))
        return
    print(f"{figures['threads']} threads")
    print(
        f"a call on {side}²: {call['kept']:.2f} forward passes ({call['forward_s']:.3f} s) with "
        f"the network of the call before, {call['built']:.2f} with a new one"
    )
    print(
        f"{slices} slices of 32²: {stack['batched_ms']:.1f} ms a slice in batches, "
        f"{stack['times_as_fast']:.1f} times as fast as slice after slice"
    )


def _median_times(ways: dict[str, Callable[[], None]], runs: int) -> dict[str, float]:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    return median_times(list(alternate(ways, runs, clock=clock)))


def _picture(data: Path | None, side: int) -> NDArray[np.uint8]:
    """Return a gray picture, ``(side, side)``."""
    if data is None:
        return np.random.default_rng(0).integers(0, 256, (side, side)).astype(np.uint8)
    pixels = np.asarray(read_image(image_files(data / "images")[0]).pixels)
    gray = rgb2gray(pixels[..., :3]) if pixels.ndim == 3 else pixels / max(pixels.max(), 1)
    return (255 * resize(gray, (side, side))).astype(np.uint8)


def _call(checkpoint: Checkpoint, picture: NDArray[np.uint8], runs: int) -> dict[str, float]:
    """Return how many forward passes of the plain network a call takes."""
    network = checkpoint.network()
    x = torch.from_numpy(picture / np.float32(255)).expand(1, 3, -1, -1).contiguous()

    def kept() -> None:
        segment(picture, checkpoint, device="cpu")

    def built() -> None:
        NETWORK_POOL.clear()
        kept()

    def forward() -> None:
        with torch.inference_mode():
            network.predict(x, checkpoint.head)

    times = _median_times({"built": built, "kept": kept, "forward": forward}, runs)
    ratios = {name: times[name] / times["forward"] for name in ("kept", "built")}
    return {"forward_s": times["forward"], **ratios}


def _stack(
    checkpoint: Checkpoint, picture: NDArray[np.uint8], slices: int, runs: int
) -> dict[str, float]:
    """Return the time per slice in batches, and how much longer slices take one by one."""
    stack = np.stack([np.roll(picture, n) for n in range(slices)])
    some = stack[: max(slices // 20, 1)]

    def batched() -> None:
        segment(stack, checkpoint, "ZYX", device="cpu")

    def one_by_one() -> None:
        segment(some, checkpoint, "ZYX", device="cpu", batch=1)

    times = _median_times({"batched": batched, "single": one_by_one}, runs)
    batched_s, single_s = times["batched"] / len(stack), times["single"] / len(some)
    return {"batched_ms": 1e3 * batched_s, "times_as_fast": single_s / batched_s}


if __name__ == "__main__":
    main()
