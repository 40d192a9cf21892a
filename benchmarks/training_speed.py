"""Compare step time and peak memory of training with a plain float32 loop of the same network.

    python benchmarks/training_speed.py [--data DIR] [--encoders NAME …] [--quick] [--json]

Crops of 256 x 256 pixels, batches of eight, two threads; loss and supervision are those of
``from-scratch``. The plain loop is a straightforward implementation: the same network made of
torch's own modules, in float32 and the default memory format, all heads enlarged and compared by
torch's own loss, AdamW. Both loops get the same crops, which are sampled beforehand; the package's
loop (``ours``) also averages the weights and clips gradients. Every measurement runs in a new
process, the two loops alternate, and medians are reported. DIR is a folder as for `dsb2018.py`;
without it the crops are noise with discs, which costs the same.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

THREADS, BATCH, CROP = 2, 8, 256
LOOPS = ("plain", "ours")
WARM_UP = 2


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--encoders", nargs="+", default=["pvt_v2_b0", "pvt_v2_b2"])
    parser.add_argument("--quick", action="store_true", help="one step, measured once")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument(
        "--float32",
        action="store_true",
        help="train without bfloat16",
    )
    parser.add_argument("--measure", nargs=2, metavar=("LOOP", "ENCODER"), help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=8, help="timed steps of a measurement (8)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each loop (5)")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.rounds = 1, 1
    if options.measure:
        print(json.dumps(measure(*options.measure, options)))
        return
    figures = {encoder: compare(encoder, options) for encoder in options.encoders}
    print(json.dumps(figures) if options.json else table(figures))


def compare(encoder: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the medians of both loops, and median and range of the ratios of step times."""
    rounds = [
        {loop: measure_in_process(loop, encoder, options) for loop in LOOPS}
        for _ in range(options.rounds)
    ]
    ratios = [figures["plain"]["step_s"] / figures["ours"]["step_s"] for figures in rounds]
    figures = {
        f"{loop}_{name}": median(figures[loop][name] for figures in rounds)
        for loop in LOOPS
        for name in ("step_s", "peak_mib")
    }
    return figures | {"faster": median(ratios), "least": min(ratios), "most": max(ratios)}


def measure_in_process(loop: str, encoder: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the figures of one loop, measured in a new process."""
    command = [sys.executable, __file__, "--measure", loop, encoder, "--steps", str(options.steps)]
    command += ["--data", str(options.data)] if options.data else []
    command += ["--float32"] if options.float32 else []
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(process.stdout)
    return figures


def measure(loop: str, encoder: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the median seconds of a step, and the increase of peak memory by training in MiB."""
    import torch

    import napari_emcad
    from napari_emcad.training.allocator import retain_freed_memory
    from napari_emcad.training.presets import PRESETS
    from napari_emcad.training.trainer import Trainer

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    config = PRESETS["from-scratch"].replace(
        batch=BATCH, crop=CROP, mixed_precision=not options.float32
    )
    start = napari_emcad.initialize_checkpoint(encoder=encoder).override(size=None)
    network = start.network(config.drop_path)
    batches = crops(start, config, options.data)
    run = PlainLoop(network, config) if loop == "plain" else Trainer(network, config)
    memory = contextlib.nullcontext() if loop == "plain" else retain_freed_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    warm_up = min(WARM_UP, options.steps)
    with memory:
        for step in range(warm_up + options.steps):
            begun = time.perf_counter()
            run.step(batches[step % len(batches)])
            seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"step_s": median(seconds[warm_up:]), "peak_mib": peak / 1024}


class PlainLoop:
    """Straightforward training loop of torch's own modules."""

    def __init__(self, network, config) -> None:
        import torch

        from napari_emcad.model.depthwise import Depthwise

        Depthwise.forward = torch.nn.Conv2d.forward  # the plain convolution, in this process
        self._network = network.train()
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate)

    def step(self, batch) -> float:
        """Take one optimizer step and return the loss."""
        from torch.nn.functional import interpolate

        self._optimizer.zero_grad()
        maps = [
            interpolate(head, (CROP, CROP), mode="bilinear") for head in self._network(batch.pixels)
        ]
        truth = batch.target[:, None].float()
        loss = sum(self._loss(logits, truth) for logits in [*maps, sum(maps)])
        loss.backward()
        self._optimizer.step()
        return float(loss.detach())

    @staticmethod
    def _loss(logits, truth):
        from torch.nn.functional import binary_cross_entropy_with_logits

        probability = logits.sigmoid()
        dice = 2 * (probability * truth).sum() / (probability.sum() + truth.sum())
        return binary_cross_entropy_with_logits(logits, truth) + 1 - dice


def crops(start, config, data: Path | None) -> list:
    """Return two batches, of a folder or of discs."""
    from napari_emcad.io.datasets.layouts import find_files
    from napari_emcad.io.datasets.read import read_dataset
    from napari_emcad.training.sampler import Sampler

    if data is None:
        return [discs(seed) for seed in range(2)]
    pairs = find_files(data).pairs[: 2 * BATCH]
    slices = read_dataset(pairs, 3, start.preprocessing, 1, foreground=True).slices
    sampler = Sampler(slices, 3, start.preprocessing, config)
    return [sampler.batch(step) for step in range(2)]


def discs(seed: int):
    """Return a batch of noise with a disc, and the mask of the disc."""
    import torch

    from napari_emcad.training.samples import Batch

    random = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(CROP), torch.arange(CROP), indexing="ij")
    target = (((y - CROP / 2) ** 2 + (x - CROP / 2) ** 2) < (CROP / 4) ** 2).long()
    noise = torch.randn((BATCH, 3, CROP, CROP), generator=random)
    target_batch = target.expand(BATCH, CROP, CROP)
    return Batch(noise + target, target_batch, target_batch < 0)


def table(figures: dict[str, dict[str, float]]) -> str:
    """Return the figures as a text table."""
    lines = [
        f"{'':<10} {'plain':>9} {'ours':>9} {'faster':>24} {'peak memory, plain and ours':>30}"
    ]
    for encoder, row in figures.items():
        ratio = f"{row['faster']:.2f} ({row['least']:.2f} … {row['most']:.2f})"
        peaks = f"{row['plain_peak_mib']:.0f} and {row['ours_peak_mib']:.0f} MiB"
        seconds = f"{row['plain_step_s']:>7.3f} s {row['ours_step_s']:>7.3f} s"
        lines.append(f"{encoder:<10} {seconds} {ratio:>24} {peaks:>30}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
