"""Segment images with PVT-EMCAD networks, teach them with a few strokes, see inside them.

Importing this package loads neither torch nor napari nor Qt; its names arrive when first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.regions import CleanUp
    from napari_emcad.imaging.slices import AxesError, Scope
    from napari_emcad.inference.events import (
        InferenceSettings,
        Notice,
        Progress,
        Region,
        Summary,
    )
    from napari_emcad.inference.maps import MapKey, StageMap
    from napari_emcad.inspection import Inspection, inspect
    from napari_emcad.io.checkpoint import Checkpoint, ClassLabel
    from napari_emcad.io.checkpoint_file import (
        bundled_checkpoint,
        read_checkpoint,
        write_checkpoint,
    )
    from napari_emcad.io.recognise import CheckpointError
    from napari_emcad.io.start import start_checkpoint
    from napari_emcad.jobs import Segmentation, segment
    from napari_emcad.model.config import ModelConfig
    from napari_emcad.model.network import PvtEmcad, StageOutput

_HOMES = {
    "AxesError": "imaging.slices",
    "Checkpoint": "io.checkpoint",
    "CheckpointError": "io.recognise",
    "ClassLabel": "io.checkpoint",
    "CleanUp": "imaging.regions",
    "InferenceSettings": "inference.events",
    "Inspection": "inspection",
    "MapKey": "inference.maps",
    "ModelConfig": "model.config",
    "Notice": "inference.events",
    "Preprocessing": "imaging.intensity",
    "Progress": "inference.events",
    "PvtEmcad": "model.network",
    "Region": "inference.events",
    "Scope": "imaging.slices",
    "Segmentation": "jobs",
    "StageMap": "inference.maps",
    "StageOutput": "model.network",
    "Summary": "inference.events",
    "bundled_checkpoint": "io.checkpoint_file",
    "inspect": "inspection",
    "read_checkpoint": "io.checkpoint_file",
    "segment": "jobs",
    "start_checkpoint": "io.start",
    "write_checkpoint": "io.checkpoint_file",
}

__all__ = [
    "AxesError",
    "Checkpoint",
    "CheckpointError",
    "ClassLabel",
    "CleanUp",
    "InferenceSettings",
    "Inspection",
    "MapKey",
    "ModelConfig",
    "Notice",
    "Preprocessing",
    "Progress",
    "PvtEmcad",
    "Region",
    "Scope",
    "Segmentation",
    "StageMap",
    "StageOutput",
    "Summary",
    "bundled_checkpoint",
    "inspect",
    "read_checkpoint",
    "segment",
    "start_checkpoint",
    "write_checkpoint",
]
__version__ = version("napari-emcad")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
