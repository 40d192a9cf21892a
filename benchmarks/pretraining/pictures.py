"""Photographs and made-up textures as squares, in files that are mapped into memory.

Images are decoded and resized once: a step that learns then costs next to nothing but the learning.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pretraining.textures import texture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SIDE = 192
"""Of the squares, in pixels."""

LARGEST = 3 * SIDE
"""Longest short side; larger images are reduced to it."""

SQUARES = 4
"""At most so many of one image, lest a few large images are all that is learned."""

HELD_OUT = 20
"""One in so many of the first folder's images is only measured on."""

KINDS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}


@dataclass(frozen=True)
class Pictures:
    """Squares to learn from and squares to measure on, each ``(N, SIDE, SIDE, 3)`` uint8."""

    learned: NDArray[np.uint8]
    held_out: NDArray[np.uint8]


def pictures(folders: Sequence[Path], textures: int, cache: Path) -> Pictures:
    """Return the squares of folders and of textures; they are made if the cache has others.

    Parameters
    ----------
    folders
        Images themselves, or ``images/`` and perhaps ``index.csv``: then the train split alone.
    textures
        How many to learn from. Without images, other ones, one for `HELD_OUT`, are measured on.
    cache
        A folder, made if need be.
    """
    listed = [image_files(folder) for folder in folders]
    first = listed[0] if listed else []
    held_out = first[::HELD_OUT]
    learned = sorted({file for files in listed for file in files} - set(held_out))
    asked = {"learned": [str(f) for f in learned], "held": [str(f) for f in held_out]}
    asked |= {"textures": textures, "side": SIDE}
    cache.mkdir(parents=True, exist_ok=True)
    made = cache / "made.json"
    if not made.exists() or json.loads(made.read_text(encoding="utf-8")) != asked:
        made.unlink(missing_ok=True)
        write(cache / "learned.raw", squares_of(learned), made_up(textures, 0))
        spare = 0 if held_out else -(-textures // HELD_OUT)
        write(cache / "held_out.raw", squares_of(held_out, 1), made_up(spare, 1))
        made.write_text(json.dumps(asked), encoding="utf-8")
    return Pictures(mapped(cache / "learned.raw"), mapped(cache / "held_out.raw"))


def image_files(folder: Path) -> list[Path]:
    """Return a folder's images by name; with an index, those of its train split."""
    inner = folder / "images"
    files = sorted((inner if inner.is_dir() else folder).iterdir())
    files = [file for file in files if file.suffix.lower() in KINDS]
    index = folder / "index.csv"
    if index.exists():
        with index.open(encoding="utf-8") as file:
            train = {row["id"] for row in csv.DictReader(file) if row["split"] == "train"}
        files = [file for file in files if file.stem in train]
    return files


def squares_of(files: Iterable[Path], most: int = SQUARES) -> Iterator[NDArray[np.uint8]]:
    """Cut each image into squares that cover it, and give at most so many of each."""
    for file in files:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        factor = min(max(min(image.size), SIDE), LARGEST) / min(image.size)
        if factor != 1:
            size = [max(round(each * factor), SIDE) for each in image.size]
            image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
        corners = [(y, x) for y in starts(pixels.shape[0]) for x in starts(pixels.shape[1])]
        for y, x in corners[:: -(-len(corners) // most)]:
            yield pixels[y : y + SIDE, x : x + SIDE]


def starts(length: int) -> list[int]:
    """Return where squares begin, the fewest that cover a length."""
    return np.linspace(0, length - SIDE, -(-length // SIDE)).round().astype(int).tolist()


def made_up(count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Make textures, other ones for another seed."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield texture(SIDE, random)


def write(path: Path, *sources: Iterable[NDArray[np.uint8]]) -> None:
    """Write the squares of all sources into one file."""
    with path.open("wb") as file:
        for square in chain(*sources):
            file.write(square.tobytes())


def mapped(path: Path) -> NDArray[np.uint8]:
    """Return a file of squares without reading it."""
    return np.memmap(path, np.uint8, "r").reshape(-1, SIDE, SIDE, 3)
