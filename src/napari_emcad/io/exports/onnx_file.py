"""A checkpoint as an ONNX model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.io.exports.description import (
    INPUT,
    OUTPUT,
    as_text,
    describe_export,
    write_export,
)
from napari_emcad.io.exports.program_file import exported_program
from napari_emcad.io.images.optional_libraries import optional_library

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

OPSET = 18
"""Version of ONNX's operators: the first with anti-aliased resizing, which a zoom needs."""

_AXES = {
    INPUT: {0: "batch", 2: "height", 3: "width"},
    OUTPUT: {0: "batch", 2: "height", 3: "width"},
}
"""Names of the sizes that vary."""


def write_onnx(checkpoint: Checkpoint, path: Path) -> None:
    """Write the network of a checkpoint as an ONNX model, with its description as metadata."""
    write_export(path, onnx_bytes(checkpoint, path))


def onnx_bytes(checkpoint: Checkpoint, path: Path) -> bytes:
    """Return the content of an ONNX file.

    Parameters
    ----------
    checkpoint
        Checkpoint to export.
    path
        File that it is for, for messages.

    Raises
    ------
    UnsupportedZoomError
        If the zoom of the checkpoint cannot be exported.
    ImageFileError
        If a library is missing; the message names the command that installs it.
    """
    for library in ("onnx", "onnxscript"):
        optional_library(library, path, "export")
    import torch

    description = as_text(describe_export(checkpoint))
    exported = torch.onnx.export(
        exported_program(checkpoint),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        verbose=False,
    )
    assert exported is not None  # it is only where a file name is given
    model = exported.model_proto
    _name_sizes(model)
    _remove_traces(model)
    for key, value in description.items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content


def _name_sizes(model: Any) -> None:
    """Give readable names to the sizes that vary, instead of symbols such as 32*s87."""
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in _AXES[value.name].items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    del model.graph.value_info[:]  # sizes of intermediate results in terms of those symbols


def _remove_traces(model: Any) -> None:
    """Remove the exporter's notes, which contain paths of this computer."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")
