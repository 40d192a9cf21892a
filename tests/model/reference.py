"""A second implementation of EMCAD as plain formulae over a published state dict, to compare with.

Nothing here knows the package: tensors go by their published names, blocks are functions.
"""

from __future__ import annotations

import math

import torch
from golden.fill import case
from torch.nn import functional as F

BLOCKS = {"b0": (2, 2, 2, 2), "b1": (2, 2, 2, 2), "b2": (3, 4, 6, 3), "b3": (3, 4, 18, 3)}
OPTIONS = {
    "encoder": "pvt_v2_b0",
    "num_classes": 1,
    "kernel_sizes": (1, 3, 5),
    "expansion_factor": 2,
    "dw_parallel": True,
    "aggregation": "add",
    "lgag_kernel_size": 3,
    "activation": "relu6",
}


def published_shapes(encoder, num_classes, kernel_sizes, expansion_factor, aggregation, **rest):
    """Return {published name: shape} of a network."""
    recorded = case("b0_rgb" if encoder.endswith("b0") else "b2_rgb")["shapes"]
    shapes = {name: shape for name, shape in recorded.items() if name.startswith("conv.")}
    shapes |= _encoder_shapes(recorded, BLOCKS[encoder[-2:]])
    widths = dict(enumerate((32, 64, 160, 256) if encoder.endswith("b0") else _WIDE, start=1))
    for n, width in widths.items():
        inner = width * expansion_factor
        joined = inner * (len(kernel_sizes) if aggregation == "concat" else 1)
        block = f"decoder.mscb{n}.0"
        shapes |= _conv_norm(f"{block}.pconv1", (inner, width, 1, 1))
        for i, k in enumerate(kernel_sizes):
            shapes |= _conv_norm(f"{block}.msdc.dwconvs.{i}", (inner, 1, k, k))
        shapes |= _conv_norm(f"{block}.pconv2", (width, joined, 1, 1))
        shapes[f"decoder.cab{n}.fc1.weight"] = (width // 16, width, 1, 1)
        shapes[f"decoder.cab{n}.fc2.weight"] = (width, width // 16, 1, 1)
        shapes |= _biased(f"out_head{n}", (num_classes, width, 1, 1))
        if n < 4:
            shapes |= _joining_shapes(n, width, widths[n + 1], rest["lgag_kernel_size"])
    return shapes | {"decoder.sab.conv.weight": (1, 2, 7, 7)}


_WIDE = (64, 128, 320, 512)


def _encoder_shapes(recorded, blocks):
    """Return the recorded encoder with another number of blocks, each like the recorded ones."""
    shapes = {}
    for name, shape in recorded.items():
        if name.startswith("backbone.") and ".block" not in name:
            shapes[name] = shape
        for stage, count in enumerate(blocks, start=1):
            first = f"backbone.block{stage}.0."
            if name.startswith(first):
                for i in range(count):
                    shapes[name.replace(first, f"backbone.block{stage}.{i}.")] = shape
    return shapes


def _joining_shapes(n, width, deeper, kernel):
    half = width // 2
    shapes = {f"decoder.eucb{n}.up_dwc.1.weight": (deeper, 1, 3, 3)}
    shapes |= _norm(f"decoder.eucb{n}.up_dwc.2", deeper)
    shapes |= _biased(f"decoder.eucb{n}.pwc.0", (width, deeper, 1, 1))
    for side in ("W_g", "W_x"):
        shapes |= _biased(
            f"decoder.lgag{n}.{side}.0", (half, width if kernel == 1 else 2, kernel, kernel)
        )
        shapes |= _norm(f"decoder.lgag{n}.{side}.1", half)
    shapes |= _biased(f"decoder.lgag{n}.psi.0", (1, half, 1, 1))
    return shapes | _norm(f"decoder.lgag{n}.psi.1", 1)


def _biased(name, shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _conv_norm(name, shape):
    return {f"{name}.0.weight": shape} | _norm(f"{name}.1", shape[0])


def _norm(name, width):
    fields = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{each}": (width,) for each in fields} | {f"{name}.num_batches_tracked": ()}


class Reference:
    """Decoder and heads of a published state dict.

    Calling it with four encoder maps, {4: deepest … 1: finest}, returns
    {stage: {"gate", "channel_attention", "spatial_attention", "decoder", "logits"}}.
    """

    def __init__(self, tensors, kernel_sizes, dw_parallel, aggregation, activation, **rest):
        self.t = tensors
        self.kernel_sizes = kernel_sizes
        self.parallel = dw_parallel
        self.concat = aggregation == "concat"
        self.act = {"relu": F.relu, "relu6": F.relu6}[activation]

    def __call__(self, encoder):
        seen = {}
        for n in (4, 3, 2, 1):
            gate = None
            x = encoder[n]
            if n < 4:
                up = self.eucb(n, x=seen[n + 1]["decoder"])
                gate = self.lgag(n, up, x)
                x = up + x * gate
            channel = self.cab(n, x)
            x = x * channel
            spatial = self.sab(x)
            decoded = self.mscb(n, x * spatial)
            seen[n] = {
                "gate": gate,
                "channel_attention": channel,
                "spatial_attention": spatial,
                "decoder": decoded,
                "logits": self.conv(f"out_head{n}", decoded),
            }
        return seen

    def conv(self, name, x, **options):
        weight, bias = self.t[f"{name}.weight"], self.t.get(f"{name}.bias")
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, **options)

    def norm(self, name, x):
        weight, bias, mean, var = (
            self.t[f"{name}.{each}"][:, None, None]
            for each in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias

    def cab(self, n, x):
        def mlp(pooled):
            name = f"decoder.cab{n}"
            return self.conv(f"{name}.fc2", F.relu(self.conv(f"{name}.fc1", pooled)))

        return torch.sigmoid(mlp(F.adaptive_avg_pool2d(x, 1)) + mlp(F.adaptive_max_pool2d(x, 1)))

    def sab(self, x):
        summary = torch.stack([x.mean(1), x.max(1).values], dim=1)
        return torch.sigmoid(self.conv("decoder.sab.conv", summary))

    def mscb(self, n, x):
        name = f"decoder.mscb{n}.0"
        wide = self.act(self.norm(f"{name}.pconv1.1", self.conv(f"{name}.pconv1.0", x)))
        branches, entering = [], wide
        for i in range(len(self.kernel_sizes)):
            branch = f"{name}.msdc.dwconvs.{i}"
            deep = self.conv(f"{branch}.0", entering, groups=wide.shape[1])
            branches.append(self.act(self.norm(f"{branch}.1", deep)))
            if not self.parallel:
                entering = entering + branches[-1]
        joined = torch.cat(branches, 1) if self.concat else sum(branches)
        mixed = shuffled(joined, math.gcd(joined.shape[1], x.shape[1]))
        return x + self.norm(f"{name}.pconv2.1", self.conv(f"{name}.pconv2.0", mixed))

    def eucb(self, n, x):
        name = f"decoder.eucb{n}"
        large = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        deep = self.conv(f"{name}.up_dwc.1", large, groups=x.shape[1])
        return self.conv(f"{name}.pwc.0", F.relu(self.norm(f"{name}.up_dwc.2", deep)))

    def lgag(self, n, up, skip):
        name = f"decoder.lgag{n}"
        groups = skip.shape[1] // self.t[f"{name}.W_g.0.weight"].shape[1]
        g = self.norm(f"{name}.W_g.1", self.conv(f"{name}.W_g.0", up, groups=groups))
        x = self.norm(f"{name}.W_x.1", self.conv(f"{name}.W_x.0", skip, groups=groups))
        merged = self.norm(f"{name}.psi.1", self.conv(f"{name}.psi.0", F.relu(g + x)))
        return torch.sigmoid(merged)


def shuffled(x, groups):
    """Channel c of g groups of n goes where c reads as (place, group) instead of (group, place)."""
    place = torch.arange(x.shape[1]).view(groups, -1).T.flatten()
    return x[:, place]
