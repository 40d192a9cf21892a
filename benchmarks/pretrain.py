"""Distill the features of an ImageNet network into a PVTv2 encoder, as a start for training.

    python benchmarks/pretrain.py --data DIR … --teacher FILE --out OUT [--minutes N] [--resume]

The teacher is an EfficientNet-Lite. One 1 x 1 convolution per level predicts its four feature maps
(strides 4, 8, 16, 32) from those of the student; only the student is saved. FILE is the teacher's
state dict; without it the teacher has random weights, which is useful in tests only. DIR contains
images, or images/ and optionally index.csv, of which only the train split is used; every 20th image
of the first DIR is held out. Synthetic textures are added to the images, or used alone.

The result is the unexplained variance by stride: the squared error divided by the variance of the
teacher's standardized maps, on the centers of the held-out pictures.

OUT gets student.safetensors (float16, timm's names, ImageNet mean and standard deviation), log.json
and the files for `--resume`. The learning rate is constant for half of the time and then follows a
cosine, so that the time is the only parameter to choose.
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
    """Train for the given time, and print the unexplained variance."""
    options = parse_options()
    folder = tempfile.TemporaryDirectory() if options.out is None else nullcontext(options.out)
    with folder as out:
        figures = distill(options, Path(out))
    print(json.dumps(figures) if options.json else table(figures))


def parse_options() -> argparse.Namespace:
    """Return the options; exit with a message if they are not valid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="folders of images")
    parser.add_argument("--teacher", type=Path, metavar="FILE", help="weights of the teacher")
    parser.add_argument("--teacher-name", default="tf_efficientnet_lite0", help="name in timm")
    parser.add_argument("--student-name", default="pvt_v2_b0", help="name in timm")
    parser.add_argument("--start", type=Path, metavar="FILE", help="student to start from")
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--cache", type=Path, help="folder of the decoded images (OUT/cache)")
    parser.add_argument("--resume", action="store_true", help="resume the run in OUT")
    parser.add_argument("--minutes", type=float, default=120.0, help="minutes of training (120)")
    parser.add_argument("--save-every", type=float, default=4.0, help="minutes between saves (4)")
    parser.add_argument(
        "--look-every", type=float, default=12.0, help="minutes per measurement (12)"
    )
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--crop", type=int, default=160, help="pixels, a multiple of 32 (160)")
    parser.add_argument("--rate", type=float, default=1e-3, help="largest learning rate (0.001)")
    parser.add_argument("--textures", type=int, default=1500, help="number of textures (1500)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (2)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, …")
    parser.add_argument("--seed", type=int, default=0, help="random seed (0)")
    parser.add_argument("--quick", action="store_true", help="a few steps with small crops")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    if options.quick:
        options.minutes, options.batch, options.crop, options.textures = 0.05, 8, 64, 20
    elif options.out is None:
        parser.error("--out: a folder for the results is needed.")
    if options.crop % max(LEVELS) or not 0 < options.crop <= SIDE:
        parser.error(f"--crop: a multiple of {max(LEVELS)} is needed, {SIDE} at most.")
    for path in (*options.data, options.teacher, options.start):
        if path is not None and not path.exists():
            parser.error(f"There is no {path}.")
    return options


def distill(options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Run the distillation and return the figures, which are also saved in OUT."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    out.mkdir(parents=True, exist_ok=True)
    data = pictures(options.data, options.textures, options.cache or out / "cache")
    run = Run(options, data, out)
    with retain_freed_memory():
        if options.resume and run.state_file.exists():
            run.restore()
        else:
            run.begin()
        run.learn()
    return run.figures()


def table(figures: dict[str, Any]) -> str:
    """Return the figures as a text table."""
    lines = [f"{figures['crops']} crops in {figures['seconds']:.0f} s", "stride  before   after"]
    for stride, before in figures["before"].items():
        lines.append(f"{stride:>6} {before:>7.3f} {figures['unexplained'][stride]:>7.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
