"""What seeing inside costs, beside a plain segmentation of the same image.

    python benchmarks/inside.py [--data DIR] [--quick] [--json]

Every map but flip_disagreement is computed of an image of 512 x 512 pixels by the bundled model
(its network sees 768 x 768, in tiles), and by the same one without enlarging, in one piece; the two
jobs take turns. The image is the first one of DIR/images (else the sample of dark nuclei), repeated
or cut to that size. On a GPU the memory that stays in use afterwards is told as well.
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with images/")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    chosen = parser.parse_args()
    image = picture(chosen.data)
    repeats = 3 if chosen.quick else chosen.repeats
    bundled = napari_emcad.bundled_checkpoint()
    cases = {"bundled model, tiled": bundled, "one piece": bundled.override(zoom=1)}
    figures = {name: compared(image, each, chosen.device, repeats) for name, each in cases.items()}
    print(json.dumps(figures) if chosen.json else table(figures))


def picture(data: Path | None) -> NDArray[Any]:
    """Return an image of SIDE x SIDE pixels, gray or RGB."""
    image = sample_dark()[0][0]
    if data is not None:
        image = read_image(min((data / "images").iterdir())).pixels
    repeats = [-(-SIDE // each) for each in image.shape[:2]] + [1] * (image.ndim - 2)
    return np.tile(image, repeats)[:SIDE, :SIDE]


def compared(
    image: NDArray[Any], checkpoint: napari_emcad.Checkpoint, device: str, repeats: int
) -> dict[str, float]:
    """Return median seconds of both jobs, the median ratio and its range."""
    axes = "YXC"[: image.ndim]

    def segmented() -> object:
        return napari_emcad.segment(image, checkpoint, axes, device)

    def seen() -> object:
        return napari_emcad.stage_maps(image, checkpoint, "all", axes, device)[0]

    segmented(), seen()
    held = _held()
    pairs = [(_seconds(segmented), _seconds(seen)) for _ in range(repeats)]
    plain, inside = zip(*pairs, strict=True)
    ratios = [b / a for a, b in pairs]
    return {
        "segment_s": statistics.median(plain),
        "inside_s": statistics.median(inside),
        "ratio": statistics.median(inside) / statistics.median(plain),
        "least": min(ratios),
        "most": max(ratios),
        "kept_bytes": _held() - held,
    }


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def _held() -> int:
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def table(figures: dict[str, dict[str, float]]) -> str:
    """Return the figures for people."""
    lines = [f"{'':<24}{'segment':>10}{'all maps':>10}{'ratio':>8}  least … most"]
    for name, f in figures.items():
        lines.append(
            f"{name:<24}{f['segment_s']:>8.3f} s{f['inside_s']:>8.3f} s{f['ratio']:>8.2f}"
            f"  {f['least']:.2f} … {f['most']:.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
