"""A distillation run: training steps, measurements, and saved files."""

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
from pretraining.views import center_crops, views

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from pretraining.pictures import Pictures

WARM_UP, CONSTANT = 0.01, 0.5
"""Shares of the run at which the largest rate is reached, and at which it begins to fall."""

WEIGHTS = (0.2, 0.2, 0.25, 0.35)
"""Weights of the levels in the loss; coarse maps are the hardest to predict."""

WEIGHT_DECAY = 0.02
"""Weight decay of matrices; other weights have none."""

SAMPLE = 16
"""Number of batches to which statistics and heads are fitted."""

MEASURE_BATCH = 64
"""Number of held-out pictures in one batch."""


@dataclass
class Progress:
    """Progress of a run; saved in its state.

    Attributes
    ----------
    step
        Number of steps so far.
    seconds
        Seconds of training and measuring.
    losses
        Running means of the losses by level.
    looks
        Measurements so far.
    """

    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)


class Run:
    """Networks, optimizers and progress of a distillation.

    Parameters
    ----------
    options
        Options of the command line.
    data
        Training squares and held-out squares.
    out
        Folder of the results.
    """

    def __init__(self, options: argparse.Namespace, data: Pictures, out: Path) -> None:
        self._options, self._data, self._out = options, data, out
        self._device = torch.device(options.device)
        self._half = bfloat16_if_fast(self._device)
        self._teacher = Teacher(options.teacher_name, options.teacher)
        self._student = Student(options.student_name, options.start)
        self._heads = Heads(self._student.widths, self._teacher.widths)
        for network in (self._teacher, self._student, self._heads):
            network.to(self._device, memory_format=torch.channels_last)
        set_fused_attention(self._student.encoder, self._device.type != "cpu")
        self._optimizers = optimizers(self._student, self._heads, options.rate)
        self._progress = Progress()
        self.state_file = out / "state.pt"

    def begin(self) -> None:
        """Fit statistics and heads to a sample, and take the first measurement."""
        self._student.eval()
        self._heads.fit(self._sample())
        self._measure()

    def learn(self) -> None:
        """Train until the time is over; measure and save at intervals and at the end."""
        budget, progress = 60 * self._options.minutes, self._progress
        saved = measured_at = progress.seconds
        start = time.perf_counter() - saved
        while progress.seconds < budget:
            self._step(rate(progress.seconds / budget) * self._options.rate)
            progress.seconds = time.perf_counter() - start
            if progress.seconds - measured_at > 60 * self._options.look_every:
                measured_at = progress.seconds
                self._measure()
            if progress.seconds - saved > 60 * self._options.save_every:
                saved = progress.seconds
                self._save()
                self._print_progress()
        self._measure()
        self._save()

    def figures(self) -> dict[str, Any]:
        """Return the first and the last measurement, the number of crops, and the seconds."""
        first, last = self._progress.looks[0], self._progress.looks[-1]
        return {
            "crops": self._progress.step * self._options.batch,
            "seconds": self._progress.seconds,
            "before": first["unexplained"],
            "unexplained": last["unexplained"],
        }

    def restore(self) -> None:
        """Load the saved state."""
        state = torch.load(self.state_file, map_location=self._device, weights_only=True)
        self._student.load_state_dict(state["student"])
        self._heads.load_state_dict(state["heads"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._progress = Progress(**state["progress"])

    def _step(self, rate: float) -> None:
        """Train on one batch.

        Raises
        ------
        FloatingPointError
            If a loss is not finite.
        """
        self._student.train()
        pixels = self._batch(self._progress.step)
        predicted, targets = self._predictions_and_targets(pixels)
        levels = errors(predicted, targets)
        self._student.zero_grad()
        self._heads.zero_grad()
        (levels * levels.new_tensor(WEIGHTS)).sum().backward()
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        level_losses = levels.tolist()
        if not all(map(math.isfinite, level_losses)):
            raise FloatingPointError(f"step {self._progress.step}: the loss is {level_losses}")
        progress = self._progress
        progress.step += 1
        pairs = zip(progress.losses or level_losses, level_losses, strict=True)
        progress.losses = [mean + (loss - mean) / 100 for mean, loss in pairs]

    def _predictions_and_targets(self, pixels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the predictions from the student's maps, and the targets."""
        with torch.autocast(self._device.type, self._half, enabled=self._half is not None):
            with torch.no_grad():
                maps = self._teacher(pixels)
            predicted = self._heads(self._student(pixels))
        return predicted, self._heads.targets(maps)

    def _batch(self, step: int) -> Tensor:
        """Return the views of a step; they depend on seed and step only."""
        draws = torch.Generator().manual_seed(1_000_003 * self._options.seed + step)
        count = len(self._data.learned)
        indices = torch.randint(count, (self._options.batch,), generator=draws)
        squares = torch.from_numpy(self._data.learned[indices.numpy()]).to(self._device)
        random = torch.Generator(self._device).manual_seed(int(draws.initial_seed()))
        pixels = views(squares, self._options.crop, random)
        return pixels.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def _sample(self) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
        """Yield maps of student and teacher of views that are not used in training."""
        for batch in range(1 if self._options.quick else SAMPLE):
            pixels = self._batch(-1 - batch)
            yield self._student(pixels), self._teacher(pixels)

    @torch.no_grad()
    def _measure(self) -> None:
        """Measure the unexplained variance on the held-out pictures, and print it."""
        self._student.eval()
        measure = Unexplained()
        for squares in torch.from_numpy(np.array(self._data.held_out)).split(MEASURE_BATCH):
            pixels = center_crops(squares.to(self._device), self._options.crop)
            measure.update(
                *self._predictions_and_targets(pixels.contiguous(memory_format=torch.channels_last))
            )
        measured = measure.by_level()
        progress = self._progress
        progress.looks.append(
            {
                "crops": progress.step * self._options.batch,
                "seconds": round(progress.seconds, 1),
                "losses": progress.losses,
                "unexplained": measured,
            }
        )
        self._print_progress(measured)

    def _print_progress(self, measured: dict[str, float] | None = None) -> None:
        """Print progress and measurement, except with ``--json``.

        The losses are running means over a hundred steps, of augmented views; the measurement is of
        pictures without augmentation.
        """
        if self._options.json:
            return
        progress = self._progress
        losses = " ".join(f"{value:.3f}" for value in progress.losses)
        line = f"{progress.seconds:>7.0f} s {progress.step:>7} steps, loss {losses}"
        if measured is not None:
            line += ", unexplained " + " ".join(f"{value:.3f}" for value in measured.values())
        print(line, flush=True)

    def _save(self) -> None:
        """Write the student, the log and the state, all atomically."""
        weights = self._student.encoder.state_dict()
        half = {name: value.detach().half().cpu().contiguous() for name, value in weights.items()}
        metadata = {
            "what": f"timm {self._options.student_name} features_only, distilled from "
            f"{self._options.teacher_name}; ImageNet mean/std",
            "figures": json.dumps(self.figures()),
        }
        state = {
            "student": self._student.state_dict(),
            "heads": self._heads.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "progress": asdict(self._progress),
        }
        log = {"options": vars(self._options), "looks": self._progress.looks} | self.figures()
        write_atomically(
            self._out / "student.safetensors", lambda path: save_file(half, path, metadata)
        )
        write_atomically(
            self._out / "log.json", lambda path: path.write_text(json.dumps(log, default=str))
        )
        write_atomically(self.state_file, lambda path: torch.save(state, path))


def optimizers(student: Student, heads: Heads, rate: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the student's matrices, which needs fewer steps, and AdamW for the rest."""
    matrices = [w for w in student.parameters() if w.ndim > 1 and w.shape[1] > 1]
    others = [w for w in student.parameters() if w.ndim < 2 or w.shape[1] == 1]
    adam = torch.optim.AdamW([*others, *heads.parameters()], rate, weight_decay=0.0, fused=True)
    return [Muon(matrices, rate, WEIGHT_DECAY), adam]


def rate(share: float) -> float:
    """Return the factor of the largest learning rate after a share of the run."""
    if share < WARM_UP:
        return (share + 1e-4) / (WARM_UP + 1e-4)
    falling = max(share - CONSTANT, 0.0) / (1 - CONSTANT)
    return 0.5 + 0.5 * math.cos(math.pi * min(falling, 1.0))


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a temporary file next to the path, and rename it."""
    temporary = path.with_name(path.name + ".part")
    write(temporary)
    os.replace(temporary, path)
