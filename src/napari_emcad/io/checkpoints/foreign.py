"""Recognizing tensors that do not belong to a PVT-EMCAD network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.checkpoints.sniff import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

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
"""Pattern of a tensor name, and the description of a network that has such a tensor."""


def is_pvt_encoder(names: Collection[str]) -> bool:
    """Return whether these are the tensors of a bare PVTv2, with its original names or timm's."""
    original = {"patch_embed1.proj.weight", "block1.0.attn.q.weight"}
    timm = {"patch_embed.proj.weight", "stages.0.blocks.0.attn.q.weight"}
    return original <= set(names) or timm <= set(names)


def describe_foreign(names: Collection[str]) -> str:
    """Return what the tensors are and what to do, as the end of a sentence about a file."""
    for pattern, description in _KINDS:
        if any(re.search(pattern, name) for name in names):
            return description
    first = ", ".join(list(names)[:3])
    return (
        f"its {len(names)} tensors belong to an unknown network (the first are {first}); "
        f"a PVT-EMCAD checkpoint was expected"
    )


def check_weights(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse tensors that cannot be weights.

    Raises
    ------
    CheckpointError
        If a tensor has another type than a number, values that are not finite or too large for
        float32, or variances below 0.
    """
    for name, tensor in tensors.items():
        is_counter = name.endswith("num_batches_tracked")
        if tensor.dtype.kind not in ("fiu" if is_counter else "f"):
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
                f"its tensor {name} has values that float32 cannot hold; ask its author for "
                f"another copy"
            )
        if name.endswith("running_var") and tensor.min(initial=0) < 0:
            raise CheckpointError(
                f"its tensor {name} has variances below 0; ask its author for another copy"
            )
