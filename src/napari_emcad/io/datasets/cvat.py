"""The layout of CVAT: an XML file with the outlined objects of all images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from napari_emcad.io.datasets.cvat_shapes import KINDS, shape_pixels
from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
from napari_emcad.io.datasets.image_index import index_images, listed_image
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.splits import with_splits_by_folder
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

_BACKGROUND = "background"
_WITHOUT_AREA = {"polyline", "points", "cuboid", "skeleton"}


@dataclass(frozen=True, slots=True, eq=False)
class _Shapes:
    """The shapes of an image in the order in which they are drawn, and its height and width."""

    shapes: tuple[Element, ...]
    size: tuple[int, int]


def cvat(folder: Path) -> FoundFiles | None:
    """Find images with the ``annotations.xml`` of "CVAT for images".

    Classes are numbered as the file lists its labels; ``background`` is 0. Of shapes that overlap,
    the one with the larger *z_order* is on top.

    Raises
    ------
    ImageFileError
        If the file is of a video, lists no labels, or has shapes of other labels or without area.
    """
    path = folder / "annotations.xml"
    root = _root(path)
    if root is None:
        return None
    if root.find("track") is not None:
        raise ImageFileError(f"{path} is of a video; export it as 'CVAT for images 1.1'.")
    names = _class_names(path, root)
    numbers = {name: k for k, name in enumerate(names, start=1)} | {_BACKGROUND: 0}
    index = index_images(folder)
    shapes: dict[Path, _Shapes] = {}
    problems: list[str] = []
    for entry in root.iter("image"):
        image = listed_image(entry.get("name", ""), path, index)
        if isinstance(image, str):
            problems.append(image)
        elif image in shapes:
            problems.append(f"{image.name} is listed twice in {path.name}.")
        else:
            shapes[image] = _shapes_of(path, entry, numbers)

    def draw(
        image: Path, files: tuple[Path, ...], shape: tuple[int, ...]
    ) -> tuple[NDArray[Any], str]:
        return _draw(path, image, shapes[image], shape, numbers), ""

    pairs: tuple[LabeledFile, ...] = tuple((image, (path,)) for image in shapes)
    paths = {image: image.relative_to(folder).as_posix() for image in shapes}
    coding = LabelCoding(draw=draw)
    return with_splits_by_folder(
        FoundFiles("CVAT", pairs, tuple(problems), names, coding, names=paths)
    )


def _root(path: Path) -> Element | None:
    """Return the content of an annotation file; None if it is another one."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    return root if root.tag == "annotations" and root.find("version") is not None else None


def _class_names(path: Path, root: Element) -> tuple[str, ...]:
    labels = [composed((name.text or "").strip()) for name in root.iterfind(".//labels/label/name")]
    names = tuple(dict.fromkeys(name for name in labels if name and name.lower() != _BACKGROUND))
    if not names:
        raise ImageFileError(
            f"{path} does not list its labels, which number the classes; export it again from CVAT."
        )
    return names


def _shapes_of(path: Path, entry: Element, numbers: dict[str, int]) -> _Shapes:
    """Return the shapes of an image; refuse those without area, or of another label."""
    for one in entry:
        if one.tag in _WITHOUT_AREA:
            raise ImageFileError(
                f"{path} has a {one.tag} in {entry.get('name')}, which has no area; draw a polygon "
                f"or mask instead, or remove it."
            )
        if one.tag in KINDS and _label(one) not in numbers:
            raise ImageFileError(
                f"{path} has the label {_label(one)!r} in {entry.get('name')}, which it does not "
                f"list; correct it."
            )
    shapes = [one for one in entry if one.tag in KINDS]
    shapes.sort(key=lambda one: int(one.get("z_order", 0)))
    return _Shapes(tuple(shapes), (int(entry.get("height", 0)), int(entry.get("width", 0))))


def _label(shape: Element) -> str:
    name = composed(shape.get("label", "").strip())
    return _BACKGROUND if name.lower() == _BACKGROUND else name


def _draw(
    path: Path, image: Path, found: _Shapes, shape: tuple[int, ...], numbers: dict[str, int]
) -> NDArray[np.int16]:
    """Return the class of each pixel."""
    if found.size != shape:
        raise ImageFileError(
            f"{image.name} has {shape} pixels, {path.name} says {found.size}; they must agree."
        )
    labels = np.zeros(shape, np.int16)
    for one in found.shapes:
        try:
            labels[shape_pixels(one, shape)] = numbers[_label(one)]
        except (ValueError, TypeError, IndexError, KeyError):
            raise ImageFileError(
                f"{path} has a {one.tag} in {image.name} whose points are not valid; draw it again."
            ) from None
    return labels
