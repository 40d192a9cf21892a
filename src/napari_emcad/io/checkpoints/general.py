"""The network that comes with the package to start trainings on other images from."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from napari_emcad.io.checkpoints.classes import default_classes
from napari_emcad.io.checkpoints.files import read_checkpoint

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_FILE = "start_b0.safetensors"


def general_checkpoint(input_channels: int = 3) -> Checkpoint:
    """Return a PVT-EMCAD-B0 whose encoder knows photographs and whose decoder is trained.

    It began with the general encoder (`bundled_encoder_file`) and learned nuclei. On images of
    other kinds it learns more from a few strokes than the bundled checkpoint, whose encoder knows
    nuclei alone, and than a decoder with random weights; docs/benchmarks.md has the figures. Its
    class has no particular name.

    Parameters
    ----------
    input_channels
        3, or 1 for images that are always gray; the gray stem then has random weights.
    """
    with as_file(files("napari_emcad").joinpath("assets", _FILE)) as path:
        checkpoint = replace(read_checkpoint(path), classes=default_classes(1))
    if input_channels == checkpoint.config.input_channels:
        return checkpoint
    mean, std = (
        (sum(values) / len(values),)
        for values in (checkpoint.preprocessing.mean, checkpoint.preprocessing.std)
    )
    return replace(
        checkpoint,
        config=replace(checkpoint.config, input_channels=input_channels),
        preprocessing=replace(checkpoint.preprocessing, mean=mean, std=std),
    )
