"""The architecture of a PVT-EMCAD network, as frozen data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_emcad.model.checks import check_value
from napari_emcad.model.encoders import ENCODERS

if TYPE_CHECKING:
    from napari_emcad.model.encoders import EncoderSpec

Activation = Literal["relu6", "relu"]
Aggregation = Literal["add", "concat"]

STAGES = (4, 3, 2, 1)
"""Decoder stages as the paper numbers them: 4 is the deepest, 1 the finest."""

STRIDES = {4: 32, 3: 16, 2: 8, 1: 4}
"""Input pixels per pixel of a stage's map."""

MULTIPLE = 32
"""The network's inner height and width are multiples of this; smaller images are padded."""

LARGEST_KERNEL = 31
"""Largest side of a kernel in pixels. Published networks have 5 at most; a damaged file may claim
a size that no computer could run."""

_ODD = f"odd sizes up to {LARGEST_KERNEL}"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The architecture of a PVT-EMCAD network.

    Parameters
    ----------
    encoder
        A key of `ENCODERS`.
    num_classes
        Channels of the heads: 1 for a binary network (sigmoid), else one per class with the
        background first (softmax).
    input_channels
        Number of channels that the network was trained on, 1 or 3. A single channel passes the
        learned gray stem.
    kernel_sizes
        Odd sizes of the depth-wise convolutions of an MSCB, `LARGEST_KERNEL` at most.
    expansion_factor
        Inner width of an MSCB over its outer width.
    dw_parallel
        Whether the depth-wise branches are parallel; otherwise a branch gets the input plus the
        outputs of the branches before it.
    aggregation
        Operation that joins the branches: ``"add"`` or ``"concat"``.
    lgag_kernel_size
        Odd kernel size of the attention gates, `LARGEST_KERNEL` at most; 1 makes their convolutions
        ungrouped.
    activation
        Activation inside the MSCBs: ``"relu6"`` or ``"relu"``.

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
        self._convert()
        known = self.encoder in tuple(ENCODERS)
        self._check("encoder", known, f"one of {', '.join(ENCODERS)}")
        for name in ("num_classes", "expansion_factor", "lgag_kernel_size"):
            self._check(name, _is_int(getattr(self, name)), "a whole number")
        self._check("num_classes", 1 <= self.num_classes <= 65_535, "1 to 65535")
        self._check("input_channels", self.input_channels in (1, 3), "1 or 3")
        odd = bool(self.kernel_sizes) and all(map(_is_odd, self.kernel_sizes))
        self._check("kernel_sizes", odd, f"one or more {_ODD}")
        self._check("expansion_factor", self.expansion_factor >= 1, "1 or more")
        self._check("dw_parallel", isinstance(self.dw_parallel, bool), "true or false")
        self._check("aggregation", self.aggregation in get_args(Aggregation), "add or concat")
        self._check("lgag_kernel_size", _is_odd(self.lgag_kernel_size), f"one of the {_ODD}")
        self._check("activation", self.activation in get_args(Activation), "relu6 or relu")

    def _convert(self) -> None:
        """Convert NumPy's integers to Python's, and the kernel sizes to a tuple."""
        for name in ("num_classes", "input_channels", "expansion_factor", "lgag_kernel_size"):
            object.__setattr__(self, name, _as_int(getattr(self, name)))
        sizes = self.kernel_sizes
        listed = isinstance(sizes, Iterable) and not isinstance(sizes, str)
        self._check("kernel_sizes", listed, f"one or more {_ODD}")
        object.__setattr__(self, "kernel_sizes", tuple(map(_as_int, sizes)))

    def _check(self, name: str, valid: bool, expected: str) -> None:
        check_value(valid, name, getattr(self, name), expected)

    @property
    def encoder_spec(self) -> EncoderSpec:
        """Registry entry of this network's encoder."""
        return ENCODERS[self.encoder]

    @property
    def widths(self) -> dict[int, int]:
        """Channels of the decoder stages, deepest first."""
        return dict(zip(STAGES, reversed(self.encoder_spec.widths), strict=True))

    def inner_widths(self, width: int) -> tuple[int, int]:
        """Return the channels of an MSCB's branches, and of the joined branches."""
        inner = width * self.expansion_factor
        joined = inner * len(self.kernel_sizes) if self.aggregation == "concat" else inner
        return inner, joined


def squeezed_width(width: int) -> int:
    """Return the inner channels of a channel attention block (CAB) of this width."""
    return width if width < 16 else width // 16


def _as_int(value: Any) -> Any:
    """Return an integer of any type as Python's, and anything else unchanged."""
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_odd(value: int) -> bool:
    return _is_int(value) and 0 < value <= LARGEST_KERNEL and value % 2 == 1
