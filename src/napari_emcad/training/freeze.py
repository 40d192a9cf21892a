"""Freeze parts of a network, and group the trained parameters for the optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_emcad.model.network import PvtEmcad
    from napari_emcad.training.config import Trainable, TrainingConfig

_FROZEN_STAGES: dict[Trainable, tuple[int, ...]] = {
    "all": (),
    "stage2": (1,),
    "stage3": (1, 2),
    "stage4": (1, 2, 3),
    "decoder": (1, 2, 3, 4),
}
"""Encoder stages that are frozen, by `TrainingConfig.train`; the gray stem is frozen with them."""


def freeze(network: PvtEmcad, config: TrainingConfig) -> None:
    """Freeze what is not trained, and the running statistics of batch norms for small batches."""
    stages = _FROZEN_STAGES[config.train]
    names = [name for n in stages for name in network.config.encoder_spec.stage_modules(n)]
    frozen: list[nn.Module] = [network.encoder.get_submodule(name) for name in names]
    if frozen:
        frozen.append(network.grey_stem)
    for module in frozen:
        module.requires_grad_(False)
        module.eval()
    if config.batch < config.freeze_norm_below:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def parameter_groups(
    network: PvtEmcad, others: Iterable[nn.Parameter], config: TrainingConfig
) -> list[dict[str, Any]]:
    """Return the optimizer's groups: encoder and the rest, both with and without weight decay.

    Parameters
    ----------
    network
        Its norms and biases are not decayed.
    others
        Parameters outside the network, not decayed either.
    config
        Learning rates and weight decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        factor = config.encoder_rate if name.startswith("encoder.") else 1.0
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((factor, decay), []).append(parameter)
    if listed := list(others):
        groups.setdefault((1.0, 0.0), []).extend(listed)
    return [
        {"params": params, "lr": config.learning_rate * factor, "weight_decay": decay}
        for (factor, decay), params in groups.items()
    ]
