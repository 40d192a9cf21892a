"""Build an encoder: an image in, four feature maps out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before timm)
import timm

if TYPE_CHECKING:
    from torch import nn


def create_encoder(name: str, drop_path_rate: float = 0.0) -> nn.Module:
    """Return timm's encoder with random weights.

    Parameters
    ----------
    name
        A key of `napari_emcad.model.encoders.ENCODERS`.
    drop_path_rate
        Stochastic depth of the last block; it rises linearly from 0 over the blocks.

    Returns
    -------
    Module
        ``(N, 3, H, W)`` → four maps ``(N, C, H / s, W / s)`` for s = 4, 8, 16, 32, finest first.
    """
    encoder = timm.create_model(
        name, pretrained=False, features_only=True, drop_path_rate=drop_path_rate
    )
    return cast("nn.Module", encoder)


def set_fused_attention(encoder: nn.Module, fused: bool) -> None:
    """Compute attention in one fused kernel, or as three operations.

    The results are equal but for rounding. The fused kernel needs less memory; three operations
    are up to six times as fast on a CPU when gradients are needed.
    """
    for module in encoder.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused  # type: ignore[assignment]
