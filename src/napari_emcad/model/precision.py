"""Whether a processor is fast in half precision."""

from __future__ import annotations

import torch


def bfloat16_if_fast(device: torch.device) -> torch.dtype | None:
    """Return bfloat16 where the processor has instructions for it, else None."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    if device.type != "cpu":
        return None
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch has no public way
    fast = any(getattr(torch.cpu, name, bool)() for name in checks)
    return torch.bfloat16 if fast else None
