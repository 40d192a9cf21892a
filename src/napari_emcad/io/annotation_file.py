"""The file of an autosaved annotation: its pixels above 0, and what is needed to show it again."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    AttributeError,
    EOFError,
    IndexError,
    MemoryError,
    OverflowError,
    TypeError,
)
"""Errors of NumPy and zipfile when they read damaged files."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedAnnotation:
    """An annotation layer.

    Attributes
    ----------
    labels
        Pixels of the layer.
    metadata
        Everything else that is needed to show the layer again, as plain values for JSON.
    copied
        Values that were copied from a prediction, 0 elsewhere: a plane by index of its slice.
    """

    labels: NDArray[Any]
    metadata: dict[str, Any]
    copied: Mapping[Index, NDArray[Any]] = field(default_factory=dict)


def annotation_bytes(annotation: SavedAnnotation) -> bytes:
    """Return the content of the file; a large layer with few strokes stays small."""
    array = np.asarray(annotation.labels)
    flat = array.reshape(-1)
    places = np.flatnonzero(flat)
    arrays: dict[str, Any] = {
        "places": places,
        "values": flat[places],
        "shape": np.array(array.shape),
        "about": np.array(json.dumps(annotation.metadata)),
    }
    if copied := annotation.copied:
        arrays["copied_indices"] = np.array(list(copied), np.int64).reshape(len(copied), -1)
        arrays["copied_planes"] = np.stack(list(copied.values()))
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def read_annotation(path: Path) -> SavedAnnotation:
    """Read the file of an annotation; no code in it is executed.

    Raises
    ------
    OSError, ValueError, KeyError
        If it cannot be read, or is no such file.
    """
    content = io.BytesIO(path.read_bytes())  # so that a damaged file is closed
    try:
        with np.load(content, allow_pickle=False) as arrays:
            return _annotation(arrays)
    except _DAMAGED as error:
        raise ValueError(f"the file is damaged ({error})") from None


def _annotation(arrays: Mapping[str, NDArray[Any]]) -> SavedAnnotation:
    shape = tuple(int(size) for size in arrays["shape"])
    labels = np.zeros(shape, arrays["values"].dtype)
    labels.reshape(-1)[arrays["places"]] = arrays["values"]
    metadata, copied = json.loads(str(arrays["about"])), {}
    if "copied_planes" in arrays:  # files of release 0.1 have none
        indices = map(tuple, arrays["copied_indices"].tolist())
        copied = dict(zip(indices, arrays["copied_planes"], strict=True))
    return SavedAnnotation(labels, metadata, copied)
