"""The layout of LabelMe: a JSON file with the outlined objects beside each image."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.outlines import (
    filled_circle,
    filled_polygon,
    filled_rectangle,
    placed,
)
from napari_emcad.io.datasets.pairing import case_name, folder_images, subfolders
from napari_emcad.io.datasets.splits import list_entries
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_IGNORED, _BACKGROUND = "__ignore__", "_background_"
_KINDS = ("polygon", "rectangle", "circle", "mask")


@dataclass(frozen=True, slots=True, eq=False)
class _Shapes:
    """The shapes of one image.

    Attributes
    ----------
    image
        Name of the image file, without folders.
    shape
        Height and width of the image as the file gives them; None if it does not.
    shapes
        Entries of the file from the lowest to the topmost.
    """

    image: str
    shape: tuple[int, int] | None
    shapes: tuple[Mapping[str, Any], ...]


def labelme(folder: Path) -> FoundFiles | None:
    """Find images with a JSON file of LabelMe beside them.

    Classes are numbered as ``labels.txt`` lists them, else in alphabetical order;
    ``__ignore__`` is ignored, ``_background_`` is the background, and later shapes are on top.

    Raises
    ------
    ImageFileError
        If a shape has a label that ``labels.txt`` does not list.
    """
    places = [folder, *subfolders(folder)]
    read = {path: shapes for place in places for path in _json(place) if (shapes := _load(path))}
    if not read:
        return None
    names = _class_names(folder, read)
    numbers = {name: k for k, name in enumerate(names, start=1)}
    numbers |= {_IGNORED: UNLABELED, _BACKGROUND: 0}
    pairs, problems = _pair(places, read)

    def draw(
        image: Path, files: tuple[Path, ...], shape: tuple[int, ...]
    ) -> tuple[NDArray[Any], str]:
        return _draw(files[0], read[files[0]], shape, numbers), ""

    return FoundFiles(
        "LabelMe",
        tuple(pairs),
        tuple(problems),
        names,
        LabelCoding(draw=draw),
        names={image: image.relative_to(folder).as_posix() for image, _ in pairs},
    )


def _json(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def _load(path: Path) -> _Shapes | None:
    """Return the shapes of a file; None if it is none of LabelMe."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        return None
    image = str(content.get("imagePath") or "").replace("\\", "/").rsplit("/", 1)[-1]
    height, width = content.get("imageHeight"), content.get("imageWidth")
    shape = (int(height), int(width)) if height and width else None
    return _Shapes(composed(image), shape, tuple(content["shapes"]))


def _class_names(folder: Path, read: Mapping[Path, _Shapes]) -> tuple[str, ...]:
    """Return the names of the classes in order, as ``labels.txt`` lists them or by the alphabet."""
    used = {_label(shape): path for path, found in read.items() for shape in found.shapes}
    special = {_IGNORED, _BACKGROUND}
    table = folder / "labels.txt"
    if not table.is_file():
        return tuple(sorted(set(used) - special))
    names = [name for name in list_entries(table) if name not in special]
    missing = sorted(set(used) - special - set(names))
    if missing:
        raise ImageFileError(
            f"{used[missing[0]]} has the label {missing[0]!r}, which {table} does not list; add "
            f"it there, or correct the label."
        )
    return tuple(dict.fromkeys(names))


def _label(shape: Mapping[str, Any]) -> str:
    return composed(str(shape.get("label", "")))


def _pair(
    places: Iterable[Path], read: Mapping[Path, _Shapes]
) -> tuple[list[LabeledFile], list[str]]:
    """Pair images with the files that name them, and return a message for all without one."""
    images = [image for place in places for image in folder_images(place)]
    by_name, by_stem = _grouped(images, lambda i: composed(i.name)), _grouped(images, case_name)
    pairs: dict[Path, Path] = {}
    problems: list[str] = []
    for path, found in read.items():
        named = by_name.get(found.image, [])
        image = _image_of(path, named, by_stem.get(case_name(path), []))
        if image is None:
            problems.append(
                f"{path.name} is of the image {found.image or '?'}, which is not beside it, or "
                f"several times in the data set; copy it there."
            )
        elif image in pairs:
            problems.append(
                f"{path.name} and {pairs[image].name} are both of {image.name}; remove one."
            )
        else:
            pairs[image] = path
    used = {image.parent for image in pairs}
    problems += [
        f"{image.name} has no JSON file; outline its objects, or save it without any."
        for image in images
        if image not in pairs and image.parent in used
    ]
    return [(image, (path,)) for image, path in sorted(pairs.items())], problems


def _image_of(path: Path, named: list[Path], same_stem: list[Path]) -> Path | None:
    """Return the image of a file: of the name in it, or of its own, beside it; else elsewhere."""
    beside = [image for image in named if image.parent == path.parent]
    own = [image for image in same_stem if image.parent == path.parent]
    return next((found[0] for found in (beside, own, named) if len(found) == 1), None)


def _grouped(images: Iterable[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for image in images:
        groups.setdefault(key(image), []).append(image)
    return groups


def _draw(
    path: Path, found: _Shapes, shape: tuple[int, ...], numbers: Mapping[str, int]
) -> NDArray[np.int16]:
    """Return the class of each pixel."""
    if found.shape not in (None, shape):
        raise ImageFileError(f"{path} is of an image of {found.shape} pixels, not {shape}.")
    labels = np.zeros(shape, np.int16)
    for entry in found.shapes:
        kind = entry.get("shape_type") or "polygon"
        if kind not in _KINDS:
            raise ImageFileError(
                f"{path} has a {kind} with the label {_label(entry)!r}, which has no area; draw a "
                f"{', '.join(_KINDS[:-1])} or mask instead, or remove it."
            )
        try:
            labels[_mask(kind, entry, shape)] = numbers[_label(entry)]
        except (ValueError, TypeError, IndexError, KeyError, OSError):
            raise ImageFileError(
                f"{path} has a {kind} with the label {_label(entry)!r} whose points are not "
                f"valid; draw it again."
            ) from None
    return labels


def _mask(kind: str, entry: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels of a shape; those on its outline belong to it, as in LabelMe."""
    points = [(float(x), float(y)) for x, y in entry["points"]]
    if kind == "mask":
        return placed(_decoded(entry["mask"]), points[0], shape)
    if kind == "polygon":
        return filled_polygon(points, shape)
    first, second = points
    return (filled_rectangle if kind == "rectangle" else filled_circle)(first, second, shape)


def _decoded(text: str) -> NDArray[np.bool_]:
    """Return a mask that is stored as a PNG in text."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        return np.asarray(picture.convert("L")) > 0
