"""The encoder: an image in, four feature maps out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before timm)
import timm

if TYPE_CHECKING:
    from torch import nn


def pvt_v2(name: str, drop_path_rate: float = 0.0) -> nn.Module:
    """Return timm's PVTv2 with random weights, as a map from images to four features.

    Parameters
    ----------
    name
        timm's name, ``pvt_v2_b0`` … ``pvt_v2_b5``.
    drop_path_rate
        Stochastic depth of the last block; it rises linearly from 0 over the blocks.

    Returns
    -------
    Module
        ``(N, 3, H, W)`` → four maps ``(N, C, H / s, W / s)`` for s = 4, 8, 16, 32, finest first.

    Notes
    -----
    PVT v2: Improved Baselines with Pyramid Vision Transformer, arXiv 2106.13797.
    """
    encoder = timm.create_model(
        name, pretrained=False, features_only=True, drop_path_rate=drop_path_rate
    )
    return cast("nn.Module", encoder)


def set_fused_attention(encoder: nn.Module, fused: bool) -> None:
    """Choose how attention is computed: in one kernel, or as three operations.

    The results are equal but for rounding. One kernel needs less memory; three are up to six times
    as fast on a CPU when gradients are wanted.
    """
    for module in encoder.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused  # type: ignore[assignment]
