"""The segmentation that the Segment tab shows, as code on the clipboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication

from napari_emcad.io.checkpoints.checkpoint import Checkpoint
from napari_emcad.io.checkpoints.files import is_bundled
from napari_emcad.pipelines.as_code import SegmentCall, command_line, python_code

if TYPE_CHECKING:
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.runner.context import Context

_IMAGE, _MODEL = "image.tif", "model.safetensors"
"""Names that stand for files that do not exist yet."""


def copy_code(context: Context, model: SegmentationModel | None, language: str) -> None:
    """Copy what the Segment tab shows as ``"command"`` or ``"python"``, and show what is missing.

    Parameters
    ----------
    context
        Shared state of the panel.
    model
        The chosen model.
    language
        Which of the two.
    """
    layer = context.image_input.layer
    if model is None or layer is None or context.image_input.problem:
        problem = context.image_input.problem or "Open a model first."
        context.show_message(problem, error=True)
        return
    call = segment_call(context, model)
    text = command_line(call) if language == "command" else python_code(call)
    QApplication.clipboard().setText(text)
    missing = [_IMAGE] * (call.image == _IMAGE) + [_MODEL] * (call.model == _MODEL)
    message = "Copied; it segments the whole image."
    if missing:
        message += f" Save what it calls {' and '.join(missing)} first."
    context.show_message(message)


def segment_call(context: Context, model: SegmentationModel) -> SegmentCall:
    """Return what the Segment tab shows; names stand for an image and a model without files.

    Raises
    ------
    ValueError
        If the image cannot be read with the present options.
    """
    options, layer = context.image_input.options, context.image_input.layer
    path = layer.source.path if layer is not None else None
    return SegmentCall(
        str(path or _IMAGE),
        _model_file(model),
        context.session.overrides if isinstance(model, Checkpoint) else {},
        options.axes,
        options.channels,
        options.level,
        options.settings,
    )


def has_file(model: SegmentationModel) -> bool:
    """Return whether a model comes with the package or from a file."""
    return _model_file(model) != _MODEL


def _model_file(model: SegmentationModel) -> str:
    """Return the path of a model; "" for the bundled one."""
    if isinstance(model, Checkpoint) and is_bundled(model):
        return ""
    return str(model.origin.path or _MODEL)
