"""Teacher, student, the linear heads between them, and the unexplained variance."""

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
"""Strides of the compared feature maps in pixels."""

RIDGE = 1e-3
"""Ridge penalty of the closed-form fit of the heads."""


class Teacher(nn.Module):
    """A frozen EfficientNet-Lite: ``(N, 3, H, W)`` in 0 … 1 → feature maps of `LEVELS`.

    Parameters
    ----------
    name
        Name of the network in timm.
    weights
        File with a state dict of the classifier, in timm's order; names are ignored. None for
        random weights.

    Notes
    -----
    The Lite networks were trained with inputs ``(255 x - 127) / 128``; Tan and Le, 2020.
    """

    def __init__(self, name: str, weights: Path | None) -> None:
        super().__init__()
        classifier = timm.create_model(name)
        if weights is not None:
            values = torch.load(weights, map_location="cpu", weights_only=True).values()
            classifier.load_state_dict(dict(zip(classifier.state_dict(), values, strict=True)))
        indices = tuple(range(1, 1 + len(LEVELS)))
        self._maps = timm.create_model(name, features_only=True, out_indices=indices)
        names = self._maps.state_dict().keys()
        self._maps.load_state_dict({name: classifier.state_dict()[name] for name in names})
        self.widths: list[int] = self._maps.feature_info.channels()
        self.eval().requires_grad_(False)
        fold_batch_norms(self._maps)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return the feature maps, finest first."""
        maps: list[Tensor] = self._maps((255 * pixels - 127) / 128)
        return maps


def fold_batch_norms(network: nn.Module) -> None:
    """Fold batch norms into the preceding convolutions, which saves a third of the time."""
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
    """A PVTv2: ``(N, 3, H, W)`` in 0 … 1 → feature maps of `LEVELS`, with ImageNet statistics.

    Parameters
    ----------
    name
        Name of the network in timm.
    start
        Safetensors file of the initial weights; None for random weights.
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
        """Return the feature maps, finest first."""
        maps: list[Tensor] = self.encoder((pixels - self._mean) / self._std)
        return maps


class Heads(nn.Module):
    """One 1 x 1 convolution per level, from the student's map to the standardized teacher's map.

    Parameters
    ----------
    inputs, outputs
        Numbers of channels of the student's and of the teacher's maps.
    """

    def __init__(self, inputs: list[int], outputs: list[int]) -> None:
        super().__init__()
        pairs = list(zip(inputs, outputs, strict=True))
        self.linear = nn.ModuleList(nn.Conv2d(channels, targets, 1) for channels, targets in pairs)
        for level, width in enumerate(outputs):
            self.register_buffer(f"mean{level}", torch.zeros(width, 1, 1))
            self.register_buffer(f"std{level}", torch.ones(width, 1, 1))

    def targets(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the teacher's maps, standardized per channel by the statistics of the sample."""
        return [
            (features.float() - self.get_buffer(f"mean{level}")) / self.get_buffer(f"std{level}")
            for level, features in enumerate(maps)
        ]

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the predictions of the targets from the student's maps."""
        return [head(features) for head, features in zip(self.linear, maps, strict=True)]

    @torch.no_grad()
    def fit(self, sample: Iterable[tuple[list[Tensor], list[Tensor]]]) -> None:
        """Compute the teacher's statistics, and fit the heads by ridge regression.

        Parameters
        ----------
        sample
            Pairs of the student's and the teacher's maps of the same pictures.
        """
        sample = list(sample)
        for level, head in enumerate(self.linear):
            x, y = (torch.cat([flatten(pair[index][level]) for pair in sample]) for index in (0, 1))
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


def errors(predicted: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Return the mean squared errors by level, ``(levels,)``."""
    pairs = zip(predicted, targets, strict=True)
    return torch.stack([(a.float() - b).square().mean() for a, b in pairs])


class Unexplained:
    """Squared error divided by variance, by level, accumulated over batches.

    Both are summed over the channels of a level, which are standardized by the sample used in
    `Heads.fit`; the variance is that of the measured pictures.
    """

    def __init__(self) -> None:
        self._sums: list[list[Tensor]] = [[] for _ in LEVELS]

    def update(self, predicted: list[Tensor], targets: list[Tensor]) -> None:
        """Add one batch."""
        for sums, a, b in zip(
            self._sums, map(flatten, predicted), map(flatten, targets), strict=True
        ):
            count = torch.full_like(b[0], len(b))
            sums.append(torch.stack([(a - b).square().sum(0), b.sum(0), b.square().sum(0), count]))

    def by_level(self) -> dict[str, float]:
        """Return the unexplained share of the variance by stride."""
        result = {}
        for stride, sums in zip(LEVELS, self._sums, strict=True):
            error, first, second, count = torch.stack(sums).double().sum(0)
            result[str(stride)] = float(error.sum() / (second - first**2 / count).sum())
        return result


def flatten(maps: Tensor) -> Tensor:
    """Return maps ``(N, C, H, W)`` as float32 rows ``(N H W, C)``."""
    return maps.float().permute(0, 2, 3, 1).flatten(0, 2)
