"""A network that learns: one step at a time, with its optimizer and its running mean."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.model.encoder import set_fused_attention
from napari_emcad.model.precision import bfloat16_if_fast
from napari_emcad.training.crf_loss import crf_loss
from napari_emcad.training.losses import LOSSES, cross_entropy, kl_divergence
from napari_emcad.training.pseudo_labels import PseudoLabelTeacher
from napari_emcad.training.supervision import Supervision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.model.network import PvtEmcad
    from napari_emcad.training.config import TeacherName, TrainingConfig
    from napari_emcad.training.samples import Batch, LabeledSlice

    State = dict[str, Any]


_FIRST_TRAINED = {"all": 0, "stage2": 2, "stage3": 3, "stage4": 4, "decoder": 5}
"""The finest encoder stage that is trained; the deeper ones are as well."""


class Trainer:
    """What changes with every step.

    Parameters
    ----------
    network
        On the device that computes; it is changed.
    config
        How to learn.
    """

    def __init__(self, network: PvtEmcad, config: TrainingConfig) -> None:
        self.config = config
        self.network = network.train()
        self._device = next(network.parameters()).device
        set_fused_attention(network.encoder, self._device.type != "cpu")
        self._supervision = Supervision(config.supervision, LOSSES[config.loss]).to(self._device)
        self._ema = copy.deepcopy(network).eval() if config.ema else None
        self._means, self._values, self._counts = _paired(self._ema, network)
        self._optimizer = torch.optim.AdamW(
            self._groups(), lr=config.learning_rate, fused=self._device.type != "mps"
        )
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._half = bfloat16_if_fast(self._device) if config.mixed_precision else None
        self._steps = 0
        self._agreement = Supervision(config.supervision, cross_entropy).to(self._device)
        self._soft_agreement = Supervision(config.supervision, kl_divergence).to(self._device)
        self._before: PseudoLabelTeacher | None = None
        self._maps: dict[int, list[Tensor]] = {}
        self._keeps_maps = config.train == "decoder" and bool(config.pool) and config.scales == (1,)
        _freeze(network, config)

    @property
    def averaged(self) -> PvtEmcad:
        """The network that is validated and kept: the running mean, if there is one."""
        return self.network if self._ema is None else self._ema

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        rate: float = self._optimizer.param_groups[0]["lr"]
        return rate

    def prepare(
        self,
        slices: Sequence[LabeledSlice],
        preprocessing: Preprocessing,
        teacher: TeacherName | None = None,
        before: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Get ready to learn from slices: who teaches unpainted pixels looks at them.

        Parameters
        ----------
        slices, preprocessing
            What will be learned from.
        teacher
            Another one than the configuration's.
        before
            Weights of the network that teaches, of a `state`; None takes it as it is now, or as it
            was when this teacher was first asked for.
        """
        teacher = teacher or self.config.teacher
        if not self.config.pseudo or teacher == "ema":
            self._before = None
            return
        if self._before is None or self._before.teacher != teacher:
            self._before = PseudoLabelTeacher(self.averaged, self.config.supervision, teacher)
        if before is not None:
            self._before.network.load_state_dict(before)
        self._before.fit(slices, preprocessing)

    def step(self, batch: Batch, share: float = 1.0, seed: int = 0, ramp: float = 1.0) -> float:
        """Take one step and return its loss; none is taken if the loss is not finite.

        Parameters
        ----------
        batch
            What to learn from.
        share
            Of the learning rate.
        seed
            Of stochastic depth.
        ramp
            Share of the weight of what is taught where nothing is painted.
        """
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        torch.manual_seed(seed)
        total = 0.0
        self._optimizer.zero_grad(set_to_none=True)
        for scale in self.config.scales:
            loss = self._loss(_scaled(batch, scale), ramp) / len(self.config.scales)
            total += float(loss.detach())
            if not math.isfinite(total):
                return total
            torch.autograd.backward(loss)
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self._optimizer.step()
        self._steps += 1
        self._average()
        return total

    def state(self) -> State:
        """Return everything that `restore` needs."""
        return {
            "steps": self._steps,
            "network": copy_weights(self.network),
            "ema": None if self._ema is None else copy_weights(self._ema),
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
            "supervision": copy_weights(self._supervision),
            "before": None if self._before is None else copy_weights(self._before.network),
        }

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._steps = state["steps"]
        self.network.load_state_dict(state["network"])
        if self._ema is not None:
            self._ema.load_state_dict(state["ema"])
        fused = self._optimizer.param_groups[0]["fused"]  # what this device takes
        self._optimizer.load_state_dict(state["optimizer"])
        for group in self._optimizer.param_groups:
            group["fused"] = fused
        self._supervision.load_state_dict(state["supervision"])

    def _loss(self, batch: Batch, ramp: float) -> Tensor:
        pixels = batch.pixels.to(self._device).to(memory_format=torch.channels_last)
        target = batch.target.to(self._device)
        with self._autocast():
            maps = self._encoded(pixels, batch.crop_ids)
            logits = self.network.decode(maps)
        loss: Tensor = self._supervision(logits, target)
        free = batch.unlabeled.to(self._device)
        if self.config.pseudo and ramp and free.any():
            loss = loss + ramp * self.config.pseudo * self._unpainted(logits, pixels, maps, free)
        if self.config.boundary:
            loss = loss + self.config.boundary * crf_loss(logits[-1], pixels)
        return loss

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._half, enabled=self._half is not None)

    def _encoded(self, pixels: Tensor, crops: tuple[int, ...]) -> list[Tensor]:
        """Return the encoder's maps; those of crops that come again are kept if it is frozen."""
        if not self._keeps_maps:
            return self.network.encode(pixels)
        missing = [i for i, crop in enumerate(crops) if crop not in self._maps]
        if missing:
            with torch.no_grad():
                fresh = self.network.encode(pixels[missing])
            for place, i in enumerate(missing):
                self._maps[crops[i]] = [each[place : place + 1] for each in fresh]
        kept = [self._maps[crop] for crop in crops]
        return [
            torch.cat(level).contiguous(memory_format=torch.channels_last)
            for level in zip(*kept, strict=True)
        ]

    def _unpainted(
        self, logits: list[Tensor], pixels: Tensor, maps: list[Tensor], free: Tensor
    ) -> Tensor:
        """Return how far the prediction of unpainted pixels is from what they are taught."""
        told: Tensor
        if self._before is None:
            told = self._agreement(logits, self._sure_labels(pixels, maps, free))
            return told
        with self._autocast():
            same = self.config.train == "decoder"
            chances = self._before.probabilities(pixels, free, maps if same else None)
        told = self._soft_agreement(logits, chances)
        return told

    @torch.no_grad()
    def _sure_labels(self, pixels: Tensor, maps: list[Tensor], free: Tensor) -> Tensor:
        """Return what the running mean is sure of where nothing is painted, `UNLABELED` else."""
        teacher = self.averaged
        with self._autocast():
            seen = maps if self.config.train == "decoder" else teacher.encode(pixels)
            logits = teacher.decode(seen)
        size = free.shape[-2:]
        summed = torch.stack(
            [F.interpolate(each.float(), size, mode="bilinear") for each in logits]
        ).sum(0)
        chance, label = most_likely_class(summed / len(logits))
        return torch.where(free & (chance >= self.config.confidence), label, UNLABELED)

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

    @torch.no_grad()
    def _average(self) -> None:
        if self._ema is None:
            return
        decay = min(self.config.ema, self._steps / (9 + self._steps))
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


def most_likely_class(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probability of the likeliest class and its number, both ``(N, H, W)``."""
    if logits.shape[1] > 1:
        chance, label = logits.softmax(1).max(1)
        return chance, label
    chance = logits[:, 0].sigmoid()
    return torch.maximum(chance, 1 - chance), (chance > 0.5).long()


def _scaled(batch: Batch, scale: float) -> Batch:
    """Return a batch at another size, a multiple of 32; the batch itself stays as it is."""
    whole = batch.pixels.shape[-1]
    side = max(round(whole * scale / 32), 1) * 32
    if side == whole:
        return batch
    small = F.interpolate(batch.pixels, (side, side), mode="bilinear", antialias=True)
    labels, free = (
        F.interpolate(each[:, None].double(), (side, side), mode="nearest-exact")[:, 0]
        for each in (batch.target, batch.unlabeled)
    )
    return replace(batch, pixels=small, target=labels.long(), unlabeled=free > 0)


def _freeze(network: PvtEmcad, config: TrainingConfig) -> None:
    """Freeze what is not trained, and the norm statistics of small batches."""
    first = _FIRST_TRAINED[config.train]
    stages = {n: [f"stages_{n - 1}"] for n in (1, 2, 3, 4)}
    stages[1].append("patch_embed")
    frozen = [
        network.encoder.get_submodule(name) for n in stages if n < first for name in stages[n]
    ]
    for module in [*frozen, *([network.grey_stem] if first else [])]:
        module.requires_grad_(False)
        module.eval()
    if config.batch < config.freeze_norm_below:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return a state dict on the CPU that nothing else changes."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
