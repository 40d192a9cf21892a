"""A checkpoint as a program of `torch.export`, in memory and as a file."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING

from napari_emcad.io.exports.description import describe_export, write_export

if TYPE_CHECKING:
    from pathlib import Path

    from torch.export import ExportedProgram

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

DESCRIPTION_FILE = "napari_emcad.json"
"""Name of the description among the extra files of a program."""


def exported_program(checkpoint: Checkpoint) -> ExportedProgram:
    """Return the network of a checkpoint as a program.

    Raises
    ------
    UnsupportedZoomError
        If the zoom of the checkpoint cannot be exported.
    """
    from napari_emcad.model.export import ExportableNetwork, export_network

    module = ExportableNetwork(checkpoint.network(), checkpoint.head, checkpoint.preprocessing.zoom)
    return export_network(module, checkpoint.config.input_channels)


def write_program(checkpoint: Checkpoint, path: Path) -> None:
    """Write the network of a checkpoint as a program, with its description as an extra file."""
    import torch

    description = json.dumps(describe_export(checkpoint), ensure_ascii=False)
    content = BytesIO()
    torch.export.save(
        exported_program(checkpoint), content, extra_files={DESCRIPTION_FILE: description}
    )
    write_export(path, content.getvalue())
