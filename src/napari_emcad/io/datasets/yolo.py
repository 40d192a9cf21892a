"""The layout of YOLO: a text file per image, with a class and a polygon per line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.outlines import filled_polygon
from napari_emcad.io.datasets.overlaps import smallest_on_top
from napari_emcad.io.datasets.pairing import case_name, folder_images, subfolder, subfolders
from napari_emcad.io.datasets.splits import with_splits_by_folder
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_BOX, _FEWEST = 4, 6
"""Numbers of a box, and the least of a polygon."""

_DEEPEST = 3
"""Most folders between those of images and an image."""


def yolo(folder: Path) -> FoundFiles | None:
    """Find ``images/a.jpg`` with ``labels/a.txt``, also in ``train/`` … or ``images/train/`` ….

    The class 0 of the files is class 1, because 0 is the background here. Where objects of several
    classes overlap, the smaller one is on top.

    Raises
    ------
    ImageFileError
        If the names of the classes cannot be read.
    """
    pairs: list[LabeledFile] = []
    problems: list[str] = []
    for part in (folder, *subfolders(folder)):
        images, labels = subfolder(part, ("images",)), subfolder(part, ("labels",))
        if images is not None and labels is not None:
            _pair(images, labels, _DEEPEST, pairs, problems)
    if not pairs:
        return None
    names = _class_names(folder)

    def draw(
        image: Path, files: tuple[Path, ...], shape: tuple[int, ...]
    ) -> tuple[NDArray[Any], str]:
        return _draw(files[0], shape, None if names is None else len(names))

    found = FoundFiles("YOLO", tuple(pairs), tuple(problems), names, LabelCoding(draw=draw))
    paths = {image: image.relative_to(folder).as_posix() for image, _ in pairs}
    return with_splits_by_folder(replace(found, names=paths))


def _pair(
    images: Path, labels: Path, depth: int, pairs: list[LabeledFile], problems: list[str]
) -> None:
    """Add images with the text file of their name in the same folder below the labels."""
    files = [] if folder_images(labels) else sorted(labels.glob("*.txt"))
    texts = {case_name(path): path for path in files if _is_outlines(path)}
    for image in folder_images(images) if texts else ():
        if case_name(image) in texts:
            pairs.append((image, (texts[case_name(image)],)))
        else:
            problems.append(
                f"{image.name} has no text file in {labels}; write an empty one if it shows no "
                f"object."
            )
    for part in subfolders(images) if depth else ():
        below = subfolder(labels, (part.name.lower(),))
        if below is not None:
            _pair(part, below, depth - 1, pairs, problems)


def _is_outlines(path: Path) -> bool:
    """Return whether a text file is empty, or begins with a line of numbers."""
    try:
        with path.open(encoding="utf-8") as file:
            _ = [float(word) for word in file.readline().split()]
    except (OSError, ValueError):
        return False
    return True


def _class_names(folder: Path) -> tuple[str, ...] | None:
    """Return the names in the data set's YAML file; None without one."""
    import yaml

    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
        except (yaml.YAMLError, UnicodeDecodeError, OSError):
            raise ImageFileError(f"{path} cannot be read as YAML; check the file.") from None
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, dict):
            names = [names.get(str(number)) for number in range(len(names))]
        if isinstance(names, list) and names and all(names):
            return tuple(composed(str(name)) for name in names)
    return None


def _draw(path: Path, shape: tuple[int, ...], count: int | None) -> tuple[NDArray[Any], str]:
    """Return the class of each pixel of an image, and a remark on objects that overlap."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ImageFileError(f"{path} cannot be read as text; check the file.") from None
    objects = [_object(path, line, shape, count) for line in lines if line.strip()]
    return smallest_on_top(objects, shape)


def _object(
    path: Path, line: str, shape: tuple[int, ...], count: int | None
) -> tuple[int, NDArray[np.bool_]]:
    """Return the class and the pixels of the object of a line."""
    try:
        number, *values = (float(word) for word in line.split())
    except ValueError:
        number, values = -1.0, []
    if len(values) == _BOX:
        raise ImageFileError(
            f"{path} has boxes instead of outlines; export the data set as YOLO segmentation."
        )
    k = int(number) + 1
    is_class = number.is_integer() and 0 < k <= (count or k)
    in_image = all(-0.01 <= value <= 1.01 for value in values)
    if not is_class or not in_image or len(values) < _FEWEST or len(values) % 2:
        raise ImageFileError(
            f"{path} has the line {line.strip()[:40]!r}, which is not a class and a polygon from 0 "
            f"to 1; correct it."
        )
    corners = [(x * shape[1], y * shape[0]) for x, y in zip(values[::2], values[1::2], strict=True)]
    return k, filled_polygon(corners, shape)
