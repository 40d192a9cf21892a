"""Teacher, student, and how far one is from the other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import timm
import torch
from safetensors.torch import load_file
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from napari_emcad.model.encoder import create_encoder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LEVELS = (4, 8, 16, 32)
"""Strides of the maps that are compared, in pixels."""

RIDGE = 1e-3
"""Added to the students' variances where heads are fitted in closed form."""


class Teacher(nn.Module):
    """An EfficientNet-Lite that is never trained: ``(N, 3, H, W)`` in 0 … 1 → maps of `LEVELS`.

    Parameters
    ----------
    name
        timm's.
    weights
        A state dict of the whole network, whose entries stand in timm's order under any names;
        None leaves random weights.

    Notes
    -----
    Lite networks were trained on ``(255 x - 127) / 128``, Tan and Le, 2020.
    """

    def __init__(self, name: str, weights: Path | None) -> None:
        super().__init__()
        whole = timm.create_model(name)
        if weights is not None:
            values = torch.load(weights, map_location="cpu", weights_only=True).values()
            whole.load_state_dict(dict(zip(whole.state_dict(), values, strict=True)))
        places = tuple(range(1, 1 + len(LEVELS)))
        self._maps = timm.create_model(name, features_only=True, out_indices=places)
        names = self._maps.state_dict().keys()
        self._maps.load_state_dict({name: whole.state_dict()[name] for name in names})
        self.widths: list[int] = self._maps.feature_info.channels()
        self.eval().requires_grad_(False)
        fold_norms(self._maps)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return the maps, finest first."""
        maps: list[Tensor] = self._maps((255 * pixels - 127) / 128)
        return maps


def fold_norms(network: nn.Module) -> None:
    """Compute each norm within the convolution before it, which saves a third of the time."""
    for block in list(network.modules()):
        pairs = pairwise(list(block.named_children()))
        for (_, convolution), (name, norm) in pairs:
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, BatchNormAct2d):
                weight, bias = fuse_conv_bn_weights(
                    convolution.weight,
                    convolution.bias,
                    norm.running_mean,
                    norm.running_var,
                    norm.eps,
                    norm.weight,
                    norm.bias,
                )
                convolution.weight, convolution.bias = weight, bias
                setattr(block, name, norm.act)


class Student(nn.Module):
    """A PVTv2: ``(N, 3, H, W)`` in 0 … 1 → maps of `LEVELS`; pixels are standardized as ImageNet's.

    Parameters
    ----------
    name
        timm's.
    start
        A safetensors file to start from; None starts from nothing.
    """

    def __init__(self, name: str, start: Path | None) -> None:
        super().__init__()
        self.encoder = create_encoder(name)
        if start is not None:
            weights = {key: value.float() for key, value in load_file(start).items()}
            self.encoder.load_state_dict(weights)
        self.widths: list[int] = self.encoder.feature_info.channels()
        mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        self.register_buffer("_mean", mean, persistent=False)
        self.register_buffer("_std", std, persistent=False)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return the maps, finest first."""
        maps: list[Tensor] = self.encoder((pixels - self._mean) / self._std)
        return maps


class Heads(nn.Module):
    """A linear map from each of the student's maps to the teacher's standardized one."""

    def __init__(self, inputs: list[int], outputs: list[int]) -> None:
        super().__init__()
        pairs = list(zip(inputs, outputs, strict=True))
        self.linear = nn.ModuleList(nn.Conv2d(before, after, 1) for before, after in pairs)
        for level, width in enumerate(outputs):
            self.register_buffer(f"mean{level}", torch.zeros(width, 1, 1))
            self.register_buffer(f"std{level}", torch.ones(width, 1, 1))

    def targets(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the teacher's maps with each channel of mean 0 and variance 1 in the sample."""
        return [
            (each.float() - self.get_buffer(f"mean{level}")) / self.get_buffer(f"std{level}")
            for level, each in enumerate(maps)
        ]

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return what the student's maps say of the targets."""
        return [head(each) for head, each in zip(self.linear, maps, strict=True)]

    @torch.no_grad()
    def fit(self, sample: Iterable[tuple[list[Tensor], list[Tensor]]]) -> None:
        """Take the statistics and the best heads in closed form.

        Parameters
        ----------
        sample
            Maps of the student and of the teacher, of the same pictures.
        """
        sample = list(sample)
        for level, head in enumerate(self.linear):
            x, y = (torch.cat([flat(pair[who][level]) for pair in sample]) for who in (0, 1))
            self.get_buffer(f"mean{level}").copy_(y.mean(0)[:, None, None])
            self.get_buffer(f"std{level}").copy_(y.std(0).clamp(min=1e-6)[:, None, None])
            target = (y - y.mean(0)) / y.std(0).clamp(min=1e-6)
            inputs = x - x.mean(0)
            weight = torch.linalg.solve(
                inputs.T @ inputs / len(x) + RIDGE * torch.eye(x.shape[1], device=x.device),
                inputs.T @ target / len(x),
            )
            head.weight.copy_(weight.T[..., None, None])
            head.bias.copy_(-x.mean(0) @ weight)


def errors(said: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Return the mean squared error of each level, ``(levels,)``."""
    pairs = zip(said, targets, strict=True)
    return torch.stack([(a.float() - b).square().mean() for a, b in pairs])


class Unexplained:
    """Squared error in relation to variance, by level, over as many pictures as one likes.

    Both are summed over a level's channels, which are standardized by the sample that heads are
    fitted to; the variance is that of the pictures measured on.
    """

    def __init__(self) -> None:
        self._sums: list[list[Tensor]] = [[] for _ in LEVELS]

    def see(self, said: list[Tensor], targets: list[Tensor]) -> None:
        """Count one batch."""
        for sums, a, b in zip(self._sums, map(flat, said), map(flat, targets), strict=True):
            count = torch.full_like(b[0], len(b))
            sums.append(torch.stack([(a - b).square().sum(0), b.sum(0), b.square().sum(0), count]))

    def by_level(self) -> dict[str, float]:
        """Return the share that is not explained, by stride."""
        found = {}
        for stride, sums in zip(LEVELS, self._sums, strict=True):
            error, first, second, count = torch.stack(sums).double().sum(0)
            found[str(stride)] = float(error.sum() / (second - first**2 / count).sum())
        return found


def flat(maps: Tensor) -> Tensor:
    """Return ``(N, C, H, W)`` as float rows ``(N H W, C)``."""
    return maps.float().permute(0, 2, 3, 1).flatten(0, 2)
