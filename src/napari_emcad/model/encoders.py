"""The registry of encoders: everything that is particular to one is in its `EncoderSpec`.

An encoder is a pyramid of four stages with the interface of timm's PVTv2 (``features_only=True``).
Encoder stages are numbered like the decoder stages that they feed: 1 is the finest (stride 4), 4
the deepest (stride 32). Torch and timm are not imported, so that files can be checked without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.model.layers import conv_tensors, layer_norm_tensors, linear_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_emcad.model.layers import NamedShape

_PATCH = 7
"""Kernel of the first patch embedding; those of the later stages are 3."""

_POOLED = 7
"""Side of the keys and values that linear attention pools to."""


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """One encoder of the PVTv2 family (arXiv 2106.13797, table 1); sizes are finest stage first.

    Attributes
    ----------
    name
        timm's name of the model.
    widths
        Channels of the stages.
    depths
        Number of transformer blocks of the stages.
    mlp_ratios
        Width of an MLP's hidden layer over its input.
    reductions
        Spatial reduction of the keys and values of the attention.
    linear_attention
        Whether keys and values are pooled to 7 × 7 instead (PVTv2-Li).
    """

    name: str
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    mlp_ratios: tuple[int, int, int, int] = (8, 8, 4, 4)
    reductions: tuple[int, int, int, int] = (8, 4, 2, 1)
    linear_attention: bool = False

    @property
    def short_name(self) -> str:
        """The variant alone, such as ``B2``."""
        return self.name.removeprefix("pvt_v2_").upper()

    def stage_modules(self, stage: int) -> tuple[str, ...]:
        """Return the names of the submodules that make up a stage, in the order of computation."""
        name = f"stages_{stage - 1}"
        return ("patch_embed", name) if stage == 1 else (name,)

    def tensors(self) -> Iterator[NamedShape]:
        """Yield names and shapes of the encoder's tensors in the order of its state dict."""
        into, kernel = 3, _PATCH
        for i, width in enumerate(self.widths):
            embedding = f"stages_{i}.downsample" if i else "patch_embed"
            yield from conv_tensors(f"{embedding}.proj", width, into, kernel)
            yield from layer_norm_tensors(f"{embedding}.norm", width)
            for block in range(self.depths[i]):
                yield from self._block_tensors(f"stages_{i}.blocks.{block}", i)
            yield from layer_norm_tensors(f"stages_{i}.norm", width)
            into, kernel = width, 3

    def _block_tensors(self, name: str, i: int) -> Iterator[NamedShape]:
        width, hidden = self.widths[i], self.widths[i] * self.mlp_ratios[i]
        yield from layer_norm_tensors(f"{name}.norm1", width)
        yield from linear_tensors(f"{name}.attn.q", width, width)
        yield from linear_tensors(f"{name}.attn.kv", 2 * width, width)
        yield from linear_tensors(f"{name}.attn.proj", width, width)
        if self._reduces(i):
            kernel = 1 if self.linear_attention else self.reductions[i]
            yield from conv_tensors(f"{name}.attn.sr", width, width, kernel)
            yield from layer_norm_tensors(f"{name}.attn.norm", width)
        yield from layer_norm_tensors(f"{name}.norm2", width)
        yield from linear_tensors(f"{name}.mlp.fc1", hidden, width)
        yield from conv_tensors(f"{name}.mlp.dwconv", hidden, 1, 3)
        yield from linear_tensors(f"{name}.mlp.fc2", width, hidden)

    def _reduces(self, i: int) -> bool:
        return self.linear_attention or self.reductions[i] > 1

    def count_macs(self, pixels: Sequence[int]) -> int:
        """Return the multiply-accumulates of one image; `pixels` are those of the stages' maps."""
        total, into, kernel = 0, 3, _PATCH
        for i, (width, area) in enumerate(zip(self.widths, pixels, strict=True)):
            keys = _POOLED**2 if self.linear_attention else area // self.reductions[i] ** 2
            reduced = keys if self.linear_attention else area
            reduction = reduced * width**2 if self._reduces(i) else 0
            attention = 2 * area * width**2 + 2 * keys * width**2 + 2 * area * keys * width
            mlp = area * width * self.mlp_ratios[i] * (2 * width + 9)
            total += area * width * into * kernel**2
            total += self.depths[i] * (reduction + attention + mlp)
            into, kernel = width, 3
        return total


_ORIGINAL_PREFIXES = {"patch_embed.": "patch_embed1."}
for _i in range(4):
    _ORIGINAL_PREFIXES |= {
        f"stages_{_i}.downsample.": f"patch_embed{_i + 1}.",
        f"stages_{_i}.blocks.": f"block{_i + 1}.",
        f"stages_{_i}.norm.": f"norm{_i + 1}.",
    }


def original_name(name: str) -> str:
    """Return the name that a tensor of any of these encoders has in the authors' PVTv2 files."""
    prefix = next(prefix for prefix in _ORIGINAL_PREFIXES if name.startswith(prefix))
    renamed = _ORIGINAL_PREFIXES[prefix] + name.removeprefix(prefix)
    return renamed.replace(".mlp.dwconv.", ".mlp.dwconv.dwconv.")


_WIDE = (64, 128, 320, 512)

ENCODERS: dict[str, EncoderSpec] = {
    spec.name: spec
    for spec in (
        EncoderSpec("pvt_v2_b0", (32, 64, 160, 256), (2, 2, 2, 2)),
        EncoderSpec("pvt_v2_b1", _WIDE, (2, 2, 2, 2)),
        EncoderSpec("pvt_v2_b2", _WIDE, (3, 4, 6, 3)),
        EncoderSpec("pvt_v2_b3", _WIDE, (3, 4, 18, 3)),
        EncoderSpec("pvt_v2_b4", _WIDE, (3, 8, 27, 3)),
        EncoderSpec("pvt_v2_b5", _WIDE, (3, 6, 40, 3), mlp_ratios=(4, 4, 4, 4)),
    )
}
"""The encoders by their timm names."""
