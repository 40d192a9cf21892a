"""Classes of the colors of masks that are pictures, from a table of names and colors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.io.images.colors import color_code, color_codes, list_colors
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.colors import Color

TABLE_FILES = (
    "class_dict.csv",
    "classes.csv",
    "label_colors.txt",
    "labelmap.txt",
    "colormap.txt",
    "labels.txt",
    "classes.txt",
)
"""Names of files beside a data set that may list the colors of its classes."""

_BACKGROUND = {"background", "_background_", "bg"}
_VOID = {"void", "ignore", "__ignore__", "ignored", "unlabeled", "unlabelled"}


@dataclass(frozen=True, slots=True)
class ColorTable:
    """Class of each color.

    Attributes
    ----------
    names
        Names of classes 1, 2, ….
    classes
        Pairs (red, green, blue), class; 0 is the background, `UNLABELED` is ignored.
    source
        Name of the file that lists them.
    """

    names: tuple[str, ...]
    classes: tuple[tuple[Color, int], ...]
    source: str = "the table"

    def decode(self, picture: NDArray[Any], where: str) -> NDArray[np.int16]:
        """Return the class of each pixel.

        Parameters
        ----------
        picture
            ``(..., 3 or 4)`` uint8; a fourth channel is opacity.
        where
            Name of its file, for messages.

        Raises
        ------
        ImageFileError
            If it has a color that is not in the table.
        """
        codes = color_codes(picture)
        present, positions = np.unique(codes, return_inverse=True)
        class_by_code = {color_code(color): k for color, k in self.classes}
        unknown = [code for code in present.tolist() if code not in class_by_code]
        if unknown:
            raise ImageFileError(
                f"{where} has colors that are not in {self.source}: {list_colors(unknown)}; add "
                f"them to it as lines name,r,g,b (named background for class 0, void for pixels "
                f"to ignore)."
            )
        classes = np.array([class_by_code[code] for code in present.tolist()], np.int16)
        return classes[positions].reshape(codes.shape)

    @property
    def has_void(self) -> bool:
        """Whether pixels of some color are ignored."""
        return any(k == UNLABELED for _, k in self.classes)


def read_color_table(path: Path) -> ColorTable:
    """Read a table with a class per line: its name, and its red, green and blue from 0 to 255.

    Separators are commas, semicolons, colons, tabs or spaces; the name is first or last (CamVid),
    and lines without numbers (a header) and with ``#`` are left out.

    Raises
    ------
    ImageFileError
        If a line is no class with a color, or a color stands for two classes.
    """
    lines = [line.strip() for line in _text(path).splitlines()]
    rows = [(line, _row(line)) for line in lines if line and line[0] != "#"]
    if rows and rows[0][1] is None and not re.search(r"\d", rows[0][0]):  # a header
        rows = rows[1:]
    bad = [line for line, row in rows if row is None]
    if bad or not rows:
        what = f"the line {bad[0]!r} is none" if bad else "it has no such line"
        raise ImageFileError(f"{path} must list classes as lines such as name,r,g,b; {what}.")
    return _table([row for _, row in rows if row is not None], path)


def find_color_table(folder: Path) -> ColorTable | None:
    """Return the table of colors in a folder; None if no file of `TABLE_FILES` is one.

    Raises
    ------
    ImageFileError
        If one has lines of colors, and others that are none.
    """
    for name in TABLE_FILES:
        path = folder / name
        if path.is_file():
            try:
                return read_color_table(path)
            except ImageFileError:
                if any(map(_row, _text(path).splitlines())):
                    raise
                continue  # a list of names without colors
    return None


def is_color_mask(path: Path) -> bool:
    """Return whether a mask is a picture with colors, of which a palette may be made."""
    try:
        pixels = read_image(path).pixels
    except ImageFileError:
        return False
    return bool(pixels.ndim == 3 and pixels.shape[-1] in (3, 4) and pixels.dtype == np.uint8)


def _table(rows: list[tuple[str, Color]], path: Path) -> ColorTable:
    names: list[str] = []
    classes: dict[Color, int] = {}
    for name, color in rows:
        word = name.lower()
        if word in _BACKGROUND or word in _VOID:
            number = 0 if word in _BACKGROUND else UNLABELED
        else:
            if name not in names:
                names.append(name)
            number = names.index(name) + 1
        if classes.setdefault(color, number) != number:
            raise ImageFileError(f"{path} gives the color {color} to two classes; correct it.")
    return ColorTable(tuple(names), tuple(classes.items()), path.name)


def _row(line: str) -> tuple[str, Color] | None:
    """Return name and color of a line; None if it has not one name and three numbers."""
    parts = [part for part in re.split(r"[,;:\t]+", line) if part.strip()]
    if len(parts) == 1 or not any(part.strip().isdecimal() for part in parts):
        parts = line.replace(",", " ").replace(";", " ").replace(":", " ").split()
    parts = [part.strip() for part in parts]
    if len(parts) == 2 and len(parts[0].split()) == 3:  # CamVid: "64 128 64<tab>Animal"
        parts = [*parts[0].split(), parts[1]]
    for start in (len(parts) - 3, 0):
        numbers, rest = parts[start : start + 3], parts[:start] + parts[start + 3 :]
        if len(numbers) == 3 and rest and all(_is_level(number) for number in numbers):
            red, green, blue = map(int, numbers)
            return composed(" ".join(rest)), (red, green, blue)
    return None


def _is_level(text: str) -> bool:
    return text.isdecimal() and int(text) <= 255


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ImageFileError(f"{path} cannot be read as text; check the file.") from None
