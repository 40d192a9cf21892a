"""Distil an ImageNet network's features into a PVTv2 that training and strokes can start from.

    python benchmarks/pretrain.py --data DIR … --teacher FILE --out OUT [--minutes N] [--resume]

The teacher is an EfficientNet-Lite, whose four maps (strides 4, 8, 16, 32) a linear 1 x 1 head per
level predicts from the student's; only the student is kept. FILE is the teacher's state dict;
without it the teacher is random, which is of use to tests alone. A DIR holds images, or images/ and
perhaps index.csv, whose train split alone is taken then; one in twenty images of the first DIR is
only measured on. Without DIR, or besides it, textures are made.

What is told is the variance that the student leaves unexplained, by stride: squared error over
variance, of the teacher's standardized maps, on the middle of each picture held out.

OUT gets student.safetensors (float16, timm's names, ImageNet mean and standard deviation),
log.json, and what `--resume` needs. The rate is constant for half of the minutes and then falls by
a cosine, so that minutes are all that has to be chosen.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from pretraining.networks import LEVELS
from pretraining.pictures import SIDE, pictures
from pretraining.run import Run

from napari_emcad.training.allocator import retain_freed_memory


def main() -> None:
    """Learn for as long as was asked, then tell what is left unexplained."""
    chosen = options()
    spare = tempfile.TemporaryDirectory() if chosen.out is None else nullcontext(chosen.out)
    with spare as out:
        figures = learned(chosen, Path(out))
    print(json.dumps(figures) if chosen.json else table(figures))


def options() -> argparse.Namespace:
    """Return what was asked for; what cannot be done is an error of one sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="folders of images")
    parser.add_argument("--teacher", type=Path, metavar="FILE", help="its weights")
    parser.add_argument("--teacher-name", default="tf_efficientnet_lite0", help="timm's name")
    parser.add_argument("--student-name", default="pvt_v2_b0", help="timm's name")
    parser.add_argument("--start", type=Path, metavar="FILE", help="a student to go on from")
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--cache", type=Path, help="folder of the decoded images (OUT/cache)")
    parser.add_argument("--resume", action="store_true", help="go on where OUT was left")
    parser.add_argument("--minutes", type=float, default=120.0, help="of learning (120)")
    parser.add_argument("--save-every", type=float, default=4.0, help="minutes (4)")
    parser.add_argument("--look-every", type=float, default=12.0, help="minutes (12)")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--crop", type=int, default=160, help="pixels, a multiple of 32 (160)")
    parser.add_argument("--rate", type=float, default=1e-3, help="largest learning rate (0.001)")
    parser.add_argument("--textures", type=int, default=1500, help="how many are made (1500)")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU (2)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, …")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--quick", action="store_true", help="a few steps on small pictures")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.minutes, chosen.batch, chosen.crop, chosen.textures = 0.05, 8, 64, 20
    elif chosen.out is None:
        parser.error("--out: a folder for the results is needed.")
    if chosen.crop % max(LEVELS) or not 0 < chosen.crop <= SIDE:
        parser.error(f"--crop: a multiple of {max(LEVELS)} is needed, {SIDE} at most.")
    for path in (*chosen.data, chosen.teacher, chosen.start):
        if path is not None and not path.exists():
            parser.error(f"There is no {path}.")
    return chosen


def learned(chosen: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Run the whole of it and return the figures, which OUT gets too."""
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    out.mkdir(parents=True, exist_ok=True)
    data = pictures(chosen.data, chosen.textures, chosen.cache or out / "cache")
    run = Run(chosen, data, out)
    with retain_freed_memory():
        if chosen.resume and run.state_file.exists():
            run.restore()
        else:
            run.begin()
        run.learn()
    return run.figures()


def table(figures: dict[str, Any]) -> str:
    """Return the figures as text."""
    lines = [f"{figures['crops']} crops in {figures['seconds']:.0f} s", "stride  before   after"]
    for stride, before in figures["before"].items():
        lines.append(f"{stride:>6} {before:>7.3f} {figures['unexplained'][stride]:>7.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
