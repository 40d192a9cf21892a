"""Measure the memory that segmenting large images takes: the largest sum over all processes.

    python benchmarks/memory.py [--data DIR] [--quick] [--json] [--workers N]

Images are OME-Zarr on disk, tiled with a picture (the first of ``DIR/images``, or random numbers),
and ``napari-emcad segment --workers N`` writes OME-Zarr with the bundled model: strips of an image
that is 40,000 pixels wide, of 600 and of 2,400 rows, and volumes of 200 and of 2,000 slices. Within
both pairs memory should be the same. ``--quick`` uses small images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zarr
from skimage.io import imread

IMAGES = {
    "600 × 40,000": (1, 600, 40_000),
    "2,400 × 40,000": (1, 2_400, 40_000),
    "200 slices of 128 × 128": (200, 128, 128),
    "2,000 slices of 128 × 128": (2_000, 128, 128),
}

CHUNK = 1024
PAUSE_S = 0.1


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder with images/; default: random numbers")
    parser.add_argument("--quick", action="store_true", help="small images")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    figures = {}
    picture = first_picture(args.data)
    for name, shape in IMAGES.items():
        if args.quick:
            shape = (min(shape[0], 3), *(min(side, 300) for side in shape[1:]))
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = measure(Path(folder), shape, picture, args.workers)
        print(f"{name}: {figures[name]}", file=sys.stderr, flush=True)
    print(json.dumps(figures, indent=None if args.json else 2))


def first_picture(data: Path | None) -> Any:
    """Return a gray picture to tile images with."""
    files = [] if data is None else sorted((data / "images").iterdir())
    if not files:
        return np.random.default_rng(0).integers(0, 200, (256, 256), np.uint8)
    picture = np.asarray(imread(files[0])).astype(float)
    return (picture[..., :3].mean(-1) if picture.ndim == 3 else picture).astype(np.uint8)


def measure(folder: Path, shape: tuple[int, ...], picture: Any, workers: int) -> dict[str, float]:
    """Segment an image, and return seconds and the largest memory in GB."""
    write_image(folder / "image.zarr", shape, picture)
    command = [sys.executable, "-m", "napari_emcad.cli", "segment", str(folder / "image.zarr")]
    command += ["--output", str(folder / "labels.zarr"), "--workers", str(workers)]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        most = largest = 0
        while process.poll() is None:
            sizes = memory_of(psutil.Process(process.pid))
            most, largest = max(most, sum(sizes)), max(largest, *sizes, 0)
            time.sleep(PAUSE_S)
        messages = process.stderr.read().decode() if process.stderr else ""
    if process.returncode:
        raise RuntimeError(messages)
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "gb_of_all_processes": round(most / 1e9, 3),
        "gb_of_the_largest_process": round(largest / 1e9, 3),
    }


def write_image(path: Path, shape: tuple[int, ...], picture: Any) -> None:
    """Write an OME-Zarr image with one level, tiled with a picture, chunk by chunk."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    chunks = (1, min(CHUNK, shape[1]), min(CHUNK, shape[2]))
    array = group.create_array("0", shape=shape, chunks=chunks, dtype="uint8")
    repeats = [-(-side // part) for side, part in zip(chunks[1:], picture.shape, strict=True)]
    tile = np.tile(picture, repeats)[: chunks[1], : chunks[2]]
    for n in range(shape[0]):
        for y in range(0, shape[1], chunks[1]):
            for x in range(0, shape[2], chunks[2]):
                part = tile[: shape[1] - y, : shape[2] - x]
                array[n, y : y + chunks[1], x : x + chunks[2]] = part
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    level = {"path": "0", "coordinateTransformations": scale}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}


def memory_of(process: psutil.Process) -> list[int]:
    """Return the resident memory in bytes of a process and of all that it started."""
    sizes = []
    try:
        for one in [process, *process.children(recursive=True)]:
            sizes.append(one.memory_info().rss)
    except psutil.NoSuchProcess:  # it has just ended
        pass
    return sizes or [0]


if __name__ == "__main__":
    main()
