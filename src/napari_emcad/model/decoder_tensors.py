"""Tensors, published names and cost of the EMCAD decoder with its heads and the gray stem.

Names and shapes of the tensors of `model.decoder` from the configuration alone, the names of the
same tensors in the authors' files, and multiply-accumulates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.model.config import STAGES, squeezed_width
from napari_emcad.model.layers import batch_norm_tensors, conv_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_emcad.model.config import ModelConfig
    from napari_emcad.model.layers import NamedShape


def stem_tensors() -> Iterator[NamedShape]:
    """Yield the tensors of the learned gray stem, a 1 × 1 convolution from 1 to 3 channels."""
    yield from conv_tensors("grey_stem.0", 3, 1, 1)
    yield from batch_norm_tensors("grey_stem.1", 3)


def decoder_tensors(config: ModelConfig) -> Iterator[NamedShape]:
    """Yield the tensors of the decoder."""
    yield "decoder.spatial_attention.conv.weight", (1, 2, 7, 7)
    deeper = 0
    for n in STAGES:
        width, prefix = config.widths[n], f"decoder.stage{n}"
        if deeper:
            yield from _up_tensors(f"{prefix}.up", deeper, width)
            yield from _gate_tensors(f"{prefix}.gate", width, config.lgag_kernel_size)
        yield from _mscam_tensors(f"{prefix}.mscam", width, config)
        deeper = width


def head_tensors(config: ModelConfig) -> Iterator[NamedShape]:
    """Yield the tensors of the four heads."""
    for n in STAGES:
        yield from conv_tensors(f"heads.stage{n}", config.num_classes, config.widths[n], 1)


def _up_tensors(prefix: str, width: int, next_width: int) -> Iterator[NamedShape]:
    yield f"{prefix}.depthwise.0.weight", (width, 1, 3, 3)
    yield from batch_norm_tensors(f"{prefix}.depthwise.1", width)
    yield from conv_tensors(f"{prefix}.pointwise", next_width, width, 1)


def _gate_tensors(prefix: str, width: int, kernel: int) -> Iterator[NamedShape]:
    half = width // 2
    for side in ("from_decoder", "from_skip"):
        yield from conv_tensors(f"{prefix}.{side}.0", half, width if kernel == 1 else 2, kernel)
        yield from batch_norm_tensors(f"{prefix}.{side}.1", half)
    yield from conv_tensors(f"{prefix}.merge.0", 1, half, 1)
    yield from batch_norm_tensors(f"{prefix}.merge.1", 1)


def _mscam_tensors(prefix: str, width: int, config: ModelConfig) -> Iterator[NamedShape]:
    squeezed = squeezed_width(width)
    yield f"{prefix}.channel_attention.squeeze.weight", (squeezed, width, 1, 1)
    yield f"{prefix}.channel_attention.excite.weight", (width, squeezed, 1, 1)
    inner, joined = config.inner_widths(width)
    block = f"{prefix}.convolutions"
    yield f"{block}.expand.0.weight", (inner, width, 1, 1)
    yield from batch_norm_tensors(f"{block}.expand.1", inner)
    for i, kernel in enumerate(config.kernel_sizes):
        yield f"{block}.branches.{i}.0.weight", (inner, 1, kernel, kernel)
        yield from batch_norm_tensors(f"{block}.branches.{i}.1", inner)
    yield f"{block}.project.0.weight", (width, joined, 1, 1)
    yield from batch_norm_tensors(f"{block}.project.1", width)


def published_prefixes() -> Iterator[tuple[str, str]]:
    """Yield (prefix of our names, prefix in the authors' files); the rest of a name is equal."""
    yield "grey_stem.", "conv."
    yield "decoder.spatial_attention.", "decoder.sab."
    for n in STAGES:
        stage, mscam = f"decoder.stage{n}", f"decoder.stage{n}.mscam"
        yield f"{mscam}.channel_attention.squeeze.", f"decoder.cab{n}.fc1."
        yield f"{mscam}.channel_attention.excite.", f"decoder.cab{n}.fc2."
        yield f"{mscam}.convolutions.expand.", f"decoder.mscb{n}.0.pconv1."
        yield f"{mscam}.convolutions.branches.", f"decoder.mscb{n}.0.msdc.dwconvs."
        yield f"{mscam}.convolutions.project.", f"decoder.mscb{n}.0.pconv2."
        yield f"{stage}.up.depthwise.0.", f"decoder.eucb{n}.up_dwc.1."
        yield f"{stage}.up.depthwise.1.", f"decoder.eucb{n}.up_dwc.2."
        yield f"{stage}.up.pointwise.", f"decoder.eucb{n}.pwc.0."
        yield f"{stage}.gate.from_decoder.", f"decoder.lgag{n}.W_g."
        yield f"{stage}.gate.from_skip.", f"decoder.lgag{n}.W_x."
        yield f"{stage}.gate.merge.", f"decoder.lgag{n}.psi."
        yield f"heads.stage{n}.", f"out_head{n}."


def count_decoder_macs(config: ModelConfig, pixels: Mapping[int, int]) -> int:
    """Return the multiply-accumulates of decoder and heads; `pixels` are those of the stages."""
    total, deeper = 0, 0
    for stage in STAGES:
        width, area = config.widths[stage], pixels[stage]
        if deeper:
            total += area * deeper * (9 + width)
            total += area * _gate_macs(width, config.lgag_kernel_size)
        inner, joined = config.inner_widths(width)
        depthwise = inner * sum(kernel**2 for kernel in config.kernel_sizes)
        total += 4 * width * squeezed_width(width) + area * 2 * 7**2
        total += area * (width * inner + depthwise + joined * width)
        total += area * width * config.num_classes
        deeper = width
    return total


def _gate_macs(width: int, kernel: int) -> int:
    half = width // 2
    per_output = width if kernel == 1 else 2 * kernel**2
    return 2 * half * per_output + half
