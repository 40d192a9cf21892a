"""The training loop."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_emcad.model.encoder import fuse_attention
from napari_emcad.training.losses import LOSSES
from napari_emcad.training.samples import LabelledSlice, Sampler
from napari_emcad.training.supervision import Supervision
from napari_emcad.training.validation import mean_dice, validate

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping, Sequence

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.model.network import Head, PvtEmcad
    from napari_emcad.training.config import TrainingConfig

    State = dict[str, Any]

_SNAPSHOT_S = 30.0


@dataclass(frozen=True, slots=True)
class StepEnd:
    """A step was done: its number from 1, of how many, and its loss."""

    step: int
    total: int
    loss: float


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """An epoch was done.

    Attributes
    ----------
    epoch, total
        Its number from 1, of how many.
    loss
        Mean over its steps.
    learning_rate
        At its end.
    dice
        Of the held-out slices, averaged over classes, then slices; None if none were looked at.
    best
        Whether it is the best so far.
    seconds
        Since training began, those before a resumption included.
    """

    epoch: int
    total: int
    loss: float
    learning_rate: float
    dice: float | None
    best: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that is needed to go on from here in another process, as tensors and plain values."""

    state: State


TrainingEvent = StepEnd | EpochEnd | Snapshot
Ending = Literal["finished", "stopped", "diverged"]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """How a training ended.

    Attributes
    ----------
    weights
        The best network's state dict, on the CPU; the last one's if nothing was held out.
    epochs
        What happened.
    ending
        ``"finished"``, ``"stopped"`` by the user, or ``"diverged"``: the loss was not finite.
    remark
        What the user should know, such as which batch diverged.
    """

    weights: Mapping[str, Tensor]
    epochs: tuple[EpochEnd, ...]
    ending: Ending
    remark: str = ""


def train(
    network: PvtEmcad,
    slices: Sequence[LabelledSlice],
    held_out: Sequence[LabelledSlice],
    preprocessing: Preprocessing,
    head: Head,
    config: TrainingConfig,
    stop: threading.Event,
    state: State | None = None,
) -> Generator[TrainingEvent, None, Trained]:
    """Train a network; it changes, so hand in a private copy.

    Parameters
    ----------
    network
        On the device that computes.
    slices, held_out
        What to learn from, and what to choose the best epoch by.
    preprocessing, head
        Of the checkpoint.
    config
        How.
    stop
        Ends after the current step; the best so far is returned.
    state
        Of a `Snapshot`, to go on from; the finished network is then that of an uninterrupted run.

    Raises
    ------
    ValueError
        If there is nothing to train on.
    """
    sampler = Sampler(slices, network.config.input_channels, preprocessing, config)
    run = _Run(network, config, sampler.steps_per_epoch)
    if state is not None:
        run.restore(state)
    began = time.monotonic() - run.seconds
    saved = time.monotonic()
    while run.step < run.total:
        pixels, target, names = sampler.batch(run.step)
        loss = run.learn(pixels, target)
        if not math.isfinite(loss):
            remark = (
                f"The loss was {loss} in step {run.step + 1}, on {', '.join(sorted(set(names)))}."
            )
            return run.result("diverged", remark)
        run.step += 1
        yield StepEnd(run.step, run.total, loss)
        if stop.is_set():
            return run.result("stopped")
        if run.step % sampler.steps_per_epoch == 0:
            dice = _dice_of(run, held_out, preprocessing, head, stop)
            yield run.end_epoch(dice, time.monotonic() - began)
        if time.monotonic() - saved > _SNAPSHOT_S or run.step == run.total:
            run.seconds = time.monotonic() - began
            yield Snapshot(run.state())
            saved = time.monotonic()
    return run.result("finished")


def _dice_of(
    run: _Run,
    held_out: Sequence[LabelledSlice],
    preprocessing: Preprocessing,
    head: Head,
    stop: threading.Event,
) -> float | None:
    due = run.epoch % run.config.validate_every == 0 or run.step == run.total
    if not held_out or not due:
        return None
    scores = validate(run.kept, held_out, preprocessing, stop, head)
    return mean_dice(scores) if len(scores) == len(held_out) else None


class _Run:
    """What changes while a network is trained."""

    def __init__(self, network: PvtEmcad, config: TrainingConfig, steps_per_epoch: int) -> None:
        self.config = config
        self.network = network.train()
        self.step, self.total = 0, config.epochs * steps_per_epoch
        self.seconds = 0.0
        self._steps_per_epoch = steps_per_epoch
        self._device = next(network.parameters()).device
        fuse_attention(network.encoder, self._device.type != "cpu")
        self._supervision = Supervision(config.supervision, LOSSES[config.loss]).to(self._device)
        self._ema = copy.deepcopy(network).eval() if config.ema else None
        self._means, self._values, self._counts = _paired(self._ema, network)
        self._optimizer = torch.optim.AdamW(
            self._groups(), lr=config.learning_rate, fused=self._device.type != "mps"
        )
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._half = _half_type(self._device) if config.mixed_precision else None
        self._best: dict[str, Tensor] | None = None
        self._best_dice = -1.0
        self._losses: list[float] = []
        self._epochs: list[EpochEnd] = []
        _freeze(network, config)

    @property
    def epoch(self) -> int:
        """Epochs that are complete."""
        return self.step // self._steps_per_epoch

    @property
    def kept(self) -> PvtEmcad:
        """The network that is validated and kept: the running mean, if there is one."""
        return self.network if self._ema is None else self._ema

    def learn(self, pixels: Tensor, target: Tensor) -> float:
        """Take one step and return its loss; a loss that is not finite changes nothing."""
        self._set_rates()
        torch.manual_seed(hash((self.config.seed, self.step)) % 2**63)  # stochastic depth
        total = 0.0
        self._optimizer.zero_grad(set_to_none=True)
        for scale in self.config.scales:
            loss = self._loss(*_scaled(pixels, target, scale)) / len(self.config.scales)
            total += float(loss.detach())
            if not math.isfinite(total):
                return total
            torch.autograd.backward(loss)
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self._optimizer.step()
        self._average()
        self._losses.append(total)
        return total

    def end_epoch(self, dice: float | None, seconds: float) -> EpochEnd:
        """Note an epoch and keep its network if it is the best."""
        best = dice is not None and dice > self._best_dice
        if best and dice is not None:
            self._best_dice, self._best = dice, _copied(self.kept)
        rate = self._optimizer.param_groups[0]["lr"]
        mean = sum(self._losses) / max(len(self._losses), 1)
        end = EpochEnd(self.epoch, self.config.epochs, mean, rate, dice, best, seconds)
        self._losses = []
        self._epochs.append(end)
        return end

    def result(self, ending: Ending, remark: str = "") -> Trained:
        """Return what came of it."""
        weights = self._best if self._best is not None else _copied(self.kept)
        return Trained(weights, tuple(self._epochs), ending, remark)

    def state(self) -> State:
        """Return everything that `restore` needs."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "network": _copied(self.network),
            "ema": None if self._ema is None else _copied(self._ema),
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
            "supervision": _copied(self._supervision),
            "best": self._best,
            "best_dice": self._best_dice,
            "losses": list(self._losses),
            "epochs": [asdict(each) for each in self._epochs],
        }

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.network.load_state_dict(state["network"])
        if self._ema is not None:
            self._ema.load_state_dict(state["ema"])
        fused = self._optimizer.param_groups[0]["fused"]  # what this device takes
        self._optimizer.load_state_dict(state["optimizer"])
        for group in self._optimizer.param_groups:
            group["fused"] = fused
        self._supervision.load_state_dict(state["supervision"])
        self._best, self._best_dice = state["best"], state["best_dice"]
        self._losses = list(state["losses"])
        self._epochs = [EpochEnd(**each) for each in state["epochs"]]

    def _loss(self, pixels: Tensor, target: Tensor) -> Tensor:
        pixels = pixels.to(self._device).to(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, self._half, enabled=self._half is not None):
            logits = self.network(pixels)
        loss: Tensor = self._supervision(logits, target.to(self._device))
        return loss

    def _groups(self) -> list[dict[str, Any]]:
        """Return parameter groups: encoder and the rest, each with and without decay."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            rate = self.config.encoder_rate if name.startswith("encoder.") else 1.0
            decay = self.config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        learned = list(self._supervision.parameters())
        if learned:
            groups.setdefault((1.0, 0.0), []).extend(learned)
        rate = self.config.learning_rate
        return [
            {"params": params, "lr": rate * factor, "weight_decay": decay}
            for (factor, decay), params in groups.items()
        ]

    def _set_rates(self) -> None:
        share = _schedule(self.step, self.total, self.config)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share

    @torch.no_grad()
    def _average(self) -> None:
        if self._ema is None:
            return
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._means, self._values, 1 - decay)
        for mine, theirs in self._counts:
            mine.copy_(theirs)


def _paired(
    mean: PvtEmcad | None, network: PvtEmcad
) -> tuple[list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]]:
    """Return the running mean's numbers, the network's, and pairs of what is counted."""
    if mean is None:
        return [], [], []
    ours, theirs = mean.state_dict(), network.state_dict()
    floats = [name for name, value in ours.items() if value.is_floating_point()]
    counts = [(ours[name], theirs[name]) for name in ours if name not in floats]
    return [ours[name] for name in floats], [theirs[name] for name in floats], counts


def _schedule(step: int, total: int, config: TrainingConfig) -> float:
    """Return the share of the learning rate: up along a line, down along a cosine."""
    rising = config.warm_up * total
    if step < rising:
        return (step + 1) / max(rising, 1)
    if not config.cosine:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))


def _scaled(pixels: Tensor, target: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return a batch at another size, a multiple of 32; the batch itself stays as it is."""
    side = max(round(pixels.shape[-1] * scale / 32), 1) * 32
    if side == pixels.shape[-1]:
        return pixels, target
    small = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    labels = F.interpolate(target[:, None].double(), (side, side), mode="nearest-exact")
    return small, labels[:, 0].long()


def _freeze(network: PvtEmcad, config: TrainingConfig) -> None:
    """Freeze the encoder if only the decoder is trained, and norm statistics of small batches."""
    if config.train == "decoder":
        for module in (network.encoder, network.grey_stem):
            module.requires_grad_(False)
            module.eval()
    if config.batch < config.freeze_norm_below:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _half_type(device: torch.device) -> torch.dtype | None:
    """Return bfloat16 where the processor computes with it, else None."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    if device.type != "cpu":
        return None
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch has no public way
    fast = any(getattr(torch.cpu, name, bool)() for name in asked)
    return torch.bfloat16 if fast else None


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
