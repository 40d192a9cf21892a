"""The file of an autosaved annotation: its pixels above 0, and what is needed to show it again."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index

_T = TypeVar("_T")

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
    thumbnail
        Small picture of an annotated slice, ``(H, W, 3)`` uint8; None if there is none.
    """

    labels: NDArray[Any]
    metadata: dict[str, Any]
    copied: Mapping[Index, NDArray[Any]] = field(default_factory=dict)
    thumbnail: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationSummary:
    """What a list shows of the file of an annotation.

    Attributes
    ----------
    image, path
        Name of the annotated image, and path of its file; "" if it has none.
    pixels, strokes
        Number of annotated pixels and of strokes; 0 strokes if it is not known.
    thumbnail
        See `SavedAnnotation`.
    """

    image: str
    path: str
    pixels: int
    strokes: int
    thumbnail: NDArray[np.uint8] | None


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
    if annotation.thumbnail is not None:
        arrays["thumbnail"] = annotation.thumbnail
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
    return _read(path, _annotation)


def read_annotation_summary(path: Path) -> AnnotationSummary:
    """Read what a list shows of the file of an annotation, without making its layer.

    Raises
    ------
    OSError, ValueError, KeyError
        If it cannot be read, or is no such file.
    """
    return _read(path, _summary)


def _read(path: Path, convert: Callable[[Mapping[str, NDArray[Any]]], _T]) -> _T:
    content = io.BytesIO(path.read_bytes())  # so that a damaged file is closed
    try:
        with np.load(content, allow_pickle=False) as arrays:
            return convert(arrays)
    except _DAMAGED as error:
        raise ValueError(f"the file is damaged ({error})") from None


def _summary(arrays: Mapping[str, NDArray[Any]]) -> AnnotationSummary:
    about = json.loads(str(arrays["about"]))
    return AnnotationSummary(
        str(about["image"]),
        str(about.get("path") or ""),
        len(arrays["values"]),
        int(about.get("strokes", 0)),
        arrays.get("thumbnail"),
    )


def _annotation(arrays: Mapping[str, NDArray[Any]]) -> SavedAnnotation:
    shape = tuple(int(size) for size in arrays["shape"])
    labels = np.zeros(shape, arrays["values"].dtype)
    labels.reshape(-1)[arrays["places"]] = arrays["values"]
    metadata, copied = json.loads(str(arrays["about"])), {}
    if "copied_planes" in arrays:  # files of release 0.1 have none
        indices = map(tuple, arrays["copied_indices"].tolist())
        copied = dict(zip(indices, arrays["copied_planes"], strict=True))
    return SavedAnnotation(labels, metadata, copied)
