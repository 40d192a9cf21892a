"""Whether a processor is fast in half precision."""

from __future__ import annotations

import os

import torch

CPU_BFLOAT16 = "NAPARI_EMCAD_CPU_BFLOAT16"
"""Environment variable: ``0`` keeps a CPU in float32, ``1`` lets any compute in bfloat16.

Computers of several kinds give the same labels with ``0``.
"""


def bfloat16_if_fast(device: torch.device) -> torch.dtype | None:
    """Return bfloat16 where the processor has instructions for it, else None."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    if device.type != "cpu":
        return None
    switch = os.environ.get(CPU_BFLOAT16, "")
    fast = switch == "1" if switch in ("0", "1") else has_bfloat16_instructions()
    return torch.bfloat16 if fast else None


def has_bfloat16_instructions() -> bool:
    """Return whether the CPU has instructions for bfloat16."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch has no public way
    return any(getattr(torch.cpu, name, bool)() for name in checks)
