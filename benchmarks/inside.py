"""Compare the time for all stage maps with the time for a segmentation of the same image.

    python benchmarks/inside.py [--data DIR] [--quick] [--json]

All maps except flip_disagreement are computed for an image of 512 x 512 pixels, once with the
bundled model (which enlarges it to 768 x 768 and splits it into tiles) and once with the same model
without enlargement, in one piece. Map computation and segmentation alternate. The image is the
first one of DIR/images (default: the sample of dark nuclei), repeated or cropped to that size. On a
GPU, the memory that is still allocated afterwards is reported as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import napari_emcad
from napari_emcad.io.images.read import read_image
from napari_emcad.plugin.contributions import sample_dark

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SIDE = 512
"""Height and width of the image in pixels."""


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder that contains images/")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    image = load_image(options.data)
    repeats = 3 if options.quick else options.repeats
    bundled = napari_emcad.bundled_checkpoint()
    cases = {"bundled model, tiled": bundled, "one piece": bundled.override(zoom=1)}
    figures = {
        name: compare(image, checkpoint, options.device, repeats)
        for name, checkpoint in cases.items()
    }
    print(json.dumps(figures) if options.json else table(figures))


def load_image(data: Path | None) -> NDArray[Any]:
    """Return an image of SIDE x SIDE pixels, gray or RGB."""
    image = sample_dark()[0][0]
    if data is not None:
        image = read_image(min((data / "images").iterdir())).pixels
    repeats = [-(-SIDE // size) for size in image.shape[:2]] + [1] * (image.ndim - 2)
    return np.tile(image, repeats)[:SIDE, :SIDE]


def compare(
    image: NDArray[Any], checkpoint: napari_emcad.Checkpoint, device: str, repeats: int
) -> dict[str, float]:
    """Return the median seconds of both jobs, the ratio of the medians, and the range of ratios."""
    axes = "YXC"[: image.ndim]

    def segment() -> object:
        return napari_emcad.segment(image, checkpoint, axes, device)

    def compute_maps() -> object:
        return napari_emcad.stage_maps(image, checkpoint, "all", axes, device)[0]

    segment(), compute_maps()
    memory_before = _gpu_memory()
    pairs = [(_seconds(segment), _seconds(compute_maps)) for _ in range(repeats)]
    segment_s, maps_s = zip(*pairs, strict=True)
    ratios = [maps / plain for plain, maps in pairs]
    return {
        "segment_s": statistics.median(segment_s),
        "inside_s": statistics.median(maps_s),
        "ratio": statistics.median(maps_s) / statistics.median(segment_s),
        "least": min(ratios),
        "most": max(ratios),
        "kept_bytes": _gpu_memory() - memory_before,
    }


def _seconds(work: Callable[[], object]) -> float:
    """Return the wall time of a call, including the work it queued on the GPU."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _gpu_memory() -> int:
    """Return the bytes allocated on the GPU; 0 without one."""
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def table(figures: dict[str, dict[str, float]]) -> str:
    """Return the figures as a text table."""
    lines = [f"{'':<24}{'segment':>10}{'all maps':>10}{'ratio':>8}  least … most"]
    for name, f in figures.items():
        lines.append(
            f"{name:<24}{f['segment_s']:>8.3f} s{f['inside_s']:>8.3f} s{f['ratio']:>8.2f}"
            f"  {f['least']:.2f} … {f['most']:.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
