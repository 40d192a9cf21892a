"""Parts of a data set for training, validation and testing, by folders or text files."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.io.datasets.pairing import case_name, image_of_label, subfolders
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import FoundFiles, LabeledFile

SPLITS = ("train", "val", "test")
"""Names of the parts."""

_WORDS = {
    "train": {"train", "training", "traindataset", "train_set", "trainset", "train_slices"},
    "val": {"val", "valid", "validation", "val_set", "valset", "validdataset"},
    "test": {"test", "testing", "testdataset", "test_set", "testset", "test_vol"},
}

_PREFIX = re.compile(r"(train|val|test)[A-Z]?[_-]?\d", re.IGNORECASE)

_LIST_EXTENSIONS = (".txt", ".list", ".lst")
_LIST_FOLDERS = ("splits", "split", "lists", "imagesets")


def split_of(word: str) -> str | None:
    """Return the part that a name of a folder or list stands for; None if it is none."""
    return next((split for split, words in _WORDS.items() if word.lower() in words), None)


def split_in(text: str) -> str:
    """Return the part that a word of a text, such as ``instances_train2017``, names; "" if none."""
    words = (word for word in re.split(r"[^A-Za-z]+", text) if word)
    return next((split for word in words if (split := split_of(word))), "")


def with_splits_by_folder(found: FoundFiles) -> FoundFiles:
    """Return a data set with the parts that the folders of all its images name, if they do.

    Raises
    ------
    ImageFileError
        If some images are in such folders and others are not.
    """
    parts: dict[str | None, list[LabeledFile]] = {}
    for image, labels in found.pairs:
        folders = found.name_of(image).split("/")[:-1]
        named = [split for folder in folders if (split := split_of(folder))]
        parts.setdefault(named[0] if named else None, []).append((image, labels))
    outside = parts.pop(None, [])
    if not parts:
        return found
    if outside:
        raise ImageFileError(
            f"{found.name_of(outside[0][0])} is in no folder of a split, but other images are in "
            f"{', '.join(name for name in parts if name)}; move it into one, or name two folders "
            f"with --images and --labels."
        )
    return found.with_splits({name: parts[name] for name in SPLITS if name in parts})


def with_splits_by_prefix(found: FoundFiles) -> FoundFiles:
    """Return a data set with the parts that the names of all its images are or begin with."""
    parts: dict[str, list[LabeledFile]] = {}
    for image, labels in found.pairs:
        name = case_name(image)
        prefix = _PREFIX.match(name)
        split = prefix.group(1).lower() if prefix else split_of(name) or ""
        parts.setdefault(split, []).append((image, labels))
    if "" in parts or "train" not in parts or len(parts) < 2:
        return found
    return found.with_splits({name: parts[name] for name in SPLITS if name in parts})


def split_lists(folder: Path) -> dict[str, Path]:
    """Return the text files that list the images of each part, such as ``train.txt``.

    Raises
    ------
    ImageFileError
        If a part has several.
    """
    lists: dict[str, Path] = {}
    for place in _list_folders(folder):
        for split, paths in _lists_in(place).items():
            exact = [path for path in paths if path.stem.lower() == split]
            if len(paths) > 1 and len(exact) != 1:
                raise ImageFileError(
                    f"{paths[0]} and {paths[1].name} both list images for {split}; remove one."
                )
            lists.setdefault(split, (exact or paths)[0])
    return {split: lists[split] for split in SPLITS if split in lists}


def _lists_in(place: Path) -> dict[str, list[Path]]:
    """Return the lists in one folder by the part whose name they have."""
    lists: dict[str, list[Path]] = {}
    for path in sorted(place.iterdir()):
        split = split_of(path.stem)
        if split and path.suffix.lower() in _LIST_EXTENSIONS and path.is_file():
            lists.setdefault(split, []).append(path)
    return lists


def _list_folders(folder: Path) -> list[Path]:
    """Return the folders of a data set in which lists may be, its own first."""
    named = [path for path in subfolders(folder) if _holds_lists(path)]
    return [folder, *named, *(below for path in named for below in subfolders(path))]


def _holds_lists(path: Path) -> bool:
    return path.name.lower() in _LIST_FOLDERS or path.name.lower().startswith("lists_")


def list_entries(path: Path) -> list[str]:
    """Return the lines of a list without empty ones and comments.

    Raises
    ------
    ImageFileError
        If it is no text, or lists nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ImageFileError(f"{path} cannot be read as text; check the file.") from None
    entries = [composed(line.strip()) for line in lines]
    entries = [entry for entry in entries if entry and entry[0] != "#"]
    if not entries:
        raise ImageFileError(f"{path} lists nothing; list a name per line, or remove the file.")
    return entries


def of_labeled(found: FoundFiles, lists: Mapping[str, Path]) -> dict[str, Path]:
    """Return the lists that name any labeled image: VOC also lists pictures without masks."""
    stems = {case_name(image) for image, _ in found.pairs}
    return {
        split: path
        for split, path in lists.items()
        if stems & {entry.split()[0] for entry in list_entries(path)}
    }


def with_listed_splits(found: FoundFiles, lists: Mapping[str, Path]) -> FoundFiles:
    """Return a data set with the parts that text files list by names or paths of images.

    Images that no list has are left out, which a note says.

    Raises
    ------
    ImageFileError
        If an entry means no image or several, or an image is in two lists.
    """
    by_key = _by_key(found)
    splits: dict[str, list[LabeledFile]] = {}
    place: dict[Path, str] = {}
    for split, path in lists.items():
        for entry in list_entries(path):
            pair = _find(entry, by_key, path)
            if pair is None and _is_known(entry, found.problems):
                continue
            if pair is None:
                raise ImageFileError(
                    f"{path} lists {entry}, which is no labeled image; correct the list."
                )
            if pair[0] in place:
                raise ImageFileError(
                    f"{found.name_of(pair[0])} is listed for {place[pair[0]]} and again for "
                    f"{split} in {path}; an image can be in one part only."
                )
            place[pair[0]] = split
            splits.setdefault(split, []).append(pair)
    kept = tuple(pair for pair in found.pairs if pair[0] in place)
    unlisted = len(found.pairs) - len(kept)
    notes = found.notes
    if unlisted:
        names = ", ".join(lists[split].name for split in splits)
        notes = (*notes, f"{unlisted:,} images that {names} do not list are left out.")
    return replace(found, pairs=kept, notes=notes).with_splits(splits)


def _is_known(entry: str, problems: Sequence[str]) -> bool:
    """Return whether a problem is of the image that a line of a list means."""
    name = re.escape(_keys(entry)[-1])
    return any(re.match(rf"{name}(\.[\w.]+)? has ", problem) for problem in problems)


def _find(entry: str, by_key: Mapping[str, list[LabeledFile]], path: Path) -> LabeledFile | None:
    """Return the image that a line of a list means: the whole line, else its first word."""
    for text in (entry, re.split(r"[,;\t ]", entry)[0]):
        for key in _keys(text):
            pairs = by_key.get(key, [])
            if len(pairs) == 1:
                return pairs[0]
            if pairs:
                raise ImageFileError(
                    f"{path} lists {entry}, which is the name of {len(pairs)} images; list paths "
                    f"within the data set instead."
                )
    return None


def _keys(text: str) -> list[str]:
    """Return a path within the data set, and its ends, from the longest to the shortest."""
    parts = text.replace("\\", "/").strip("/").removeprefix("./").split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _by_key(found: FoundFiles) -> dict[str, list[LabeledFile]]:
    """Return the images by all ends of their paths, with and without the extension."""
    by_key: dict[str, list[LabeledFile]] = {}
    for image, labels in found.pairs:
        path = composed(image.as_posix())
        bare = f"{composed(image.parent.as_posix())}/{case_name(image)}"
        for key in {*_keys(path), *_keys(bare)}:
            by_key.setdefault(key, []).append((image, labels))
    return by_key


def listed_pairs(folder: Path, lists: Mapping[str, Path]) -> dict[str, list[LabeledFile]] | None:
    """Return the images and masks that lists name in pairs, two paths per line, by part.

    None if the lines of the first list are no such pairs.

    Raises
    ------
    ImageFileError
        If a later line is not one, or a mask belongs to an image of another name.
    """
    splits: dict[str, list[LabeledFile]] = {}
    for split, path in lists.items():
        for entry in list_entries(path):
            pair = _pair_of(folder, entry)
            if pair is None and not splits:
                return None
            if pair is None:
                raise ImageFileError(
                    f"{path} has the line {entry!r}, which is not an image and a mask "
                    f"that exist; correct it."
                )
            splits.setdefault(split, []).append(pair)
    _check_once(splits)
    return splits or None


def _pair_of(folder: Path, entry: str) -> LabeledFile | None:
    """Return the two files that a line names, separated by comma, semicolon, tab or space."""
    for separator in (",", ";", "\t", " "):
        for cut in (at for at, letter in enumerate(entry) if letter == separator):
            names = entry[:cut].strip(), entry[cut + 1 :].strip()
            paths = [folder / name.replace("\\", "/").lstrip("/") for name in names]
            if all(names) and all(path.is_file() for path in paths):
                return paths[0], (paths[1],)
    return None


def _check_once(splits: Mapping[str, Iterable[LabeledFile]]) -> None:
    """Refuse an image that is listed twice, and two files that swap names with others."""
    pairs = [(split, *pair) for split, listed in splits.items() for pair in listed]
    seen: dict[Path, str] = {}
    stems = {case_name(image) for _, image, _ in pairs}
    for split, image, (mask, *_) in pairs:
        if image in seen:
            raise ImageFileError(
                f"{image.name} is listed for {seen[image]} and again for {split}; an image can be "
                f"listed once."
            )
        seen[image] = split
        own = {case_name(mask), image_of_label(mask)}
        if case_name(image) not in own and own & stems:
            raise ImageFileError(
                f"{image.name} is listed with {mask.name}, which by its name belongs to another "
                f"image of the list; correct the line."
            )
