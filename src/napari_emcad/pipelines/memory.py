"""Checks results against the size of this computer's memory before they are computed."""

from __future__ import annotations

import os


def check_fits_memory(needed: int) -> None:
    """Check that a result fits into this computer's memory.

    Parameters
    ----------
    needed
        Size of the result in bytes.

    Raises
    ------
    ValueError
        If it does not fit; the message says how much is needed.
    """
    available = _physical_memory()
    if available and needed > available:
        raise ValueError(
            f"The result would need {_gib(needed)}, this computer has {_gib(available)}; use a "
            f"coarser resolution or a part of the image."
        )


def _physical_memory() -> int | None:
    """Return the size of this computer's memory in bytes; None if the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _gib(size: int) -> str:
    return f"{size / 2**30:,.0f} GiB"
