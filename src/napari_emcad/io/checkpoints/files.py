"""Reading and writing checkpoint files, in the published and the native format."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.checkpoints import published
from napari_emcad.io.checkpoints.checkpoint import Checkpoint, Origin
from napari_emcad.io.checkpoints.classes import class_labels, default_classes
from napari_emcad.io.checkpoints.foreign import check_weights, is_pvt_encoder
from napari_emcad.io.checkpoints.known import KNOWN, default_preprocessing, fingerprint
from napari_emcad.io.checkpoints.native import native_bytes, read_native, read_native_description
from napari_emcad.io.checkpoints.pickles import read_pickled_tensors
from napari_emcad.io.checkpoints.sniff import (
    CheckpointError,
    EncoderOnlyError,
    expand_path,
    file_sha256,
    sniff,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.sniff import Kind

_BUNDLED = "assets/nuclei_b0.safetensors"


def read_checkpoint(path: str | PathLike[str], **overrides: Any) -> Checkpoint:
    """Read a published or native PVT-EMCAD checkpoint; no code in the file is executed.

    Parameters
    ----------
    path
        A ``.pth`` or ``.pt`` file with a published state dict, or a native ``.safetensors`` file.
        The content of the file decides, not its name.
    **overrides
        Settings that the file does not contain, see `Checkpoint.override`.

    Raises
    ------
    CheckpointError
        If the file cannot be used; the message says what it is, what was expected, what to do.
    """
    path = expand_path(path)
    try:
        kind = sniff(path)
        checkpoint = _read_native(path) if kind == "safetensors" else _read_published(path, kind)
    except CheckpointError as error:
        message = f"{path.name or path} cannot be opened as a checkpoint: {error}."
        raise type(error)(" ".join(message.split())) from None
    return checkpoint.override(**overrides) if overrides else checkpoint


def bundled_checkpoint() -> Checkpoint:
    """Return the checkpoint that comes with the package: nuclei, PVTv2-B0.

    It was trained on gray images and color pictures, so stains have a range each (its file is
    older than `Preprocessing.pool_channels`).
    """
    return _bundled(read_checkpoint)


def bundled_description() -> Checkpoint:
    """Return the bundled checkpoint without its tensors, which takes almost no time."""
    return _bundled(read_native_description)


def _bundled(read: Callable[[Path], Checkpoint]) -> Checkpoint:
    with as_file(files("napari_emcad").joinpath(*_BUNDLED.split("/"))) as path:
        checkpoint = read(path)
    preprocessing = replace(checkpoint.preprocessing, pool_channels="color")
    return replace(checkpoint, preprocessing=preprocessing)


def is_bundled(checkpoint: Checkpoint) -> bool:
    """Return whether a checkpoint is the one that comes with the package."""
    return is_bundled_file(checkpoint.origin)


def is_bundled_file(origin: Origin) -> bool:
    """Return whether a model was read from the file that comes with the package."""
    in_package = Path(origin.path).as_posix().endswith(f"napari_emcad/{_BUNDLED}")
    return in_package and origin.format == "native"


def write_checkpoint(checkpoint: Checkpoint, path: str | PathLike[str], half: bool = False) -> None:
    """Write a checkpoint atomically, in the format that the file name extension stands for.

    Parameters
    ----------
    checkpoint
        Checkpoint to write.
    path
        ``.safetensors`` for the native format with all metadata; ``.pth`` or ``.pt`` for a
        published state dict for the authors' code, which contains only tensors.
    half
        Whether to store weights as float16, half the size.

    Raises
    ------
    CheckpointError
        If the extension is another one, a weight is too large for float16, or writing fails.
    """
    path = expand_path(path)
    tensors = {name: _to_half(t) if half else t for name, t in checkpoint.tensors.items()}
    if path.suffix.lower() == ".safetensors":
        content = native_bytes(checkpoint, tensors)
    elif path.suffix.lower() in (".pth", ".pt"):
        content = _published_bytes(tensors)
    else:
        raise CheckpointError(
            f"{path.name} cannot be written: its name must end in .safetensors (this plugin's "
            f"format) or .pth (the published format)."
        )
    try:
        write_bytes(path, content)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror}); nothing was changed there."
        ) from None


def _read_native(path: Path) -> Checkpoint:
    return replace(read_native(path), origin=Origin(str(path), file_sha256(path), "native"))


def _read_published(path: Path, kind: Kind) -> Checkpoint:
    tensors, extra = published.strip_wrappers(read_pickled_tensors(path, kind))
    if is_pvt_encoder(tensors):
        raise EncoderOnlyError
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = published.infer_config(shapes)
    published.check_shapes(shapes, config)
    check_weights(tensors)
    if tensors["conv.1.num_batches_tracked"] > 0:  # only gray images pass through the gray stem
        config = replace(config, input_channels=1)
    notes = (f"Left out, as segmentation does not use them: {', '.join(extra)}.",) if extra else ()
    checkpoint = Checkpoint(
        config=config,
        tensors=published.to_native(tensors, config),
        preprocessing=default_preprocessing(config.input_channels),
        classes=default_classes(config.num_classes),
        title=path.stem,
        origin=Origin(str(path), file_sha256(path), "published"),
        assumed=("activation", "dw_parallel", "preprocessing", "head", "classes"),
        notes=notes,
    )
    return _complete_if_known(checkpoint)


def _complete_if_known(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint with the settings of a known file, which is recognized by its weights."""
    known = KNOWN.get(fingerprint(checkpoint.tensors))
    if known is None:
        return checkpoint
    return replace(
        checkpoint,
        preprocessing=known.preprocessing,
        classes=class_labels(known.class_names),
        title=known.title,
        description=known.description,
        assumed=(),
        notes=(*checkpoint.notes, "Recognized by its weights; preprocessing and classes known."),
    )


def _published_bytes(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    import torch

    state_dict = {
        name: torch.from_numpy(np.array(tensor))
        for name, tensor in published.to_published(tensors).items()
    }
    content = BytesIO()
    torch.save(state_dict, content)
    return content.getvalue()


def _to_half(tensor: NDArray[Any]) -> NDArray[Any]:
    if tensor.dtype.kind != "f":
        return tensor
    with np.errstate(over="ignore"):
        half = tensor.astype(np.float16)
    if not np.isfinite(half).all():
        raise CheckpointError("Some weights are too large for float16; write it in full precision.")
    return half
