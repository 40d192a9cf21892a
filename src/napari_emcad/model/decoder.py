"""EMCAD: four encoder maps in, four refined maps out.

Written from the paper (Rahman, Munir and Marculescu, "EMCAD: Efficient Multi-scale Convolutional
Attention Decoding for Medical Image Segmentation", CVPR 2024, arXiv 2405.06880, section 3.1).
Stages are numbered as there: 4 is the deepest (stride 32), 1 the finest (stride 4).
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_emcad.model.config import squeezed_width
from napari_emcad.model.depthwise import Depthwise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.model.config import ModelConfig

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu6": nn.ReLU6, "relu": nn.ReLU}


def _norm_act(conv: nn.Conv2d, act: type[nn.Module] = nn.Identity) -> nn.Sequential:
    """Return convolution, batch norm and activation in a row."""
    tail = [] if act is nn.Identity else [act(inplace=True)]
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), *tail)


class CAB(nn.Module):
    """Channel attention block: weights channels by their mean and maximum over the map.

    ``(N, C, H, W)`` → attention ``(N, C, 1, 1)`` in 0…1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = squeezed_width(width)
        self.squeeze = nn.Conv2d(width, inner, 1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.excite = nn.Conv2d(inner, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attention."""
        mean, peak = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return torch.sigmoid(self._mlp(mean) + self._mlp(peak))

    def _mlp(self, pooled: Tensor) -> Tensor:
        weights: Tensor = self.excite(self.act(self.squeeze(pooled)))
        return weights


class SAB(nn.Module):
    """Spatial attention block: weights positions by mean and maximum over the channels.

    ``(N, C, H, W)`` → attention ``(N, 1, H, W)`` in 0…1. One block serves all four stages.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attention."""
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return torch.sigmoid(self.conv(summary))


class MSCB(nn.Module):
    """Multi-scale convolution block: depth-wise convolutions of several kernel sizes.

    ``(N, C, H, W)`` → ``(N, C, H, W)``.
    """

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        act = _ACTIVATIONS[config.activation]
        inner, joined = config.inner_widths(width)
        self.parallel = config.dw_parallel
        self.concat = config.aggregation == "concat"
        self.shuffle: nn.Module = nn.ChannelShuffle(gcd(joined, width))
        self.expand = _norm_act(nn.Conv2d(width, inner, 1, bias=False), act)
        self.branches = nn.ModuleList(
            _norm_act(Depthwise(inner, kernel), act) for kernel in config.kernel_sizes
        )
        self.project = _norm_act(nn.Conv2d(joined, width, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return the input plus the projection of the joined branches."""
        scales = self._scales(self.expand(x))
        joined = torch.cat(scales, dim=1) if self.concat else _sum(scales)
        refined: Tensor = x + self.project(self.shuffle(joined))
        return refined

    def _scales(self, x: Tensor) -> list[Tensor]:
        scales = []
        for branch in self.branches:
            scales.append(branch(x))
            if not self.parallel:
                x = x + scales[-1]
        return scales


def _sum(maps: Sequence[Tensor]) -> Tensor:
    total = maps[0]
    for other in maps[1:]:
        total = total + other
    return total


class MSCAM(nn.Module):
    """Multi-scale convolutional attention module: channel attention, spatial attention, MSCB.

    ``(N, C, H, W)`` → ``(N, C, H, W)``. The spatial attention is shared by the stages, hence an
    argument of `forward`.
    """

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        self.channel_attention = CAB(width)
        self.convolutions = MSCB(width, config)

    def forward(self, x: Tensor, spatial_attention: SAB) -> Tensor:
        """Return the refined map."""
        x = x * self.channel_attention(x)
        x = x * spatial_attention(x)
        refined: Tensor = self.convolutions(x)
        return refined


class EUCB(nn.Module):
    """Efficient up-convolution block: twice the size, the next stage's width.

    ``(N, C, H, W)`` → ``(N, C', 2 H, 2 W)``. Nearest up-sampling, as published weights expect.
    """

    def __init__(self, width: int, next_width: int) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.depthwise = _norm_act(Depthwise(width, 3), nn.ReLU)
        self.pointwise = nn.Conv2d(width, next_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the larger map."""
        larger: Tensor = self.pointwise(self.depthwise(self.upsample(x)))
        return larger


class LGAG(nn.Module):
    """Large-kernel grouped attention gate: weights the positions of a skip connection.

    Decoder map and encoder skip, both ``(N, C, H, W)`` → gate ``(N, 1, H, W)`` in 0…1.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.from_decoder = self._grouped(width, kernel)
        self.from_skip = self._grouped(width, kernel)
        self.act = nn.ReLU(inplace=True)
        self.merge = _norm_act(nn.Conv2d(width // 2, 1, 1))

    @staticmethod
    def _grouped(width: int, kernel: int) -> nn.Sequential:
        groups = 1 if kernel == 1 else width // 2
        return _norm_act(nn.Conv2d(width, width // 2, kernel, padding=kernel // 2, groups=groups))

    def forward(self, decoded: Tensor, skip: Tensor) -> Tensor:
        """Return the gate."""
        both = self.act(self.from_decoder(decoded) + self.from_skip(skip))
        return torch.sigmoid(self.merge(both))


class DeepestStage(nn.Module):
    """Stage 4: the deepest encoder map, refined."""

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        self.mscam = MSCAM(width, config)

    def forward(self, skip: Tensor, _: None, spatial_attention: SAB) -> Tensor:
        """Return the refined map; there is no deeper stage."""
        refined: Tensor = self.mscam(skip, spatial_attention)
        return refined


class Stage(nn.Module):
    """Stage 3, 2 or 1: the deeper map enlarged, the gated skip added, and both refined."""

    def __init__(self, width: int, deeper_width: int, config: ModelConfig) -> None:
        super().__init__()
        self.up = EUCB(deeper_width, width)
        self.gate = LGAG(width, config.lgag_kernel_size)
        self.mscam = MSCAM(width, config)

    def forward(self, skip: Tensor, deeper: Tensor, spatial_attention: SAB) -> Tensor:
        """Return the refined sum of the enlarged deeper map and the gated skip."""
        decoded = self.up(deeper)
        decoded = decoded + skip * self.gate(decoded, skip)
        refined: Tensor = self.mscam(decoded, spatial_attention)
        return refined


class EMCAD(nn.Module):
    """Efficient multi-scale convolutional attention decoder (section 3.1, figure 2).

    Four encoder maps, deepest first → four decoder maps of the same shapes, deepest first.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = config.widths
        self.spatial_attention = SAB()
        self.stage4 = DeepestStage(widths[4], config)
        self.stage3 = Stage(widths[3], widths[4], config)
        self.stage2 = Stage(widths[2], widths[3], config)
        self.stage1 = Stage(widths[1], widths[2], config)
        self.apply(_initialize)

    @property
    def stages(self) -> dict[int, DeepestStage | Stage]:
        """The stages by their numbers, deepest first."""
        return {4: self.stage4, 3: self.stage3, 2: self.stage2, 1: self.stage1}

    def forward(self, skips: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the decoder maps, deepest first."""
        decoded: list[Tensor] = []
        for stage, skip in zip(self.stages.values(), skips, strict=True):
            deeper = decoded[-1] if decoded else None
            decoded.append(stage(skip, deeper, self.spatial_attention))
        return tuple(decoded)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
