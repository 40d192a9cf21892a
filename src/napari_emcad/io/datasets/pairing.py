"""Which label file belongs to an image, by their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_emcad.io.images import file_names
from napari_emcad.io.images.file_names import is_image_folder
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import LabeledFile

LABEL_SUFFIXES = (
    "mask",
    "masks",
    "segmentation",
    "seg",
    "gt",
    "label",
    "labels",
    "anno",
    "annotation",
    "cp_masks",
    "groundtruth",
    "ground_truth",
    "manual",
    "vessel",
    "vessels",
    *(f"gtFine_{kind}" for kind in ("labelIds", "labelTrainIds", "instanceIds", "color")),
    *(_OBSERVERS := ("manual1", "manual2", "1stHO", "2ndHO", "ah", "vk")),
)
"""Words that data sets append to the name of an image for its label file.

Those of `_OBSERVERS` are for several people who outlined the same objects (DRIVE, CHASE, STARE).
"""

_SUFFIX = re.compile(rf"[ _.-](?:{'|'.join(LABEL_SUFFIXES)})(?P<number>[ _-]?\d+)?$", re.IGNORECASE)
_IMAGE_WORD = re.compile(r"^(?:images?|imgs?|volume|ct|scan)[ _-]?(?=\d)", re.IGNORECASE)
_LABEL_WORD = re.compile(
    r"^(?:labels?|masks?|segmentation|seg|gt|annotation)[ _-]?(?=\d)", re.IGNORECASE
)
"""Words before the number of an image and of its label file: ``img0001`` and ``label0001``."""

_IMAGE_END = re.compile(
    r"[ _.-](?:images?|img|im|training|test|volume|inputs?|leftImg8bit)$", re.IGNORECASE
)
"""Words that data sets append to the name of an image: ``000_img`` beside ``000_masks``."""

_COMPANIONS = ("_superpixels", "_flows", "_seg.npy")
"""Ends of the names of files beside an image that are neither images nor labels: superpixels of
ISIC, and what cellpose saves besides masks."""

_OF_ARCHIVES = "__MACOSX"
"""Folder that macOS adds to ZIP files; its files have the names of others and are no images."""

_OME = re.compile(r"\.ome$", re.IGNORECASE)
_FIRST_CHANNEL, _CHANNEL = "_0000", re.compile(r"_\d{4}$")


def subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the first of some folders, named in lower case, that exists in any case."""
    present = {composed(path.name).lower(): path for path in subfolders(folder)}
    return next((present[name] for name in map(composed, names) if name in present), None)


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders of a folder that are no images, sorted by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir()
        and path.name[0] != "."
        and path.name != _OF_ARCHIVES
        and not is_image_folder(path)
    )


def folder_images(folder: Path) -> list[Path]:
    """Return the image files of a folder; none if it has none."""
    try:
        return image_files(folder)
    except ImageFileError:
        return []


def case_name(path: Path) -> str:
    """Return the name of a file without its extension and ``.ome``, composed (NFC).

    Numbers behind a dot are no extension of a folder, whose name may be the UID of a series.
    """
    if path.suffix[1:].isdecimal() and path.is_dir():
        return composed(path.name)
    return composed(_OME.sub("", file_names.stem_of(path)))


def image_of_label(path: Path) -> str:
    """Return the stem of the image that a label file belongs to; "" if no suffix says so.

    ``benign (1)_mask_1`` belongs to ``benign (1)``.
    """
    stem = case_name(path)
    found = _SUFFIX.search(stem)
    return stem[: found.start()] if found else ""


def pair_by_name(
    images: Iterable[Path], labels: Iterable[Path], where: Path
) -> tuple[list[LabeledFile], list[str]]:
    """Pair images with label files of the same name, or of the name with a suffix.

    Parameters
    ----------
    images
        Image files; ``_0000`` at the end of a name, the first channel of nnU-Net, is left out.
    labels
        Label files.
    where
        Folder of the label files, for messages.

    Returns
    -------
    tuple
        Every image with its label files, and a message for every image without any.
    """
    images, labels = list(images), list(labels)
    own = {case_name(image) for image in images}
    same = _by(case_name, labels)
    # a label file with the name of an image is that of no other: a_mask_1 beside a
    others = [label for label in labels if case_name(label) not in own]
    unclear = [label for label in others if {image_of_label(label), _numbered(label)} <= own]
    suffixed = _by(
        lambda label: name if (name := _numbered(label)) in own else _image_of_mask(label),
        [label for label in others if label not in unclear],
    )
    prefixed = _by(_without_label_word, labels)

    def case_of(image: Path) -> str:
        stem = case_name(image)
        is_labeled = stem in same or stem in suffixed
        return stem if is_labeled else stem.removesuffix(_FIRST_CHANNEL)

    pairs: list[LabeledFile] = []
    problems = [
        f"{label.name} may belong to {image_of_label(label)} or to {_numbered(label)}; rename it."
        for label in unclear
    ]
    for stem, files in _by(case_of, images).items():
        found = [*same.get(stem, []), *suffixed.get(stem, [])]
        if not found:
            found = prefixed.get(_IMAGE_WORD.sub("", stem), [])
        if not found and (short := _IMAGE_END.sub("", stem)) not in own:
            found = [*same.get(short, []), *suffixed.get(short, [])]
            stem = short if found else stem
        names = ", ".join(file.name for file in found)
        if len(files) > 1:
            images_found = " and ".join(file.name for file in files)
            problems.append(
                f"{images_found} have the same labels by their names; rename or remove one."
            )
        elif not found:
            problems.append(
                f"{files[0].name} has no label files of its name in {where}; each image needs "
                f"one, such as {stem}.png."
            )
        elif len(found) > 1 and not all(stem == image_of_label(label) for label in found):
            problems.append(
                f"{files[0].name} has {len(found)} label files of its name in {where} ({names}); "
                f"each image needs one."
            )
        elif len({_suffix_word(file) for file in found}) > 1:
            problems.append(
                f"{files[0].name} has label files of several kinds in {where} ({names}); leave "
                f"those of one kind, or name two folders with --images and --labels."
            )
        else:
            pairs.append((files[0], tuple(found)))
    return _without_shared(pairs, problems)


def _without_shared(
    pairs: Sequence[LabeledFile], problems: list[str]
) -> tuple[list[LabeledFile], list[str]]:
    """Return pairs, and messages also for those whose label files are those of others as well."""
    images: dict[Path, list[Path]] = {}
    for image, labels in pairs:
        for label in labels:
            images.setdefault(label, []).append(image)
    shared = {label: names for label, names in images.items() if len(names) > 1}
    messages = [
        f"{' and '.join(image.name for image in names)} have the same labels by their names "
        f"({label.name}); rename or remove one."
        for label, names in shared.items()
    ]
    kept = [(image, labels) for image, labels in pairs if not shared.keys() & set(labels)]
    return kept, [*problems, *messages]


def _image_of_mask(path: Path) -> str:
    """Return the image of a label file by its suffix; CamVid's is ``_L``."""
    return image_of_label(path) or (stem[:-2] if (stem := case_name(path)).endswith("_L") else "")


def _numbered(label: Path) -> str:
    """Return the image of a label file whose number is behind the suffix; "" without a number.

    ``a_mask_1`` may be the mask of ``a_1``, or the first one of ``a``.
    """
    stem = case_name(label)
    found = _SUFFIX.search(stem)
    number = found.group("number") if found else None
    return stem[: found.start()] + number if found and number else ""


def _without_label_word(path: Path) -> str:
    """Return the rest of a name that begins with a word for labels; "" for other names."""
    stem = case_name(path)
    found = _LABEL_WORD.match(stem)
    return stem[found.end() :] if found else ""


def _suffix_word(label: Path) -> str:
    """Return the suffix of a label file without its number, in lower case; "" without one."""
    found = _SUFFIX.search(case_name(label))
    word = found.group().strip(" _.-").lower() if found else ""
    is_observer = word in map(str.lower, _OBSERVERS)
    return word if is_observer else word.rstrip(" _-0123456789")


def starts_with_label_word(path: Path) -> bool:
    """Return whether a name begins with a word for labels and a number: ``segmentation-0``."""
    return bool(_without_label_word(path))


def without_companions(files: Sequence[Path]) -> list[Path]:
    """Return files without those that programs save beside images, and that are no labels."""
    stems = {case_name(path) for path in files}

    def is_companion(path: Path) -> bool:
        name = case_name(path) + path.suffix * (path.suffix == ".npy")
        ends = (end for end in _COMPANIONS if name.endswith(end))
        return any(name.removesuffix(end) in stems for end in ends)

    return [path for path in files if not is_companion(path)]


def more_channels(images: Sequence[Path], labels: Sequence[Path] = ()) -> list[Path]:
    """Return files that are further channels of an image: ``_0001`` beside ``_0000``.

    Images with labels of their own are none: they are the frames of a movie, for example.
    """
    labeled = {name for label in labels for name in (case_name(label), image_of_label(label))}
    stems = {case_name(image) for image in images}
    return [
        image
        for image in images
        if (found := _CHANNEL.search(stem := case_name(image)))
        and found.group() != _FIRST_CHANNEL
        and stem not in labeled
        and stem[: found.start()] + _FIRST_CHANNEL in stems
    ]


def _by(key: Callable[[Path], str], files: Iterable[Path]) -> Mapping[str, list[Path]]:
    grouped: dict[str, list[Path]] = {}
    for file in files:
        grouped.setdefault(key(file), []).append(file)
    grouped.pop("", None)
    return grouped
