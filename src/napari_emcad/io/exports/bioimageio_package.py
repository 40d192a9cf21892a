"""A checkpoint as a model package of bioimage.io."""

from __future__ import annotations

import re
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import yaml

from napari_emcad.io.exports.description import (
    INPUT,
    preprocessing_steps,
    write_export,
)
from napari_emcad.io.exports.example import example_image, expected_probabilities
from napari_emcad.io.exports.onnx_file import OPSET, onnx_bytes
from napari_emcad.io.exports.processing import (
    check_expressible,
    postprocessing_operations,
    preprocessing_operations,
)
from napari_emcad.model.export import side_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

OUTPUT = "probabilities"

_CITATION = {
    "text": "Rahman, Munir and Marculescu: EMCAD: Efficient Multi-scale Convolutional Attention "
    "Decoding for Medical Image Segmentation, CVPR 2024",
    "url": "https://arxiv.org/abs/2405.06880",
}
_LONGEST_NAME, _LONGEST_DESCRIPTION = 64, 512


def write_package(
    checkpoint: Checkpoint, path: Path, authors: Sequence[str], license: str | None
) -> None:
    """Write a checkpoint as a model package; see `napari_emcad.export_bioimageio`."""
    check_expressible(checkpoint.preprocessing)
    step = side_step(checkpoint.preprocessing.zoom)
    weights = onnx_bytes(checkpoint, path)
    image = example_image(checkpoint, step)
    files = {
        "weights.onnx": weights,
        "input.npy": _npy_bytes(image),
        "output.npy": _npy_bytes(expected_probabilities(checkpoint, image)),
        "README.md": _readme(checkpoint).encode(),
    }
    content = _content(checkpoint, step, authors, license)
    write_export(path, _zipped(_with_sha256(content, files), files))


def _zipped(content: dict[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Return the zip file of a description and the files that it names."""
    package = BytesIO()
    with ZipFile(package, "w", ZIP_DEFLATED) as file:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        file.writestr("bioimageio.yaml", text)
        for name, data in files.items():
            file.writestr(name, data)
    return package.getvalue()


def _with_sha256(value: Any, files: Mapping[str, bytes]) -> Any:
    """Return a description in which the checksum of a file follows its name."""
    if isinstance(value, list):
        return [_with_sha256(item, files) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _with_sha256(item, files) for key, item in value.items()}
    if "source" in value:
        result["sha256"] = sha256(files[value["source"]]).hexdigest()
    return result


def _npy_bytes(array: NDArray[Any]) -> bytes:
    content = BytesIO()
    np.save(content, array)
    return content.getvalue()


def _content(
    checkpoint: Checkpoint, step: int, authors: Sequence[str], license: str | None
) -> dict[str, Any]:
    """Return the content of rdf.yaml."""
    return {
        "type": "model",
        "format_version": "0.5.3",
        "name": _name(checkpoint.title),
        "description": checkpoint.description[:_LONGEST_DESCRIPTION],
        "authors": [{"name": author} for author in authors],
        **({"license": license} if license else {}),
        "cite": [_CITATION],
        "documentation": {"source": "README.md"},
        "tags": ["2d", "semantic-segmentation", "pytorch", "napari-emcad"],
        "inputs": [_input(checkpoint, step)],
        "outputs": [_output(checkpoint)],
        "weights": {"onnx": {"source": "weights.onnx", "opset_version": OPSET}},
    }


def _input(checkpoint: Checkpoint, step: int) -> dict[str, Any]:
    channels = ["red", "green", "blue"] if checkpoint.config.input_channels == 3 else ["intensity"]
    size = {"min": 2 * step, "step": step}
    return {
        "id": INPUT,
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": channels},
            *({"type": "space", "id": axis, "size": size} for axis in "yx"),
        ],
        "test_tensor": {"source": "input.npy"},
        "data": {"type": "float32"},
        "preprocessing": preprocessing_operations(checkpoint),
    }


def _output(checkpoint: Checkpoint) -> dict[str, Any]:
    names = [label.name for label in checkpoint.classes]
    background = [] if checkpoint.config.num_classes == 1 else ["background"]
    sizes = {axis: {"tensor_id": INPUT, "axis_id": axis} for axis in "yx"}
    return {
        "id": OUTPUT,
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": [*background, *names]},
            *({"type": "space", "id": axis, "size": size} for axis, size in sizes.items()),
        ],
        "test_tensor": {"source": "output.npy"},
        "data": {"type": "float32"},
        "postprocessing": postprocessing_operations(checkpoint),
    }


def _name(title: str) -> str:
    """Return a title with the characters and the length that bioimage.io allows."""
    name = re.sub(r"[^A-Za-z0-9_+\- ()]", "", title).strip()[:_LONGEST_NAME]
    return name if len(name) >= 5 else f"PVT-EMCAD {name}".strip()


def _readme(checkpoint: Checkpoint) -> str:
    steps = "\n".join(f"1. {step}" for step in preprocessing_steps(checkpoint))
    classes = "\n".join(
        f"- {number}: {label.name}" for number, label in enumerate(checkpoint.classes, start=1)
    )
    return f"""# {checkpoint.title or "PVT-EMCAD network"}

{checkpoint.description}

Written by napari-emcad. Pixels go in, probabilities of the classes come out.

## Classes

{classes}

## How images are prepared

The package does all but the last step.

{steps}

## Validation

Compare the probabilities with labels of images of your own, for example with
`napari-emcad evaluate`.
"""
