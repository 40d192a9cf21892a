"""Registers the tiny encoder in a worker process; dask imports this file there."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny_encoder import TINY

from napari_emcad.model.encoders import ENCODERS

ENCODERS[TINY.name] = TINY
