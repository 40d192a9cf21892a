"""The name and shape of every tensor of a network, from its configuration alone.

Files are checked against this table before anything is built, and without importing torch.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from napari_emcad.model.config import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_emcad.model.config import ModelConfig

Named = tuple[str, tuple[int, ...]]
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return ``{name: shape}`` of the network's state dict, in its order."""
    named = [*_conv("grey_stem.0", 3, 1, 1), *_batch_norm("grey_stem.1", 3)]
    named += [*_encoder(config), *_decoder(config)]
    for n in STAGES:
        named += _conv(f"heads.stage{n}", config.num_classes, config.widths[n], 1)
    return dict(named)


def count_parameters(config: ModelConfig) -> int:
    """Return how many trainable numbers the network has."""
    shapes = tensor_shapes(config).items()
    return sum(prod(shape) for name, shape in shapes if not name.endswith(_BUFFERS))


def _encoder(config: ModelConfig) -> Iterator[Named]:
    shape = config.shape
    below, patch = 3, 7
    for i, width in enumerate(shape.widths):
        embed = f"encoder.stages_{i}.downsample" if i else "encoder.patch_embed"
        yield from _conv(f"{embed}.proj", width, below, patch)
        yield from _affine(f"{embed}.norm", width)
        hidden = width * shape.mlp_ratios[i]
        for block in range(shape.depths[i]):
            prefix = f"encoder.stages_{i}.blocks.{block}"
            yield from _encoder_block(prefix, width, hidden, shape.reductions[i])
        yield from _affine(f"encoder.stages_{i}.norm", width)
        below, patch = width, 3


def _encoder_block(prefix: str, width: int, hidden: int, reduction: int) -> Iterator[Named]:
    yield from _affine(f"{prefix}.norm1", width)
    yield from _linear(f"{prefix}.attn.q", width, width)
    yield from _linear(f"{prefix}.attn.kv", 2 * width, width)
    yield from _linear(f"{prefix}.attn.proj", width, width)
    if reduction > 1:
        yield from _conv(f"{prefix}.attn.sr", width, width, reduction)
        yield from _affine(f"{prefix}.attn.norm", width)
    yield from _affine(f"{prefix}.norm2", width)
    yield from _linear(f"{prefix}.mlp.fc1", hidden, width)
    yield from _conv(f"{prefix}.mlp.dwconv", hidden, 1, 3)
    yield from _linear(f"{prefix}.mlp.fc2", width, hidden)


def _decoder(config: ModelConfig) -> Iterator[Named]:
    yield "decoder.spatial_attention.conv.weight", (1, 2, 7, 7)
    deeper = 0
    for n in STAGES:
        width, prefix = config.widths[n], f"decoder.stage{n}"
        if deeper:
            yield from _up(f"{prefix}.up", deeper, width)
            yield from _gate(f"{prefix}.gate", width, config.lgag_kernel_size)
        yield from _mscam(f"{prefix}.mscam", width, config)
        deeper = width


def _up(prefix: str, width: int, next_width: int) -> Iterator[Named]:
    yield f"{prefix}.depthwise.0.weight", (width, 1, 3, 3)
    yield from _batch_norm(f"{prefix}.depthwise.1", width)
    yield from _conv(f"{prefix}.pointwise", next_width, width, 1)


def _gate(prefix: str, width: int, kernel: int) -> Iterator[Named]:
    half = width // 2
    for side in ("from_decoder", "from_skip"):
        yield from _conv(f"{prefix}.{side}.0", half, width if kernel == 1 else 2, kernel)
        yield from _batch_norm(f"{prefix}.{side}.1", half)
    yield from _conv(f"{prefix}.merge.0", 1, half, 1)
    yield from _batch_norm(f"{prefix}.merge.1", 1)


def _mscam(prefix: str, width: int, config: ModelConfig) -> Iterator[Named]:
    squeezed = width if width < 16 else width // 16
    yield f"{prefix}.channel_attention.squeeze.weight", (squeezed, width, 1, 1)
    yield f"{prefix}.channel_attention.excite.weight", (width, squeezed, 1, 1)
    inner = width * config.expansion_factor
    block = f"{prefix}.convolutions"
    yield f"{block}.expand.0.weight", (inner, width, 1, 1)
    yield from _batch_norm(f"{block}.expand.1", inner)
    for i, kernel in enumerate(config.kernel_sizes):
        yield f"{block}.branches.{i}.0.weight", (inner, 1, kernel, kernel)
        yield from _batch_norm(f"{block}.branches.{i}.1", inner)
    joined = inner * len(config.kernel_sizes) if config.aggregation == "concat" else inner
    yield f"{block}.project.0.weight", (width, joined, 1, 1)
    yield from _batch_norm(f"{block}.project.1", width)


def _conv(name: str, out: int, into: int, kernel: int) -> Iterator[Named]:
    yield f"{name}.weight", (out, into, kernel, kernel)
    yield f"{name}.bias", (out,)


def _linear(name: str, out: int, into: int) -> Iterator[Named]:
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def _affine(name: str, width: int) -> Iterator[Named]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _batch_norm(name: str, width: int) -> Iterator[Named]:
    yield from _affine(name, width)
    yield f"{name}.running_mean", (width,)
    yield f"{name}.running_var", (width,)
    yield f"{name}.num_batches_tracked", ()
