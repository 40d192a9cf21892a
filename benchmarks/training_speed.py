"""Step time and peak memory of training, beside a plain float32 loop of the same network.

    python benchmarks/training_speed.py [--data DIR] [--encoders NAME …] [--quick] [--json]

Crops of 256², eight at once, two threads; loss and supervision are those of ``from-scratch``. The
plain loop is what one writes first: the same network out of torch's own modules, float32, the usual
memory order, every head enlarged and compared with torch's own loss, AdamW. Both are given the same
crops, which are drawn beforehand; ours keeps its running mean of the weights and clips besides.
Each measurement is a process of its own, the two take turns, and medians are reported. DIR is a
folder like that of `dsb2018.py`; without it the crops are noise with discs, which costs the same.
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
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--encoders", nargs="+", default=["pvt_v2_b0", "pvt_v2_b2"])
    parser.add_argument("--quick", action="store_true", help="a few steps, once")
    parser.add_argument("--json", action="store_true", help="figures as one object")
    parser.add_argument("--float32", action="store_true", help="as on processors without bfloat16")
    parser.add_argument("--measure", nargs=2, metavar=("LOOP", "ENCODER"), help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=8, help="timed steps of a measurement (8)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each loop (5)")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.steps, chosen.rounds = 1, 1
    if chosen.measure:
        print(json.dumps(measured(*chosen.measure, chosen)))
        return
    figures = {encoder: compared(encoder, chosen) for encoder in chosen.encoders}
    print(json.dumps(figures) if chosen.json else table(figures))


def compared(encoder: str, chosen: argparse.Namespace) -> dict[str, float]:
    """Return medians of both loops, and the median of the rounds' ratios."""
    rounds = [
        {loop: in_a_process(loop, encoder, chosen) for loop in LOOPS} for _ in range(chosen.rounds)
    ]
    ratios = [each["plain"]["step_s"] / each["ours"]["step_s"] for each in rounds]
    figures = {
        f"{loop}_{name}": median(each[loop][name] for each in rounds)
        for loop in LOOPS
        for name in ("step_s", "peak_mib")
    }
    return figures | {"faster": median(ratios), "least": min(ratios), "most": max(ratios)}


def in_a_process(loop: str, encoder: str, chosen: argparse.Namespace) -> dict[str, float]:
    """Return what a new process measures."""
    command = [sys.executable, __file__, "--measure", loop, encoder, "--steps", str(chosen.steps)]
    command += ["--data", str(chosen.data)] if chosen.data else []
    command += ["--float32"] if chosen.float32 else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measured(loop: str, encoder: str, chosen: argparse.Namespace) -> dict[str, float]:
    """Return the median seconds of a step, and what it adds to the memory at its peak (MiB)."""
    import torch

    import napari_emcad
    from napari_emcad.training.allocator import retain_freed_memory
    from napari_emcad.training.presets import PRESETS
    from napari_emcad.training.trainer import Trainer

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    config = PRESETS["from-scratch"].replace(
        batch=BATCH, crop=CROP, mixed_precision=not chosen.float32
    )
    start = napari_emcad.initialize_checkpoint(encoder=encoder).override(size=None)
    network = start.network(config.drop_path)
    batches = crops(start, config, chosen.data)
    run = Plain(network, config) if loop == "plain" else Trainer(network, config)
    keeping = contextlib.nullcontext() if loop == "plain" else retain_freed_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    warm_up = min(WARM_UP, chosen.steps)
    with keeping:
        for step in range(warm_up + chosen.steps):
            begun = time.perf_counter()
            run.step(batches[step % len(batches)])
            seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"step_s": median(seconds[warm_up:]), "peak_mib": peak / 1024}


class Plain:
    """The loop that one writes first."""

    def __init__(self, network, config) -> None:
        import torch

        from napari_emcad.model.depthwise import Depthwise

        Depthwise.forward = torch.nn.Conv2d.forward  # in this process
        self._network = network.train()
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate)

    def step(self, batch) -> float:
        """Take one step and return its loss."""
        from torch.nn.functional import interpolate

        self._optimizer.zero_grad()
        maps = [
            interpolate(each, (CROP, CROP), mode="bilinear") for each in self._network(batch.pixels)
        ]
        loss = sum(self._loss(each, batch.target[:, None].float()) for each in [*maps, sum(maps)])
        loss.backward()
        self._optimizer.step()
        return float(loss.detach())

    @staticmethod
    def _loss(logits, truth):
        from torch.nn.functional import binary_cross_entropy_with_logits

        chance = logits.sigmoid()
        dice = 2 * (chance * truth).sum() / (chance.sum() + truth.sum())
        return binary_cross_entropy_with_logits(logits, truth) + 1 - dice


def crops(start, config, data: Path | None) -> list:
    """Return a few batches."""
    from napari_emcad.io.images.dataset import dataset_pairs, read_dataset
    from napari_emcad.training.sampler import Sampler

    if data is None:
        return [discs(seed) for seed in range(2)]
    pairs = dataset_pairs(data)[: 2 * BATCH]
    slices = read_dataset(pairs, 3, start.preprocessing, 1, foreground=True).slices
    sampler = Sampler(slices, 3, start.preprocessing, config)
    return [sampler.batch(step) for step in range(2)]


def discs(seed: int):
    """Return noise with a disc in it, and where it is."""
    import torch

    from napari_emcad.training.samples import Batch

    random = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(CROP), torch.arange(CROP), indexing="ij")
    target = (((y - CROP / 2) ** 2 + (x - CROP / 2) ** 2) < (CROP / 4) ** 2).long()
    noise = torch.randn((BATCH, 3, CROP, CROP), generator=random)
    whole = target.expand(BATCH, CROP, CROP)
    return Batch(noise + target, whole, whole < 0)


def table(figures: dict[str, dict[str, float]]) -> str:
    """Return the figures as text."""
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
