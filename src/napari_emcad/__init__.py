"""Segment images with PVT-EMCAD networks, teach them with a few strokes, see inside them.

Public names are imported on first use, so that importing the package loads neither torch, napari
nor Qt.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emcad.cluster.segment_files import SegmentedFiles, segment_files
    from napari_emcad.imaging.axes import AxesError
    from napari_emcad.imaging.exposure import IntensityRangeWarning
    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.link_objects import link_objects
    from napari_emcad.imaging.regions import CleanUp
    from napari_emcad.imaging.scope import Scope
    from napari_emcad.inference.events import (
        InferenceSettings,
        Notice,
        Progress,
        Region,
        Summary,
    )
    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
    from napari_emcad.interactive.fine_tune import fine_tune
    from napari_emcad.interactive.instant import fit_instant
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.classes import ClassLabel
    from napari_emcad.io.checkpoints.create_model import create_model
    from napari_emcad.io.checkpoints.files import (
        bundled_checkpoint,
        read_checkpoint,
        write_checkpoint,
    )
    from napari_emcad.io.checkpoints.initialize import initialize_checkpoint
    from napari_emcad.io.checkpoints.instant_model import (
        InstantModel,
        read_instant,
        write_instant,
    )
    from napari_emcad.io.checkpoints.sniff import CheckpointError
    from napari_emcad.model.config import ModelConfig
    from napari_emcad.model.intermediates import StageOutput
    from napari_emcad.model.network import PvtEmcad
    from napari_emcad.pipelines.arrays import evaluate, train
    from napari_emcad.pipelines.compare_labels import LabelComparison, compare_labels
    from napari_emcad.pipelines.export import export_bioimageio, export_onnx, export_program
    from napari_emcad.pipelines.measure import measure
    from napari_emcad.pipelines.object_table import ObjectTable
    from napari_emcad.pipelines.scores import ImageScore
    from napari_emcad.pipelines.segment import Segmentation, segment
    from napari_emcad.pipelines.stage_maps import StageMaps, stage_maps
    from napari_emcad.pipelines.train import TrainResult

_HOMES = {
    "AxesError": "imaging.axes",
    "Checkpoint": "io.checkpoints.checkpoint",
    "CheckpointError": "io.checkpoints.sniff",
    "ClassLabel": "io.checkpoints.classes",
    "CleanUp": "imaging.regions",
    "ImageScore": "pipelines.scores",
    "InferenceSettings": "inference.events",
    "InstantModel": "io.checkpoints.instant_model",
    "IntensityRangeWarning": "imaging.exposure",
    "LabelComparison": "pipelines.compare_labels",
    "MapKey": "inference.stage_maps.keys",
    "ModelConfig": "model.config",
    "Notice": "inference.events",
    "ObjectTable": "pipelines.object_table",
    "Preprocessing": "imaging.intensity",
    "Progress": "inference.events",
    "PvtEmcad": "model.network",
    "Region": "inference.events",
    "Scope": "imaging.scope",
    "Segmentation": "pipelines.segment",
    "SegmentedFiles": "cluster.segment_files",
    "StageMap": "inference.stage_maps.keys",
    "StageMaps": "pipelines.stage_maps",
    "StageOutput": "model.intermediates",
    "Summary": "inference.events",
    "TrainResult": "pipelines.train",
    "bundled_checkpoint": "io.checkpoints.files",
    "compare_labels": "pipelines.compare_labels",
    "create_model": "io.checkpoints.create_model",
    "evaluate": "pipelines.arrays",
    "export_bioimageio": "pipelines.export",
    "export_onnx": "pipelines.export",
    "export_program": "pipelines.export",
    "fine_tune": "interactive.fine_tune",
    "fit_instant": "interactive.instant",
    "initialize_checkpoint": "io.checkpoints.initialize",
    "link_objects": "imaging.link_objects",
    "measure": "pipelines.measure",
    "read_checkpoint": "io.checkpoints.files",
    "read_instant": "io.checkpoints.instant_model",
    "segment": "pipelines.segment",
    "segment_files": "cluster.segment_files",
    "stage_maps": "pipelines.stage_maps",
    "train": "pipelines.arrays",
    "write_checkpoint": "io.checkpoints.files",
    "write_instant": "io.checkpoints.instant_model",
}

__all__ = [
    "AxesError",
    "Checkpoint",
    "CheckpointError",
    "ClassLabel",
    "CleanUp",
    "ImageScore",
    "InferenceSettings",
    "InstantModel",
    "IntensityRangeWarning",
    "LabelComparison",
    "MapKey",
    "ModelConfig",
    "Notice",
    "ObjectTable",
    "Preprocessing",
    "Progress",
    "PvtEmcad",
    "Region",
    "Scope",
    "Segmentation",
    "SegmentedFiles",
    "StageMap",
    "StageMaps",
    "StageOutput",
    "Summary",
    "TrainResult",
    "bundled_checkpoint",
    "compare_labels",
    "create_model",
    "evaluate",
    "export_bioimageio",
    "export_onnx",
    "export_program",
    "fine_tune",
    "fit_instant",
    "initialize_checkpoint",
    "link_objects",
    "measure",
    "read_checkpoint",
    "read_instant",
    "segment",
    "segment_files",
    "stage_maps",
    "train",
    "write_checkpoint",
    "write_instant",
]
__version__ = version("napari-emcad")


_DEPRECATED = {
    "Inspection": "StageMaps",
    "inspect": "stage_maps",
    "start_checkpoint": "initialize_checkpoint",
}
"""Names of release 0.1 and their successors; they go in release 0.3."""


def __getattr__(name: str) -> Any:
    if name in _DEPRECATED:
        successor = _DEPRECATED[name]
        message = f"napari_emcad.{name} is deprecated, use napari_emcad.{successor}."
        warnings.warn(message, FutureWarning, stacklevel=2)
        return getattr(import_module(__name__), successor)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
