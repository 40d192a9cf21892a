"""Numbers of examples of costly property tests: a third of them in the fast tests."""

from __future__ import annotations

import os

ALL = os.environ.get("HYPOTHESIS_PROFILE", "fixed") != "fixed"


def examples(count: int) -> int:
    """Return `count` with the profiles ``full`` and ``fuzz``, and a third of it otherwise."""
    return count if ALL else count // 3
