"""Train a network step by step, with its optimizer and its moving average."""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before timm)
import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional as F

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.model.encoder import set_fused_attention
from napari_emcad.model.own_random import OwnRandom
from napari_emcad.model.precision import bfloat16_if_fast
from napari_emcad.training.crf_loss import crf_loss
from napari_emcad.training.freeze import freeze, parameter_groups
from napari_emcad.training.losses import LOSSES, cross_entropy, kl_divergence, most_likely_class
from napari_emcad.training.processes import (
    check_config,
    gather,
    process_rank,
    sum_gradients,
    synchronize_batch_norms,
    with_whole_batch,
)
from napari_emcad.training.pseudo_labels import PseudoLabelTeacher
from napari_emcad.training.supervision import Supervision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.model.feature_extractor import FeatureExtractor
    from napari_emcad.model.network import PvtEmcad
    from napari_emcad.training.config import TeacherName, TrainingConfig
    from napari_emcad.training.samples import Batch, LabeledSlice

    State = dict[str, Any]

_EMA_WARM_UP = 9
"""The decay of the EMA is n / (n + 9) in step n, until it reaches the configured one."""


class Trainer:
    """Everything that changes with a training step.

    Parameters
    ----------
    network
        On the device that computes; it is changed.
    config
        Training configuration.
    extractor
        Gives the features of the linear probe for pseudo-labels; None takes the network's encoder.
    """

    def __init__(
        self, network: PvtEmcad, config: TrainingConfig, extractor: FeatureExtractor | None = None
    ) -> None:
        check_config(config)
        synchronize_batch_norms(network)
        self.config = config
        self._extractor = extractor
        self.network = network.train()
        self._device = next(network.parameters()).device
        set_fused_attention(network.encoder, self._device.type != "cpu")
        self._supervision = Supervision(config.supervision, LOSSES[config.loss]).to(self._device)
        self._ema = _ema(network, config.ema) if config.ema else None
        groups = parameter_groups(network, self._supervision.parameters(), config)
        self._optimizer = torch.optim.AdamW(
            groups, lr=config.learning_rate, fused=self._device.type != "mps"
        )
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._half = bfloat16_if_fast(self._device) if config.mixed_precision else None
        self._steps = 0
        self._agreement = Supervision(config.supervision, cross_entropy).to(self._device)
        self._soft_agreement = Supervision(config.supervision, kl_divergence).to(self._device)
        self._teacher: PseudoLabelTeacher | None = None
        self._cached_maps: dict[int, list[Tensor]] = {}
        self._caches_maps = (
            config.train == "decoder" and bool(config.pool) and config.scales == (1,)
        )
        freeze(network, with_whole_batch(config))

    @property
    def device(self) -> torch.device:
        """The device that computes."""
        return self._device

    @property
    def averaged(self) -> PvtEmcad:
        """The network that is validated and saved: the EMA, or without EMA the network itself."""
        if self._ema is None:
            return self.network
        averaged: PvtEmcad = self._ema.module
        return averaged

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
        teacher_weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Prepare to train on these slices: fit the teacher of the pseudo-labels to them.

        Parameters
        ----------
        slices, preprocessing
            What the network will be trained on.
        teacher
            Another teacher than the configuration's.
        teacher_weights
            Weights of the teaching network, from a `state`; None takes the network as it is now,
            or as it was when this teacher was first prepared.
        """
        teacher = teacher or self.config.teacher
        if not self.config.pseudo or teacher == "ema":
            self._teacher = None
            return
        if self._teacher is None or self._teacher.teacher != teacher:
            self._teacher = PseudoLabelTeacher(
                self.averaged, self.config.supervision, teacher, self._extractor
            )
        if teacher_weights is not None:
            self._teacher.network.load_state_dict(teacher_weights)
        self._teacher.fit(slices, preprocessing)

    def step(self, batch: Batch, share: float = 1.0, seed: int = 0, ramp: float = 1.0) -> float:
        """Take one step and return its loss; none is taken if the loss is not finite.

        Parameters
        ----------
        batch
            Crops to train on.
        share
            Factor on the learning rate, from the schedule.
        seed
            Seed of stochastic depth.
        ramp
            Factor on the weight of the pseudo-labels, from the schedule.
        """
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        total = 0.0
        own_random = OwnRandom(seed + process_rank())
        self._optimizer.zero_grad(set_to_none=True)
        for scale in self.config.scales:
            with own_random if self.config.drop_path else nullcontext():
                loss = self._loss(_resize_batch(batch, scale), ramp) / len(self.config.scales)
            total += float(loss.detach())
            if not math.isfinite(total):
                return total
            torch.autograd.backward(loss)
        sum_gradients(self.network.parameters())
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self._optimizer.step()
        self._steps += 1
        if self._ema is not None:
            self._ema.update(self.network, step=self._steps + 1)  # timm skips the first update
        return total

    def state(self) -> State:
        """Return everything that `restore` needs."""
        return {
            "steps": self._steps,
            "network": copy_weights(self.network),
            "ema": None if self._ema is None else copy_weights(self.averaged),
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
            "supervision": copy_weights(self._supervision),
            "before": None if self._teacher is None else copy_weights(self._teacher.network),
        }

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._steps = state["steps"]
        self.network.load_state_dict(state["network"])
        if self._ema is not None:
            self.averaged.load_state_dict(state["ema"])
        fused = self._optimizer.param_groups[0]["fused"]  # depends on the device, not on the state
        self._optimizer.load_state_dict(state["optimizer"])
        for group in self._optimizer.param_groups:
            group["fused"] = fused
        self._supervision.load_state_dict(state["supervision"])

    def _loss(self, batch: Batch, ramp: float) -> Tensor:
        pixels = batch.pixels.to(self._device).to(memory_format=torch.channels_last)
        target = batch.target.to(self._device)
        with self._autocast():
            maps = self._encode(pixels, batch.crop_ids)
            logits = self.network.decode(maps)
        whole = [gather(level) for level in logits]  # the batch of all processes
        loss: Tensor = self._supervision(whole, gather(target))
        unlabeled = batch.unlabeled.to(self._device)
        if self.config.pseudo and ramp and unlabeled.any():
            pseudo = self._pseudo_label_loss(logits, pixels, maps, unlabeled)
            loss = loss + ramp * self.config.pseudo * pseudo
        if self.config.boundary:
            loss = loss + self.config.boundary * crf_loss(logits[-1], pixels)
        return loss

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._half, enabled=self._half is not None)

    def _encode(self, pixels: Tensor, crop_ids: tuple[int, ...]) -> list[Tensor]:
        """Return the encoder's maps; a frozen encoder's maps of a pool's crops are cached."""
        if not self._caches_maps:
            return self.network.encode(pixels)
        missing = [i for i, crop in enumerate(crop_ids) if crop not in self._cached_maps]
        if missing:
            with torch.no_grad():
                computed = self.network.encode(pixels[missing])
            for position, i in enumerate(missing):
                maps = [level[position : position + 1] for level in computed]
                self._cached_maps[crop_ids[i]] = maps
        cached = [self._cached_maps[crop] for crop in crop_ids]
        return [
            torch.cat(level).contiguous(memory_format=torch.channels_last)
            for level in zip(*cached, strict=True)
        ]

    def _pseudo_label_loss(
        self, logits: list[Tensor], pixels: Tensor, maps: list[Tensor], unlabeled: Tensor
    ) -> Tensor:
        """Return the loss of the predictions of unlabeled pixels against their pseudo-labels."""
        loss: Tensor
        if self._teacher is None:
            loss = self._agreement(logits, self._confident_labels(pixels, maps, unlabeled))
            return loss
        with self._autocast():
            same_encoder = self.config.train == "decoder"
            probabilities = self._teacher.probabilities(
                pixels, unlabeled, maps if same_encoder else None
            )
        loss = self._soft_agreement(logits, probabilities)
        return loss

    @torch.no_grad()
    def _confident_labels(self, pixels: Tensor, maps: list[Tensor], unlabeled: Tensor) -> Tensor:
        """Return the confident predictions of the EMA network for unlabeled pixels.

        All other pixels are `UNLABELED`.
        """
        with self._autocast():
            if self.config.train != "decoder":
                maps = self.averaged.encode(pixels)
            logits = self.averaged.decode(maps)
        size = unlabeled.shape[-2:]
        total = torch.stack(
            [F.interpolate(level.float(), size, mode="bilinear") for level in logits]
        ).sum(0)
        probability, label = most_likely_class(total / len(logits))
        return torch.where(unlabeled & (probability >= self.config.confidence), label, UNLABELED)


def _ema(network: PvtEmcad, decay: float) -> Any:
    """Return timm's moving average of a network; in the beginning it is a copy in eval mode."""
    warm_up = {"use_warmup": True, "warmup_gamma": _EMA_WARM_UP, "warmup_power": 1}
    return ModelEmaV3(network, decay=decay, **warm_up)


def _resize_batch(batch: Batch, scale: float) -> Batch:
    """Return a batch at another size, a multiple of 32; the batch itself stays as it is."""
    original = batch.pixels.shape[-1]
    side = max(round(original * scale / 32), 1) * 32
    if side == original:
        return batch
    pixels = F.interpolate(batch.pixels, (side, side), mode="bilinear", antialias=True)
    target, unlabeled = (
        F.interpolate(labels[:, None].double(), (side, side), mode="nearest-exact")[:, 0]
        for labels in (batch.target, batch.unlabeled)
    )
    return replace(batch, pixels=pixels, target=target.long(), unlabeled=unlabeled > 0)


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the state dict on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
