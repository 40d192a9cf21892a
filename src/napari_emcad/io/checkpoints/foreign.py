"""What a set of tensors is, when it is not a PVT-EMCAD network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.checkpoints.sniff import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray


def is_pvt_encoder(names: Collection[str]) -> bool:
    """Whether these are the tensors of a bare PVTv2, in its original or timm's names."""
    original = {"patch_embed1.proj.weight", "block1.0.attn.q.weight"}
    timm = {"patch_embed.proj.weight", "stages.0.blocks.0.attn.q.weight"}
    return any(each <= set(names) for each in (original, timm))


def describe_foreign(names: Collection[str]) -> str:
    """Return what the tensors are and what to do, as the rest of a sentence about a file."""
    for found, description in _KINDS:
        if any(re.search(found, name) for name in names):
            return description
    first = ", ".join(list(names)[:3])
    return (
        f"its {len(names)} tensors are of a network unknown here (the first are {first}); "
        f"a PVT-EMCAD checkpoint was expected"
    )


_KINDS = [
    (
        r"(?i)\bkan|kan_|\.spline_",
        "it is a KAN variant of EMCAD; this plugin runs the published EMCAD decoder only",
    ),
    (
        r"^backbone\.(layer\d|conv1)\.",
        "it has a ResNet encoder; this plugin runs EMCAD on PVTv2 encoders (b0 to b5) only",
    ),
    (
        r"^(layer[1-4]\.\d+\.conv1|fc)\.",
        "it is a ResNet, not a PVT-EMCAD network; choose a PVT-EMCAD checkpoint",
    ),
    (
        r"^backbone\.(block1|patch_embed1)\.",
        "it has a PVTv2 encoder but not the EMCAD decoder with its four heads; choose a "
        "PVT-EMCAD checkpoint",
    ),
    (
        r"^decoder\.(mscb|lgag|eucb|cab)\d",
        "it has an EMCAD decoder but not a complete PVTv2 encoder with it; choose a whole "
        "PVT-EMCAD checkpoint",
    ),
]


def check_numbers(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse tensors that are no weights.

    Raises
    ------
    CheckpointError
        If one holds other things than numbers, NaN or infinities, numbers that float32 cannot hold,
        or a variance below 0.
    """
    for name, tensor in tensors.items():
        counts = name.endswith("num_batches_tracked")
        if tensor.dtype.kind not in ("fiu" if counts else "f"):
            raise CheckpointError(
                f"its tensor {name} holds {tensor.dtype}, not weights; save it as float32"
            )
        if not np.isfinite(tensor).all():
            raise CheckpointError(
                f"its tensor {name} has values that are not finite (NaN or infinity): training "
                f"diverged before it was saved; use an earlier one"
            )
        with np.errstate(over="ignore"):
            fits = np.isfinite(tensor.astype(np.float32, copy=False)).all()
        if not fits:
            raise CheckpointError(
                f"its tensor {name} has values that float32 cannot hold; ask whoever made it for "
                f"another copy"
            )
        if name.endswith("running_var") and tensor.min(initial=0) < 0:
            raise CheckpointError(
                f"its tensor {name} has variances below 0; ask whoever made it for another copy"
            )
