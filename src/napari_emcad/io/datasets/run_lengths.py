"""The layout of Kaggle's competitions: images, and run lengths of their objects in a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.image_index import index_images
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.pairing import case_name
from napari_emcad.io.images.opened_image import ImageFileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.datasets.label_coding import Draw


@dataclass(frozen=True, slots=True)
class _Form:
    """Columns of a competition's table.

    Attributes
    ----------
    image, runs
        Columns with the name of the image and with the run lengths.
    with_columns
        Further columns that tell it from others.
    by_rows
        Whether pixels are counted along rows; otherwise along columns.
    size
        Columns of width and height, if there are any.
    """

    image: str
    runs: str
    with_columns: tuple[str, ...] = ()
    by_rows: bool = False
    size: tuple[str, str] | None = None


_FORMS = (
    _Form("id", "annotation", ("width", "height"), True, ("width", "height")),
    _Form("ImageId", "EncodedPixels", ("Height", "Width"), False, ("Width", "Height")),
    _Form("ImageId", "EncodedPixels"),
    _Form("id", "encoding"),
    _Form("id", "rle", ("img_height", "img_width"), False, ("img_width", "img_height")),
    _Form("id", "rle_mask"),
)
"""Sartorius; Data Science Bowl 2018 (solution, training); HuBMAP 2021 and 2022; TGS."""

_KINDS = {"classid", "class", "label", "category_id", "classids"}
"""Columns of the class of a row, in lower case: their objects are of several classes."""

_SUBMISSION = "submission"
"""Word in the names of tables without the true objects."""

_RAGGED = 1.5
"""How many times as long the borders of objects are at least if pixels are counted wrongly."""

_EMPTY = ("", "-1", "nan")
"""Run lengths of an image without objects."""


def run_lengths(folder: Path) -> FoundFiles | None:
    """Find a table such as ``train.csv`` with run lengths, and the images that it names.

    All objects are one class. Images that the table does not name are left out.

    Raises
    ------
    ImageFileError
        If several tables list images, or one has columns of classes.
    """
    files = [path for path in sorted(folder.glob("*.csv")) if _SUBMISSION not in path.stem.lower()]
    tables = {path: form for path in files if (form := _form(path))}
    if not tables:
        return None
    if len(tables) > 1:
        names = " and ".join(path.name for path in tables)
        raise ImageFileError(f"{folder} has run lengths in {names}; keep the one that is meant.")
    ((table, form),) = tables.items()
    runs = _runs(table, form)
    index: dict[str, list[Path]] = {}
    for path in index_images(folder)[""]:
        index.setdefault(case_name(path), []).append(path)
    pairs, problems = [], []
    for name in runs:
        files = index.get(name.rsplit(".", 1)[0], index.get(name, []))
        if len(files) == 1:
            pairs.append((files[0], (table,)))
        else:
            problems.append(f"{table.name} lists {name}, of which there are {len(files)} images.")
    others = sum(map(len, index.values())) - len(pairs)
    notes = [f"{others:,} images that {table.name} does not list are left out."] * bool(others)
    coding = LabelCoding(draw=_drawn(runs, form))
    return FoundFiles(
        "run lengths", tuple(pairs), tuple(problems), None, coding, notes=tuple(notes)
    )


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        return next(csv.reader(file), [])


def _form(path: Path) -> _Form | None:
    """Return the form of a table; None of other tables."""
    header = _header(path)
    fitting = (f for f in _FORMS if {f.image, f.runs, *f.with_columns} <= set(header))
    form = next(fitting, None)
    kinds = [name for name in header if name.lower() in _KINDS]
    if form is not None and kinds:
        raise ImageFileError(
            f"{path} has run lengths of several classes ({kinds[0]}), which are not read; draw "
            f"them into label files with a number per pixel."
        )
    return form


def _runs(path: Path, form: _Form) -> dict[str, list[tuple[str, tuple[int, int] | None]]]:
    """Return run lengths and size of every row by the name of its image."""
    csv.field_size_limit(2**31 - 1)
    found: dict[str, list[tuple[str, tuple[int, int] | None]]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            size = None
            if form.size is not None:
                width, height = (int(float(row[name])) for name in form.size)
                size = height, width
            found.setdefault(row[form.image], []).append((row[form.runs] or "", size))
    return found


def _drawn(runs: dict[str, list[tuple[str, tuple[int, int] | None]]], form: _Form) -> Draw:
    """Return the function that draws the objects of an image."""
    by_stem = {name.rsplit(".", 1)[0]: name for name in runs}

    def draw(
        image: Path, files: tuple[Path, ...], shape: tuple[int, ...]
    ) -> tuple[NDArray[Any], str]:
        name = case_name(image)
        rows = runs[name if name in runs else by_stem[name]]
        where = f"{files[0].name}, {name}"
        if len(shape) != 2:
            raise ImageFileError(
                f"{where}: run lengths are of a flat picture, not of {shape} pixels."
            )
        for _, size in rows:
            if size is not None and size != shape:
                raise ImageFileError(
                    f"{where}: the table says {size} pixels, the image has {shape}."
                )
        counted = np.zeros(shape[0] * shape[1], np.int16)
        for text, _ in rows:
            _mark(counted, text, where)
        by_rows, by_columns = counted.reshape(shape), counted.reshape(shape[::-1]).T
        labels, other = (by_rows, by_columns) if form.by_rows else (by_columns, by_rows)
        if _changes(labels) > _RAGGED * _changes(other):
            raise ImageFileError(
                f"{where}: the objects are whole only if pixels are counted along "
                f"{'columns' if form.by_rows else 'rows'}, which this table does not; correct the "
                f"order, or draw the objects into label files."
            )
        return labels, ""

    return draw


def _changes(labels: NDArray[np.int16]) -> int:
    """Return the number of neighboring pixels of different classes."""
    return sum(int(np.count_nonzero(np.diff(labels, axis=axis))) for axis in (0, 1))


def _mark(pixels: NDArray[np.int16], text: str, where: str) -> None:
    """Set the pixels of run lengths, pairs of a first pixel from 1 and a number of pixels, to 1."""
    if text.strip().lower() in _EMPTY:
        return
    words = text.split()
    if len(words) % 2 or not all(word.isdecimal() for word in words):
        raise ImageFileError(f"{where} has no pairs of numbers as run lengths; correct the table.")
    numbers = np.array(words, np.int64)
    starts, ends = numbers[::2] - 1, numbers[::2] - 1 + numbers[1::2]
    if (starts < 0).any() or (ends > pixels.size).any() or (starts[1:] < ends[:-1]).any():
        raise ImageFileError(
            f"{where} has run lengths outside of the image, or in another order; use the image in "
            f"the size in which they were made."
        )
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        pixels[start:end] = 1
