"""Every example runs without changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow("examples", "src")

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
WINDOWED = {"open_in_napari.py"}


@pytest.mark.parametrize(
    "path", [e for e in EXAMPLES if e.name not in WINDOWED], ids=lambda p: p.stem
)
def test_example_runs(path, tmp_path):
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()
