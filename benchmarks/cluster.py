"""Time the segmentation of files by workers: two against one, and one against a plain loop.

    python benchmarks/cluster.py [--data DIR] [--quick] [--json] [--rounds N] [--images N]

Every process computes with one thread. One worker, two workers and a loop of `segment` in this
process segment the same images with the bundled model, in alternation after a first run that does
not count; figures are medians of the ratios of neighboring runs. Images are random numbers, or the
first of ``DIR/images``, resized. The start of the workers, which happens once, is timed separately.
The last figure is the load of the scheduler: many tasks that do nothing, in a window as the package
submits them. ``--quick`` uses few small images once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read by torch here and in the workers

import numpy as np
import torch
from skimage.transform import resize

from napari_emcad import bundled_checkpoint, segment, segment_files
from napari_emcad.cluster.connect import connect
from napari_emcad.inference.timing import alternate, median_times
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.read import read_image


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder with images/; default: random numbers")
    parser.add_argument("--quick", action="store_true", help="few small images once")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="alternating runs (5)")
    parser.add_argument("--images", type=int, default=8, help="number of images (8)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        count, rounds = (2, 1) if args.quick else (args.images, args.rounds)
        figures = measure(Path(folder), args.data, args.quick, rounds, count)
    print(json.dumps(figures, indent=None if args.json else 2))


def measure(
    folder: Path, data: Path | None, quick: bool, rounds: int, count: int
) -> dict[str, Any]:
    """Return all figures."""
    side = 128 if quick else 512
    paths = write_images(folder, data, count, side)
    begun = time.perf_counter()
    with connect(1, None) as one, connect(2, None) as two:
        started = time.perf_counter() - begun
        runs = {
            "loop": lambda: plain_loop(paths, folder),
            "one": lambda: on_workers(paths, folder, one.scheduler.address),
            "two": lambda: on_workers(paths, folder, two.scheduler.address),
        }
        times = list(alternate(runs, rounds, most_s=240))
        load = scheduler_load(two, 500 if quick else 10_000)
    speedup = [round_["one"] / round_["two"] for round_ in times]
    overhead = [round_["one"] / round_["loop"] - 1 for round_ in times]
    return {
        "images": len(paths),
        "side": side,
        "rounds": len(times),
        "start_of_three_workers_s": round(started, 2),
        "seconds": {name: round(found, 3) for name, found in median_times(times).items()},
        "two_workers_times_as_fast": spread(speedup),
        "overhead_of_one_worker": spread(overhead),
        "load_of_the_machine": os.getloadavg(),
        **load,
    }


def write_images(folder: Path, data: Path | None, count: int, side: int) -> list[Path]:
    """Write images as NPY and return their paths."""
    random = np.random.default_rng(0)
    known = [] if data is None else image_files(data / "images")[:count]
    paths = []
    for n in range(count):
        if n < len(known):
            pixels = np.asarray(read_image(known[n]).pixels).astype(float)
            pixels = pixels.mean(-1) if pixels.ndim == 3 else pixels
            pixels = resize(pixels, (side, side), preserve_range=True).astype(np.uint8)
        else:
            pixels = random.integers(0, 200, (side, side), np.uint8)
        paths.append(folder / f"{n}.npy")
        np.save(paths[-1], pixels)
    return paths


def plain_loop(paths: list[Path], folder: Path) -> None:
    """Segment one image after another in this process."""
    for path in paths:
        labels = segment(np.load(path), MODEL, device="cpu").labels
        np.save(folder / f"{path.stem}_loop.npy", labels)


def on_workers(paths: list[Path], folder: Path, address: str) -> None:
    """Segment the images on a cluster that runs."""
    outputs = {path: folder / "out" / f"{path.stem}.npy" for path in paths}
    done = segment_files(outputs, MODEL, scheduler=address, device="cpu", overwrite=True)
    assert len(done.outputs) == len(paths), done.failed


def scheduler_load(client: Any, count: int) -> dict[str, Any]:
    """Return the number of tasks that do nothing which pass through the scheduler per second."""
    from distributed import as_completed

    begun, left = time.perf_counter(), iter(range(count))
    window = [client.submit(nothing, next(left), pure=False) for _ in range(6)]
    completed = as_completed(window)
    for _ in completed:
        for number in left:
            completed.add(client.submit(nothing, number, pure=False))
            break
    in_window = count / (time.perf_counter() - begun)
    begun = time.perf_counter()
    client.gather(client.map(nothing, range(count), pure=False))
    at_once = count / (time.perf_counter() - begun)
    return {
        "no_op_tasks": count,
        "no_op_tasks_per_s_in_a_window_of_6": round(in_window),
        "no_op_tasks_per_s_submitted_at_once": round(at_once),
    }


def nothing(number: int) -> int:
    """Return the number."""
    return number


def spread(values: list[float]) -> dict[str, float]:
    """Return the median, the least and the largest value."""
    found = {"median": statistics.median(values), "least": min(values), "largest": max(values)}
    return {name: round(value, 3) for name, value in found.items()}


MODEL = bundled_checkpoint()

if __name__ == "__main__":
    main()
