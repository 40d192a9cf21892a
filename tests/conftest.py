"""Configuration of all tests: private settings, and Triton loaded before any OpenGL canvas."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

_HOME = tempfile.mkdtemp(prefix="napari-emcad-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["NAPARI_CONFIG"] = str(Path(_HOME) / "settings.yaml")
os.environ["XDG_CONFIG_HOME"] = _HOME
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads slow small images down

from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fuzz", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

from napari_emcad.model import triton_preload  # noqa: E402, F401  (before the first GL canvas)


@pytest.fixture(scope="session")
def two_classes(tmp_path_factory):
    """Return a native file of an untrained network with two classes and the background."""
    from napari_emcad import initialize_checkpoint, write_checkpoint

    path = tmp_path_factory.mktemp("network") / "two.safetensors"
    started = initialize_checkpoint(num_classes=3, seed=3)
    write_checkpoint(started.override(classes=("nucleus", "debris"), size=None), path, half=True)
    return path
