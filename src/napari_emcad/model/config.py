"""What a PVT-EMCAD network is, as frozen data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, get_args

Activation = Literal["relu6", "relu"]
Aggregation = Literal["add", "concat"]

STAGES = (4, 3, 2, 1)
"""Decoder stages as the paper numbers them: 4 is the deepest, 1 the finest."""

STRIDES = {4: 32, 3: 16, 2: 8, 1: 4}
"""Input pixels per pixel of each stage."""

MULTIPLE = 32
"""The network's inner height and width are multiples of this; smaller images are padded."""

LARGEST_KERNEL = 31
"""Pixels; the largest side of a kernel. Published networks have 5 at most; a file that says
thousands is no network that any computer could run."""


_ODD = f"odd sizes up to {LARGEST_KERNEL}"


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """Sizes of one PVTv2, finest stage first (PVT v2, arXiv 2106.13797, table 1)."""

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    mlp_ratios: tuple[int, int, int, int] = (8, 8, 4, 4)
    reductions: tuple[int, int, int, int] = (8, 4, 2, 1)
    """Spatial reduction of the keys and values of each stage's attention."""


_WIDE = (64, 128, 320, 512)
ENCODERS: dict[str, EncoderShape] = {
    "pvt_v2_b0": EncoderShape((32, 64, 160, 256), (2, 2, 2, 2)),
    "pvt_v2_b1": EncoderShape(_WIDE, (2, 2, 2, 2)),
    "pvt_v2_b2": EncoderShape(_WIDE, (3, 4, 6, 3)),
    "pvt_v2_b3": EncoderShape(_WIDE, (3, 4, 18, 3)),
    "pvt_v2_b4": EncoderShape(_WIDE, (3, 8, 27, 3)),
    "pvt_v2_b5": EncoderShape(_WIDE, (3, 6, 40, 3), mlp_ratios=(4, 4, 4, 4)),
}
"""The encoders by their timm names."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The architecture of a PVT-EMCAD network.

    Parameters
    ----------
    encoder
        A key of `ENCODERS`.
    num_classes
        Channels of each head: 1 for a binary network (sigmoid), else one per class with the
        background first (softmax).
    input_channels
        1 or 3: what the network was trained on. One channel passes the learned gray stem.
    kernel_sizes
        Odd sizes of the depth-wise convolutions of each MSCB, `LARGEST_KERNEL` at most.
    expansion_factor
        Width of an MSCB's inside over its outside.
    dw_parallel
        Whether the depth-wise branches stand side by side; otherwise each sees the input plus the
        branches before it.
    aggregation
        How the branches meet: ``"add"`` or ``"concat"``.
    lgag_kernel_size
        Odd kernel size of the attention gates, `LARGEST_KERNEL` at most; 1 makes their convolutions
        ungrouped.
    activation
        ``"relu6"`` or ``"relu"``, inside the MSCBs only.

    Raises
    ------
    ValueError
        If a value is outside these bounds; the message names it and what is possible.
    """

    encoder: str = "pvt_v2_b0"
    num_classes: int = 1
    input_channels: int = 3
    kernel_sizes: tuple[int, ...] = (1, 3, 5)
    expansion_factor: int = 2
    dw_parallel: bool = True
    aggregation: Aggregation = "add"
    lgag_kernel_size: int = 3
    activation: Activation = "relu6"

    def __post_init__(self) -> None:
        self._plain()
        known = self.encoder in tuple(ENCODERS)
        _check(known, "encoder", self.encoder, f"one of {', '.join(ENCODERS)}")
        for name in ("num_classes", "expansion_factor", "lgag_kernel_size"):
            _check(_whole(getattr(self, name)), name, getattr(self, name), "a whole number")
        _check(1 <= self.num_classes <= 65_535, "num_classes", self.num_classes, "1 to 65535")
        _check(self.input_channels in (1, 3), "input_channels", self.input_channels, "1 or 3")
        odd = bool(self.kernel_sizes) and all(map(_odd, self.kernel_sizes))
        _check(odd, "kernel_sizes", self.kernel_sizes, f"one or more {_ODD}")
        _check(self.expansion_factor >= 1, "expansion_factor", self.expansion_factor, "1 or more")
        _check(isinstance(self.dw_parallel, bool), "dw_parallel", self.dw_parallel, "true or false")
        _check(
            self.aggregation in get_args(Aggregation),
            "aggregation",
            self.aggregation,
            "add or concat",
        )
        gate = self.lgag_kernel_size
        _check(_odd(gate), "lgag_kernel_size", gate, f"one of the {_ODD}")
        _check(
            self.activation in get_args(Activation), "activation", self.activation, "relu6 or relu"
        )

    def _plain(self) -> None:
        """Make numbers of NumPy plain ones, and a tuple of the kernel sizes."""
        for name in ("num_classes", "input_channels", "expansion_factor", "lgag_kernel_size"):
            object.__setattr__(self, name, _integer(getattr(self, name)))
        sizes = self.kernel_sizes
        listed = isinstance(sizes, Iterable) and not isinstance(sizes, str)
        _check(listed, "kernel_sizes", sizes, f"one or more {_ODD}")
        object.__setattr__(self, "kernel_sizes", tuple(map(_integer, sizes)))

    @property
    def shape(self) -> EncoderShape:
        """The sizes of this network's encoder."""
        return ENCODERS[self.encoder]

    @property
    def widths(self) -> dict[int, int]:
        """Channels of each decoder stage, deepest first."""
        return dict(zip(STAGES, reversed(self.shape.widths), strict=True))


def _integer(value: Any) -> Any:
    """Return whole numbers of any kind as plain ones, and anything else as it is."""
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _odd(value: int) -> bool:
    return _whole(value) and 0 < value <= LARGEST_KERNEL and value % 2 == 1


def _check(right: bool, name: str, value: object, expected: str) -> None:
    if not right:
        raise ValueError(f"{name} is {value!r}; it must be {expected}.")
