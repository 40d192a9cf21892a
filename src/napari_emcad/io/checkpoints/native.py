"""The native file format: safetensors, with everything else as JSON in its metadata."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.checkpoints import published
from napari_emcad.io.checkpoints.checkpoint import Checkpoint
from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.checkpoints.foreign import check_weights, is_pvt_encoder
from napari_emcad.io.checkpoints.sniff import CheckpointError, EncoderOnlyError
from napari_emcad.model.config import ModelConfig
from napari_emcad.model.tensor_shapes import tensor_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT_VERSION = 1
"""Version of the native format; files of newer versions are refused."""


def native_bytes(checkpoint: Checkpoint, tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the content of a native file with these tensors and the checkpoint's metadata."""
    ordered = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    content: bytes = save(ordered, _metadata(checkpoint))
    return content


def read_native(path: Path) -> Checkpoint:
    """Return the checkpoint in a native file, without its origin.

    Raises
    ------
    CheckpointError
        If the file is damaged, of a newer version, or not in the native format.
    """
    checkpoint = _read(path, with_tensors=True)
    _check_tensors(checkpoint)
    return checkpoint


def read_native_description(path: Path) -> Checkpoint:
    """Return the checkpoint in a native file without its tensors, which takes almost no time.

    Raises
    ------
    CheckpointError
        As for `read_native`.
    OSError
        If the file cannot be read.
    """
    return _read(path, with_tensors=False)


def _read(path: Path, with_tensors: bool) -> Checkpoint:
    try:
        with safe_open(path, "numpy") as file:
            if is_pvt_encoder(file.keys()):
                raise EncoderOnlyError
            metadata = file.metadata() or {}
            _check_format(metadata)
            names = file.keys() if with_tensors else ()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, TypeError, AttributeError):
        raise CheckpointError("it is damaged; copy or download it again") from None
    try:
        return _from_metadata(metadata, tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"its description is damaged ({error}); copy it again") from None


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    content = {
        "config": asdict(checkpoint.config),
        "preprocessing": asdict(checkpoint.preprocessing),
        "classes": [label.to_dict() for label in checkpoint.classes],
        "head": checkpoint.head,
        "title": checkpoint.title,
        "description": checkpoint.description,
        "history": checkpoint.history,
        "parent": checkpoint.parent,
        "assumed": checkpoint.assumed,
        "notes": checkpoint.notes,
    }
    version = {"format": "napari-emcad", "format_version": str(FORMAT_VERSION)}
    return version | {key: json.dumps(value) for key, value in content.items()}


def _check_format(metadata: Mapping[str, str]) -> None:
    if metadata.get("format") == "napari-emcad-instant":
        raise CheckpointError(
            "it is an instant model, fitted to strokes; `napari-emcad segment`, the Open button of "
            "the window, and read_instant in Python take it"
        )
    if metadata.get("format") != "napari-emcad":
        raise CheckpointError(
            "it is a safetensors file without napari-emcad's description of the network; export "
            "the state dict as .pth, which can be opened and saved in this plugin's format"
        )
    version = metadata.get("format_version", "")
    readable = {str(number) for number in range(1, FORMAT_VERSION + 1)}
    if version not in readable:
        raise CheckpointError(
            f"it has format version {version[:12] or 'unknown'}, this is napari-emcad for version "
            f"{FORMAT_VERSION}; update napari-emcad"
        )


def _from_metadata(metadata: Mapping[str, str], tensors: Mapping[str, NDArray[Any]]) -> Checkpoint:
    content = {
        key: json.loads(value) for key, value in metadata.items() if not key.startswith("format")
    }
    return Checkpoint(
        config=ModelConfig(**content["config"]),
        tensors=tensors,
        preprocessing=Preprocessing.from_dict(content["preprocessing"]),
        classes=tuple(map(ClassLabel.from_dict, content["classes"])),
        head=content["head"],
        title=content["title"],
        description=content["description"],
        history=tuple(content["history"]),
        parent=content["parent"],
        assumed=tuple(content["assumed"]),
        notes=tuple(content["notes"]),
    )


def _check_tensors(checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless the tensors are exactly those of the architecture."""
    native = set(tensor_shapes(checkpoint.config))
    shapes = {
        published.published_name(name) if name in native else name: tuple(tensor.shape)
        for name, tensor in checkpoint.tensors.items()
    }
    published.check_shapes(shapes, checkpoint.config)
    check_weights(checkpoint.tensors)


def content_sha256(path: Path) -> str:
    """Return a SHA-256 of the content of a ``.safetensors`` file.

    Unlike that of the file, it does not depend on the order of the metadata, which safetensors
    writes in a random one.
    """
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
