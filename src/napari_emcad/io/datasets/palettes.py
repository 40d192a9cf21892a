"""Whether the colors of masks with a palette have the same numbers in all files."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from PIL import Image

from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.datasets.found_files import FoundFiles

    Color = tuple[int, int, int]

_KINDS = {".png", ".bmp", ".tga", ".pcx", ".tif", ".tiff"}
"""Extensions of pictures whose palette indices are taken as labels."""


def check_palettes(found: FoundFiles) -> None:
    """Refuse masks in which a color has another number than in the mask of another image.

    Programs that make pictures smaller number the colors of every file anew.

    Raises
    ------
    ImageFileError
        The message names two files and the color.
    """
    if found.coding.colors is not None or not found.coding.is_per_pixel:
        return
    numbers: dict[Color, tuple[int, Path]] = {}
    for path in (label for _, labels in found.pairs for label in labels):
        for color, number in _palette(path).items():
            other, first = numbers.setdefault(color, (number, path))
            if other != number:
                raise ImageFileError(
                    f"{path} has the color {color} as {number}, but {first.name} as {other}, so "
                    f"that the numbers are no classes; list the classes of the colors as lines "
                    f"name,r,g,b in a file class_dict.csv, or name such a file with --colors."
                )


def _palette(path: Path) -> dict[Color, int]:
    """Return the number of every color that a palette has once; nothing without a palette."""
    if path.suffix.lower() not in _KINDS:
        return {}
    try:
        with Image.open(path) as picture:
            values = picture.getpalette("RGB") if picture.mode == "P" else None
    except (OSError, ValueError, Image.DecompressionBombError):
        return {}  # the error of reading it will be shown
    red, green, blue = ((values or [])[start::3] for start in range(3))
    colors = list(zip(red, green, blue, strict=True))
    counts = Counter(colors)
    return {color: k for k, color in enumerate(colors) if counts[color] == 1}
