"""Export: a checkpoint as a file for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from napari_emcad.io.checkpoints.sniff import CheckpointError, expand_path
from napari_emcad.pipelines.segmentation_model import check_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from pathlib import Path

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.pipelines.segmentation_model import SegmentationModel

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "bioimageio": ".zip"}
"""File name extensions by the names of the formats on the command line."""


def export_onnx(checkpoint: SegmentationModel, path: str | PathLike[str]) -> None:
    """Write the network of a checkpoint as an ONNX model (opset 18).

    Its input ``image`` is normalized, ``(N, 1 or 3, H, W)`` float32 on any batch, height and width
    (multiples of 32 without a zoom); its output ``logits`` has the same size. The metadata of the
    model (``metadata_props``) say how images are prepared: `preprocessing`, `preprocessing_steps`,
    `input`, `output` and `classes` as JSON.

    Parameters
    ----------
    checkpoint
        Checkpoint to export; an instant model is refused.
    path
        File to write, ``.onnx``; an existing one is replaced.

    Raises
    ------
    CheckpointError
        If it has another extension, is an instant model, or the file cannot be written.
    ValueError
        If the zoom of the checkpoint cannot be exported, or a library is missing; the message names
        the command that installs it.
    """
    from napari_emcad.io.exports.onnx_file import write_onnx

    write_onnx(_checked(checkpoint), _checked_path(path, "onnx"))


def export_program(checkpoint: SegmentationModel, path: str | PathLike[str]) -> None:
    """Write the network of a checkpoint as a program of `torch.export`, for `torch.export.load`.

    Inputs, outputs and errors are those of `export_onnx`; the description is the extra file
    ``napari_emcad.json``. The program is loaded without this package and without timm.

    Parameters
    ----------
    checkpoint
        Checkpoint to export; an instant model is refused.
    path
        File to write, ``.pt2``; an existing one is replaced.
    """
    from napari_emcad.io.exports.program_file import write_program

    write_program(_checked(checkpoint), _checked_path(path, "torch"))


def export_bioimageio(
    checkpoint: SegmentationModel,
    path: str | PathLike[str],
    *,
    authors: Sequence[str] = (),
    license: str | None = None,
) -> None:
    """Write a checkpoint as a model package of bioimage.io, which passes its own test.

    Pixels go in as they are and probabilities come out: the package contains the ONNX model, the
    preprocessing in bioimage.io's terms, a test image and its result.

    Parameters
    ----------
    checkpoint
        Checkpoint to export; an instant model is refused.
    path
        File to write, ``.zip``; an existing one is replaced.
    authors
        Names of those who made the model; bioimage.io asks for them when a model is published.
    license
        SPDX identifier of the license of the weights, such as ``"CC-BY-4.0"``; it is written
        without a check, and bioimage.io refuses unknown ones.

    Raises
    ------
    CheckpointError
        If it has another extension, is an instant model, the file cannot be written, or bioimage.io
        cannot express the preprocessing (percentiles of a whole stack, a fixed size).
    ValueError
        If the zoom of the checkpoint cannot be exported, or a library is missing.
    """
    from napari_emcad.io.exports.bioimageio_package import write_package

    write_package(_checked(checkpoint), _checked_path(path, "bioimageio"), authors, license)


def _checked(checkpoint: SegmentationModel) -> Checkpoint:
    """Return a checkpoint; an instant model is refused, as its parts run outside of torch."""
    from napari_emcad.io.checkpoints.instant_model import InstantModel

    if isinstance(checkpoint, InstantModel):
        raise CheckpointError(
            "An instant model cannot be exported: it is several classifiers on the features of an "
            "encoder in several sizes. Train the network with the same strokes (fine_tune) and "
            "export that."
        )
    check_checkpoint(checkpoint)
    return cast("Checkpoint", checkpoint)


def _checked_path(path: str | PathLike[str], format: str) -> Path:
    expanded = expand_path(path)
    suffix = SUFFIXES[format]
    if expanded.suffix.lower() != suffix:
        raise CheckpointError(
            f"{expanded.name} cannot be written: the name of this file must end in {suffix}."
        )
    return expanded
