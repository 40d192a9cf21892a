"""What every test needs: a private configuration, and torch's companions before any canvas."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_HOME = tempfile.mkdtemp(prefix="napari-emcad-tests-")
os.environ["NAPARI_CONFIG"] = str(Path(_HOME) / "settings.yaml")
os.environ["XDG_CONFIG_HOME"] = _HOME
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small images lose more to threads than they gain

from napari_emcad.model import torch_stack  # noqa: E402, F401  (before the first GL canvas)
