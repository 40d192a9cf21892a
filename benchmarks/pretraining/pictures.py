"""Photographs and synthetic textures as squares, in memory-mapped files.

Images are decoded and resized once, so that loading a batch takes almost no time.
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
"""Side of the squares in pixels."""

LARGEST = 3 * SIDE
"""Largest short side in pixels; larger images are downscaled to it."""

SQUARES = 4
"""Largest number of squares per image, so that large images do not dominate."""

HELD_OUT = 20
"""Every 20th image of the first folder is held out."""

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}


@dataclass(frozen=True)
class Pictures:
    """Training squares and held-out squares, ``(N, SIDE, SIDE, 3)`` uint8.

    Attributes
    ----------
    learned, held_out
        Squares to train on, and squares to measure on.
    """

    learned: NDArray[np.uint8]
    held_out: NDArray[np.uint8]


def pictures(folders: Sequence[Path], textures: int, cache: Path) -> Pictures:
    """Return the squares of folders and textures; create them if they are not in the cache.

    Parameters
    ----------
    folders
        Folders of images, or of ``images/`` and optionally ``index.csv``; with an index, only its
        train split is used.
    textures
        Number of textures to train on. Without images, one further texture per `HELD_OUT` is held
        out.
    cache
        Folder of the files; created if it does not exist.
    """
    listed = [image_files(folder) for folder in folders]
    first = listed[0] if listed else []
    held_out = first[::HELD_OUT]
    learned = sorted({file for files in listed for file in files} - set(held_out))
    requested = {"learned": [str(f) for f in learned], "held": [str(f) for f in held_out]}
    requested |= {"textures": textures, "side": SIDE}
    cache.mkdir(parents=True, exist_ok=True)
    manifest = cache / "made.json"
    if not manifest.exists() or json.loads(manifest.read_text(encoding="utf-8")) != requested:
        manifest.unlink(missing_ok=True)
        write(cache / "learned.raw", squares_of(learned), make_textures(textures, 0))
        spare = 0 if held_out else -(-textures // HELD_OUT)
        write(cache / "held_out.raw", squares_of(held_out, 1), make_textures(spare, 1))
        manifest.write_text(json.dumps(requested), encoding="utf-8")
    return Pictures(memory_map(cache / "learned.raw"), memory_map(cache / "held_out.raw"))


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder, sorted by name; with an index, those of its train split."""
    inner = folder / "images"
    files = sorted((inner if inner.is_dir() else folder).iterdir())
    files = [file for file in files if file.suffix.lower() in SUFFIXES]
    index = folder / "index.csv"
    if index.exists():
        with index.open(encoding="utf-8") as file:
            train = {row["id"] for row in csv.DictReader(file) if row["split"] == "train"}
        files = [file for file in files if file.stem in train]
    return files


def squares_of(files: Iterable[Path], largest_count: int = SQUARES) -> Iterator[NDArray[np.uint8]]:
    """Yield squares that cover the images, at most `largest_count` per image."""
    for file in files:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        factor = min(max(min(image.size), SIDE), LARGEST) / min(image.size)
        if factor != 1:
            size = [max(round(length * factor), SIDE) for length in image.size]
            image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
        corners = [(y, x) for y in starts(pixels.shape[0]) for x in starts(pixels.shape[1])]
        for y, x in corners[:: -(-len(corners) // largest_count)]:
            yield pixels[y : y + SIDE, x : x + SIDE]


def starts(length: int) -> list[int]:
    """Return the first pixels of the fewest squares that cover a length."""
    return np.linspace(0, length - SIDE, -(-length // SIDE)).round().astype(int).tolist()


def make_textures(count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield random textures."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield texture(SIDE, random)


def write(path: Path, *sources: Iterable[NDArray[np.uint8]]) -> None:
    """Write the squares of all sources to one file."""
    with path.open("wb") as file:
        for square in chain(*sources):
            file.write(square.tobytes())


def memory_map(path: Path) -> NDArray[np.uint8]:
    """Return the squares of a file, memory-mapped."""
    return np.memmap(path, np.uint8, "r").reshape(-1, SIDE, SIDE, 3)
