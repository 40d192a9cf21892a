"""Time the forward pass of inference against the network as plain torch computes it.

    python benchmarks/speed.py [--data DIR] [--quick] [--json] [--threads N]

A row per encoder and size of image: the copy that inference uses (`fast_copy`) and, where the
processor has instructions for it, the same in bfloat16, as multiples of the speed of the eager
float32 network; medians of alternating runs in one process. The largest difference of the logits
is that of float32. Images are those in ``DIR/images``, resized, or else random numbers. ``--quick``
times one small image once.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.color import gray2rgb
from skimage.transform import resize

from napari_emcad import create_model
from napari_emcad.inference.devices import half_precision
from napari_emcad.inference.fast_network import fast_copy
from napari_emcad.inference.timing import alternate, median_times
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.read import read_image

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODERS = ("pvt_v2_b0", "pvt_v2_b2")
SIZES = ((1, 256), (4, 352), (1, 512))
"""Number of images of a batch, and their side in pixels."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder that contains images/")
    parser.add_argument("--quick", action="store_true", help="one small image, once")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--threads", type=int, help="number of threads; default: torch's")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    cases = [(ENCODERS[0], (1, 64))] if args.quick else [(e, s) for e in ENCODERS for s in SIZES]
    runs = 1 if args.quick else 7
    rows = [_row(encoder, _batch(args.data, *size), runs) for encoder, size in cases]
    threads = torch.get_num_threads()
    if args.json:
        print(json.dumps({"threads": threads, "rows": rows}))
        return
    print(f"{threads} threads\n\n| network | images | eager | fused | bfloat16 | difference |")
    print("|---" * 6 + "|")
    for row in rows:
        half = "-" if row["bfloat16"] is None else f"{row['bfloat16']:.2f}"
        print(
            f"| {row['encoder']} | {row['images']} × {row['side']}² | {row['eager_s']:.3f} s "
            f"| {row['fused']:.2f} | {half} | {row['difference']:.1e} |"
        )


def _batch(data: Path | None, images: int, side: int) -> torch.Tensor:
    """Return ``(images, 3, side, side)`` of 0 … 1: pictures of a folder in turn, or random."""
    if data is None:
        return torch.rand(images, 3, side, side, generator=torch.Generator().manual_seed(0))
    files = image_files(data / "images")
    pictures = [np.asarray(read_image(files[n % len(files)]).pixels) for n in range(images)]
    colors = [gray2rgb(one) if one.ndim == 2 else one[..., :3] for one in pictures]
    resized = [resize(one / max(one.max(), 1), (side, side, 3)) for one in colors]
    return torch.from_numpy(np.stack(resized).astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def _row(encoder: str, x: torch.Tensor, runs: int) -> dict[str, object]:
    """Return the times of a network on a batch, as ratios to the eager network's."""
    network = create_model(encoder=encoder).eval()
    cpu = torch.device("cpu")
    fused, half = fast_copy(network, cpu, None), half_precision(cpu)
    last = x.contiguous(memory_format=torch.channels_last)
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "eager": lambda: network.predict(x),
        "fused": lambda: fused.predict(last),
    }
    if half is not None:
        fast = fast_copy(network, cpu, half)
        ways["bfloat16"] = lambda: fast.predict(last)
    with torch.inference_mode():
        difference = float((ways["fused"]() - ways["eager"]()).abs().max())
        times = median_times(list(alternate(ways, runs)))
    row: dict[str, object] = {"encoder": encoder, "images": len(x), "side": x.shape[-1]}
    ratios = {name: times["eager"] / time_s for name, time_s in times.items()}
    row |= {"eager_s": times["eager"], "fused": ratios["fused"]}
    return row | {"bfloat16": ratios.get("bfloat16"), "difference": difference}


if __name__ == "__main__":
    main()
