"""The layout of COCO: outlines of the objects of all images in a JSON file per split."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.image_index import index_images, listed_image
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.overlaps import smallest_on_top
from napari_emcad.io.datasets.pairing import subfolders
from napari_emcad.io.datasets.splits import split_in
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.optional_libraries import optional_library
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class _Objects:
    """The objects of one image.

    Attributes
    ----------
    source
        The JSON file.
    shape
        Height and width of the image as the file gives them.
    annotations
        Entries of the file with their class number.
    """

    source: Path
    shape: tuple[int, int]
    annotations: tuple[tuple[int, Mapping[str, Any]], ...]


def coco(folder: Path) -> FoundFiles | None:
    """Find images whose objects are outlined in the instance files of COCO.

    Classes are numbered by the ids of their categories. Where objects of several classes overlap,
    the smaller one is on top.

    Raises
    ------
    ImageFileError
        If there are several files and their names do not say for which split each is, or their
        categories differ.
    """
    contents = {path: content for path in _json_files(folder) if (content := _load(path))}
    if not contents:
        return None
    splits = _splits(folder, list(contents))
    names = _class_names(contents)
    index = index_images(folder)
    objects: dict[Path, _Objects] = {}
    problems: list[str] = []
    pairs: dict[str, list[tuple[Path, tuple[Path, ...]]]] = {}
    for split, path in splits.items():
        for file_name, outlined in _by_image(path, contents[path], names):
            image = listed_image(file_name, path, index)
            if isinstance(image, str):
                problems.append(image)
            elif image in objects:
                problems.append(f"{image.name} is listed twice, in {path.name} and before.")
            else:
                objects[image] = outlined
                pairs.setdefault(split, []).append((image, (path,)))

    def draw(
        image: Path, files: tuple[Path, ...], shape: tuple[int, ...]
    ) -> tuple[NDArray[Any], str]:
        return _draw(objects[image], image, shape)

    unlisted = [path for path in index.get("", []) if path not in objects]
    note = f"{len(unlisted):,} images that no JSON file lists are left out."
    every = tuple(pair for listed in pairs.values() for pair in listed)
    found = FoundFiles(
        "COCO",
        every,
        tuple(problems),
        tuple(names.values()),
        LabelCoding(draw=draw),
        names={image: image.relative_to(folder).as_posix() for image in objects},
        notes=(note,) if unlisted else (),
    )
    return found if set(pairs) <= {""} else found.with_splits(pairs)


def _json_files(folder: Path) -> list[Path]:
    """Return the JSON files in a folder and in those below it, those called instances… if any.

    In a folder of annotations, they may be one folder deeper (LIVECell).
    """
    places = [folder, *subfolders(folder)]
    named = [place for place in places[1:] if place.name.lower().startswith("annotation")]
    places += [below for place in named for below in subfolders(place)]
    files = [path for place in places for path in sorted(place.glob("*.json"))]
    instances = [path for path in files if path.name.lower().startswith("instances")]
    return instances or files


def _load(path: Path) -> dict[str, Any] | None:
    """Return the content of an instance file; None if it is another one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        return None
    return content


def _splits(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """Return the files by the part that their names, or those of their folders, stand for."""
    if len(files) == 1:
        return {split_in(files[0].stem) or "": files[0]}
    splits: dict[str, Path] = {}
    for path in files:
        split = split_in(path.stem) or (split_in(path.parent.name) if path.parent != folder else "")
        if not split or split in splits:
            raise ImageFileError(
                f"{folder} has several COCO files, and the name of {path.name} does not say for "
                f"which one of train, val and test it is; keep one, or name them such as "
                f"instances_train.json."
            )
        splits[split] = path
    return splits


def _class_names(contents: Mapping[Path, Mapping[str, Any]]) -> dict[int, str]:
    """Return the names of the categories by id, in the order of the ids."""
    tables = {
        path: {int(entry["id"]): composed(str(entry["name"])) for entry in content["categories"]}
        for path, content in contents.items()
    }
    first, names = next(iter(tables.items()))
    for path, other in tables.items():
        if other != names:
            raise ImageFileError(
                f"{path} and {first} have different categories; a number must mean one class."
            )
    if len(set(names.values())) < len(names):
        raise ImageFileError(f"{first} has two categories of one name; rename one of them.")
    used = {entry.get("category_id") for c in contents.values() for entry in c["annotations"]}
    groups = {
        entry["id"]
        for entry in contents[first]["categories"]
        if entry.get("supercategory") == "none" and entry["id"] == 0 and len(names) > 1
    }
    return {number: names[number] for number in sorted(names) if number not in groups - used}


def _by_image(
    path: Path, content: Mapping[str, Any], names: Mapping[int, str]
) -> Iterable[tuple[str, _Objects]]:
    """Yield the name of each image of a file with its objects."""
    classes = {number: k for k, number in enumerate(names, start=1)}
    objects: dict[Any, list[tuple[int, Mapping[str, Any]]]] = {}
    for entry in content["annotations"]:
        if entry.get("category_id") not in classes:
            raise ImageFileError(
                f"{path}: the annotation {entry.get('id')} is of the category "
                f"{entry.get('category_id')}, which the file does not list; correct it."
            )
        k = classes[entry["category_id"]]
        objects.setdefault(entry.get("image_id"), []).append((k, entry))
    unknown = set(objects) - {image.get("id") for image in content["images"]}
    if unknown:
        raise ImageFileError(
            f"{path} has objects of the image {min(map(str, unknown))}, which it does not list; "
            f"correct it."
        )
    for image in content["images"]:
        shape = int(image["height"]), int(image["width"])
        found = _Objects(path, shape, tuple(objects.get(image["id"], ())))
        yield str(image["file_name"]), found


def _draw(found: _Objects, image: Path, shape: tuple[int, ...]) -> tuple[NDArray[Any], str]:
    """Return the class of each pixel of an image, and a remark on objects that overlap."""
    if shape != found.shape:
        raise ImageFileError(
            f"{image.name} has {shape} pixels, {found.source.name} says {found.shape}; they must "
            f"agree."
        )
    masks = [(k, _mask(entry, shape, found.source)) for k, entry in found.annotations]
    return smallest_on_top(masks, shape)


def _mask(entry: Mapping[str, Any], shape: tuple[int, ...], source: Path) -> NDArray[np.bool_]:
    """Return the pixels of an object: polygons, or a run-length encoding of either form."""
    library = optional_library("pycocotools.mask", source, "coco")
    outline, (height, width) = entry.get("segmentation"), shape
    try:
        if isinstance(outline, dict):
            if tuple(outline["size"]) != tuple(shape):
                raise ValueError("size")
            runs = outline["counts"]
            packed = library.frPyObjects(outline, height, width) if _is_list(runs) else outline
            mask: NDArray[np.bool_] = library.decode(packed) > 0
            return mask
        polygons = [polygon for polygon in outline or [] if len(polygon) >= 6]
        if not polygons or len(polygons) < len(outline or []):
            raise ValueError("no polygon")
        drawn = library.decode(library.merge(library.frPyObjects(polygons, height, width)))
        return np.asarray(drawn) > 0
    except (ValueError, TypeError, KeyError, AttributeError):
        kinds = Counter(key for key in ("bbox", "keypoints") if entry.get(key))
        only = f" but a {min(kinds)}" if kinds else ""
        raise ImageFileError(
            f"{source} has no valid outline{only} for the annotation {entry.get('id')}; draw a "
            f"polygon, or remove the annotation."
        ) from None


def _is_list(runs: object) -> bool:
    return isinstance(runs, list)
