"""One distillation: its steps, its measurements, and what it leaves on the disk."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file

from napari_emcad.model.encoder import set_fused_attention
from napari_emcad.model.precision import bfloat16_if_fast
from pretraining.muon import Muon
from pretraining.networks import Heads, Student, Teacher, Unexplained, errors
from pretraining.views import plain, views

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from pretraining.pictures import Pictures

WARM_UP, CONSTANT = 0.01, 0.5
"""Shares of the time: until the rate is reached, and until it begins to fall."""

WEIGHTS = (0.2, 0.2, 0.25, 0.35)
"""Of the levels in what is minimized: coarse maps are the hardest to follow."""

DECAY = 0.02
"""Of weights that are matrices."""

SAMPLE = 16
"""Batches that statistics and heads are fitted to."""

LOOK = 64
"""Pictures that are measured at once."""


@dataclass
class Progress:
    """What a run has behind it; seconds are those of learning and measuring."""

    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)


class Run:
    """One distillation: networks, optimizer, and how far it has come.

    Parameters
    ----------
    chosen
        The options.
    data
        Squares to learn from and to measure on.
    out
        Folder of the results.
    """

    def __init__(self, chosen: argparse.Namespace, data: Pictures, out: Path) -> None:
        self._chosen, self._data, self._out = chosen, data, out
        self._device = torch.device(chosen.device)
        self._half = bfloat16_if_fast(self._device)
        self._teacher = Teacher(chosen.teacher_name, chosen.teacher)
        self._student = Student(chosen.student_name, chosen.start)
        self._heads = Heads(self._student.widths, self._teacher.widths)
        for network in (self._teacher, self._student, self._heads):
            network.to(self._device, memory_format=torch.channels_last)
        set_fused_attention(self._student.encoder, self._device.type != "cpu")
        self._optimizers = optimizers(self._student, self._heads, chosen.rate)
        self._progress = Progress()
        self.state_file = out / "state.pt"

    def begin(self) -> None:
        """Fit statistics and heads to a sample, and measure."""
        self._student.eval()
        self._heads.fit(self._sample())
        self._look()

    def learn(self) -> None:
        """Take steps until the time is over; save every few minutes and at the end."""
        budget, progress = 60 * self._chosen.minutes, self._progress
        saved = looked = progress.seconds
        begun = time.perf_counter() - saved
        while progress.seconds < budget:
            self._step(rate(progress.seconds / budget) * self._chosen.rate)
            progress.seconds = time.perf_counter() - begun
            if progress.seconds - looked > 60 * self._chosen.look_every:
                looked = progress.seconds
                self._look()
            if progress.seconds - saved > 60 * self._chosen.save_every:
                saved = progress.seconds
                self._save()
                self._say()
        self._look()
        self._save()

    def figures(self) -> dict[str, Any]:
        """Return what was measured first and last, and how much was learned from."""
        first, last = self._progress.looks[0], self._progress.looks[-1]
        return {
            "crops": self._progress.step * self._chosen.batch,
            "seconds": self._progress.seconds,
            "before": first["unexplained"],
            "unexplained": last["unexplained"],
        }

    def restore(self) -> None:
        """Go on from what was saved."""
        state = torch.load(self.state_file, map_location=self._device, weights_only=True)
        self._student.load_state_dict(state["student"])
        self._heads.load_state_dict(state["heads"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._progress = Progress(**state["progress"])

    def _step(self, rate: float) -> None:
        """Learn from one batch; a loss that is not finite is an error."""
        self._student.train()
        pixels = self._batch(self._progress.step)
        said, targets = self._both(pixels)
        levels = errors(said, targets)
        self._student.zero_grad()
        self._heads.zero_grad()
        (levels * levels.new_tensor(WEIGHTS)).sum().backward()
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        told = levels.tolist()
        if not all(map(math.isfinite, told)):
            raise FloatingPointError(f"step {self._progress.step}: the loss is {told}")
        progress = self._progress
        progress.step += 1
        pairs = zip(progress.losses or told, told, strict=True)
        progress.losses = [before + (now - before) / 100 for before, now in pairs]

    def _both(self, pixels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return what the student says of the targets, and the targets."""
        with torch.autocast(self._device.type, self._half, enabled=self._half is not None):
            with torch.no_grad():
                maps = self._teacher(pixels)
            said = self._heads(self._student(pixels))
        return said, self._heads.targets(maps)

    def _batch(self, step: int) -> Tensor:
        """Return the views that a step learns from; they depend on seed and step alone."""
        draws = torch.Generator().manual_seed(1_000_003 * self._chosen.seed + step)
        count = len(self._data.learned)
        chosen = torch.randint(count, (self._chosen.batch,), generator=draws)
        squares = torch.from_numpy(self._data.learned[chosen.numpy()]).to(self._device)
        random = torch.Generator(self._device).manual_seed(int(draws.initial_seed()))
        pixels = views(squares, self._chosen.crop, random)
        return pixels.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def _sample(self) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
        """Give maps of student and teacher, of views that no step learns from."""
        for batch in range(1 if self._chosen.quick else SAMPLE):
            pixels = self._batch(-1 - batch)
            yield self._student(pixels), self._teacher(pixels)

    @torch.no_grad()
    def _look(self) -> None:
        """Measure on the pictures held out, and say so."""
        self._student.eval()
        measure = Unexplained()
        for squares in torch.from_numpy(np.array(self._data.held_out)).split(LOOK):
            pixels = plain(squares.to(self._device), self._chosen.crop)
            measure.see(*self._both(pixels.contiguous(memory_format=torch.channels_last)))
        measured = measure.by_level()
        progress = self._progress
        progress.looks.append(
            {
                "crops": progress.step * self._chosen.batch,
                "seconds": round(progress.seconds, 1),
                "losses": progress.losses,
                "unexplained": measured,
            }
        )
        self._say(measured)

    def _say(self, measured: dict[str, float] | None = None) -> None:
        """Print how far the run is and what has been measured, unless figures are all that counts.

        The losses are running means over a hundred steps, of views that differ more than the
        pictures measured on.
        """
        if self._chosen.json:
            return
        progress = self._progress
        losses = " ".join(f"{value:.3f}" for value in progress.losses)
        told = f"{progress.seconds:>7.0f} s {progress.step:>7} steps, loss {losses}"
        if measured is not None:
            told += ", unexplained " + " ".join(f"{value:.3f}" for value in measured.values())
        print(told, flush=True)

    def _save(self) -> None:
        """Write the student, the log and the state; each file appears whole or not at all."""
        weights = self._student.encoder.state_dict()
        half = {name: value.detach().half().cpu().contiguous() for name, value in weights.items()}
        about = {
            "what": f"timm {self._chosen.student_name} features_only, distilled from "
            f"{self._chosen.teacher_name}; ImageNet mean/std",
            "figures": json.dumps(self.figures()),
        }
        state = {
            "student": self._student.state_dict(),
            "heads": self._heads.state_dict(),
            "optimizers": [each.state_dict() for each in self._optimizers],
            "progress": asdict(self._progress),
        }
        log = {"options": vars(self._chosen), "looks": self._progress.looks} | self.figures()
        whole(self._out / "student.safetensors", lambda path: save_file(half, path, about))
        whole(self._out / "log.json", lambda path: path.write_text(json.dumps(log, default=str)))
        whole(self.state_file, lambda path: torch.save(state, path))


def optimizers(student: Student, heads: Heads, rate: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the student's matrices, which takes fewer steps, and AdamW for the rest."""
    matrices = [each for each in student.parameters() if each.ndim > 1 and each.shape[1] > 1]
    others = [each for each in student.parameters() if each.ndim < 2 or each.shape[1] == 1]
    adam = torch.optim.AdamW([*others, *heads.parameters()], rate, weight_decay=0.0, fused=True)
    return [Muon(matrices, rate, DECAY), adam]


def rate(share: float) -> float:
    """Return the share of the largest rate after a share of the time."""
    if share < WARM_UP:
        return (share + 1e-4) / (WARM_UP + 1e-4)
    falling = max(share - CONSTANT, 0.0) / (1 - CONSTANT)
    return 0.5 + 0.5 * math.cos(math.pi * min(falling, 1.0))


def whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside a file and rename."""
    beside = path.with_name(path.name + ".part")
    write(beside)
    os.replace(beside, path)
