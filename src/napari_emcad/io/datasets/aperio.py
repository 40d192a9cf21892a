"""The layout of MoNuSeg and MoNuSAC: outlines of nuclei in the XML of Aperio ImageScope."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from skimage import draw

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.pairing import case_name, folder_images, subfolders
from napari_emcad.io.datasets.splits import with_splits_by_folder
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.datasets.found_files import LabeledFile
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions

    Outline = tuple[str, list[tuple[float, float]]]

_LAYER, _OTHER = re.compile(rb"<Annotations[\s>].*<Annotation[\s>]", re.DOTALL), b"ASAP"
"""Beginning of the files of ImageScope, and a word of those of ASAP, which are others."""

_HEADER = 2048
_NAMELESS = ("description", "")
"""Attributes of annotations that name no class, in lower case."""

_AMBIGUOUS = "ambiguous"
_NUCLEUS = "nucleus"
_FILLED = ("0", "1")
"""Types of regions that enclose pixels: polygons and rectangles."""

_FEWEST, _MARGIN = 3, 4.0
"""Least number of corners, and pixels by which outlines may leave their image."""


def aperio(folder: Path) -> FoundFiles | None:
    """Find images with an XML file of the same name, beside them or in ``Annotations/``.

    Classes are the attributes that name annotations, by the alphabet; without any, all outlines are
    nuclei. Pixels of *Ambiguous* ones are ignored. Of overlapping objects the smaller one counts.
    """
    places = [folder, *subfolders(folder)]
    places += [below for part in places[1:] for below in subfolders(part)]
    pairs: list[LabeledFile] = []
    problems: list[str] = []
    for place in places:
        outlines = _outline_files(place)
        for image in _once(folder_images(place)) if outlines else ():
            if case_name(image) in outlines:
                pairs.append((image, (outlines[case_name(image)],)))
            else:
                problems.append(f"{image.name} has no XML file of its name; add it.")
    if not pairs:
        return None
    names = _class_names(pairs)
    classes = {name: k for k, name in enumerate(names, start=1)} | {_AMBIGUOUS: UNLABELED}
    coding = LabelCoding(compose=_composed(classes))
    paths = {image: image.relative_to(folder).as_posix() for image, _ in pairs}
    cases = {image: image.parent.name for image, _ in pairs if _is_patient(image)}
    found = FoundFiles("Aperio XML", tuple(pairs), tuple(problems), names, coding, paths, cases)
    return with_splits_by_folder(found)


def _is_patient(image: Path) -> bool:
    """Return whether the folder of an image is its patient, whose name that of the image has."""
    return case_name(image).startswith(image.parent.name)


def _outline_files(place: Path) -> dict[str, Path]:
    """Return the files of outlines for the images of a folder by their names."""
    beside = (place, place / "Annotations", place.parent / "Annotations")
    files = [path for part in beside for path in part.glob("*.xml") if _is_outlines(path)]
    return {case_name(path): path for path in files}


def _is_outlines(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_HEADER)
    return _LAYER.search(start) is not None and _OTHER not in start


def _once(images: list[Path]) -> list[Path]:
    """Return images without the slides of those that are beside them as TIFF, too."""
    pictures = {case_name(path) for path in images if path.suffix.lower() != ".svs"}
    return [p for p in images if p.suffix.lower() != ".svs" or case_name(p) not in pictures]


def _class_names(pairs: list[LabeledFile]) -> tuple[str, ...]:
    names = {name for _, files in pairs for name, _ in _outlines(files[0])} - {_AMBIGUOUS}
    return tuple(sorted(names)) or (_NUCLEUS,)


def _outlines(path: Path) -> list[Outline]:
    """Return class and corners of all regions of a file."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ImageFileError(f"{path} is damaged: {error}; export it again.") from None
    layers = [one for one in root.iter("Annotation") if one.find(".//Vertex") is not None]
    names = [_name_of(layer) for layer in layers]
    if len(layers) > 1 and not all(names):
        raise ImageFileError(
            f"{path} has {len(layers)} layers of outlines, of which some have no name, so that "
            f"their classes are not clear; name all of them, or leave one."
        )
    return [
        (name or _NUCLEUS, _corners(region, path))
        for name, layer in zip(names, layers, strict=True)
        for region in layer.iter("Region")
    ]


def _corners(region: ElementTree.Element, path: Path) -> list[tuple[float, float]]:
    """Return the corners (x, y) of a region in pixels.

    Raises
    ------
    ImageFileError
        If it encloses no pixels, is cut out of others, or has no coordinates.
    """
    number = region.get("Id", "?")
    if region.get("Type", "0") not in _FILLED or region.get("NegativeROA", "0") != "0":
        raise ImageFileError(
            f"{path} has the region {number}, which is no polygon or rectangle, or is cut out of "
            f"others; remove or redraw it."
        )
    corners = [(float(v.get("X", "nan")), float(v.get("Y", "nan"))) for v in region.iter("Vertex")]
    if not np.isfinite(corners).all():
        raise ImageFileError(f"{path} has no coordinates in the region {number}; redraw it.")
    return corners


def _name_of(annotation: ElementTree.Element) -> str:
    """Return the class of an annotation: its name, or the attribute that names it; "" without."""
    attributes = annotation.find("Attributes")
    found = [] if attributes is None else [one.get("Name", "") for one in attributes]
    names = [name.strip() for name in (annotation.get("Name", ""), *found)]
    name = next((name for name in names if name.lower() not in _NAMELESS), "")
    return _AMBIGUOUS if name.lower() == _AMBIGUOUS else name


def _composed(classes: dict[str, int]) -> Any:
    """Return the function that draws the outlines of a file."""

    def compose(
        image: OpenedImage,
        files: tuple[Path, ...],
        shape: tuple[int, ...],
        options: ReadOptions | None,
    ) -> tuple[NDArray[Any], str]:
        if options is not None and options.level:
            raise ImageFileError(f"{files[0]} has outlines on the finest level; leave --level out.")
        if image.orientation > 1:
            raise ImageFileError(f"{files[0]} has outlines of a turned picture; save it upright.")
        return _drawn(files[0], classes, shape), ""

    return compose


def _drawn(path: Path, classes: dict[str, int], shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Return the class of each pixel whose center lies in an outline, of the smallest one there.

    This is how MoNuSeg is used everywhere; outlines drawn by `outlines` are half a pixel wider.
    """
    if len(shape) != 2:
        raise ImageFileError(
            f"{path} has outlines of a flat picture, its image has {shape} pixels."
        )
    height, width = shape
    labels = np.zeros(shape, np.int16)
    outlines = [one for one in _outlines(path) if len(one[1]) >= _FEWEST]
    for name, corners in sorted(outlines, key=lambda one: -_area(one[1])):
        x, y = np.array(corners).T
        lowest, highest = min(x.min(), y.min()), (x.max() - width, y.max() - height)
        if lowest < -_MARGIN or max(highest) > _MARGIN:
            raise ImageFileError(
                f"{path} has outlines outside of its image of {width} × {height} pixels; use the "
                f"image in the size in which they were drawn."
            )
        labels[draw.polygon(y, x, shape)] = classes[name]
    return labels


def _area(corners: list[tuple[float, float]]) -> float:
    """Return the area of a polygon in pixels (the shoelace formula)."""
    x, y = np.array(corners).T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
