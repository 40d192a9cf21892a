"""How much a network computes and holds, from its configuration alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.model.config import STAGES, STRIDES

if TYPE_CHECKING:
    from napari_emcad.model.config import ModelConfig


def count_macs(config: ModelConfig, height: int = 256, width: int = 256) -> int:
    """Return the multiply-accumulates of one image of this size.

    Convolutions, linear layers and attention products count, as in torch's ``FlopCounterMode``
    (two of its flops are one of these); norms, activations and resampling do not.

    Parameters
    ----------
    config
        The architecture.
    height, width
        Input size in pixels, multiples of 32.
    """
    pixels = {n: (height // STRIDES[n]) * (width // STRIDES[n]) for n in STAGES}
    stem = 3 * height * width if config.input_channels == 1 else 0
    return stem + _encoder(config, pixels) + _decoder(config, pixels)


def _encoder(config: ModelConfig, pixels: dict[int, int]) -> int:
    shape = config.shape
    total, below, patch = 0, 3, 7
    for i, stage in enumerate(reversed(STAGES)):
        width, area, reduction = shape.widths[i], pixels[stage], shape.reductions[i]
        keys = area // reduction**2
        embed = area * width * below * patch**2
        reduce = area * width**2 if reduction > 1 else 0
        attention = 2 * area * width**2 + 2 * keys * width**2 + 2 * area * keys * width
        hidden = width * shape.mlp_ratios[i]
        mlp = area * hidden * (2 * width + 9)
        total += embed + shape.depths[i] * (reduce + attention + mlp)
        below, patch = width, 3
    return total


def _decoder(config: ModelConfig, pixels: dict[int, int]) -> int:
    kernels = config.kernel_sizes
    total, deeper = 0, 0
    for stage in STAGES:
        width, area = config.widths[stage], pixels[stage]
        if deeper:
            total += area * deeper * (9 + width) + area * _gate(width, config.lgag_kernel_size)
        inner = width * config.expansion_factor
        joined = inner * len(kernels) if config.aggregation == "concat" else inner
        squeezed = width if width < 16 else width // 16
        total += 4 * width * squeezed + area * 2 * 7**2
        total += area * (width * inner + inner * sum(k * k for k in kernels) + joined * width)
        total += area * width * config.num_classes
        deeper = width
    return total


def _gate(width: int, kernel: int) -> int:
    half = width // 2
    per_output = width if kernel == 1 else 2 * kernel**2
    return 2 * half * per_output + half
