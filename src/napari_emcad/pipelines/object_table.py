"""A table of measured objects, and its form as CSV."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ObjectTable:
    """A row per object, or per class if the labels are classes.

    Attributes
    ----------
    columns
        Arrays of one length by name, in the order of a table.
    units
        Units by name, of the columns that have one.
    """

    columns: Mapping[str, NDArray[Any]]
    units: Mapping[str, str]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["label"])

    @property
    def header(self) -> list[str]:
        """Names of the columns with their units, such as ``area [µm²]``."""
        return [
            f"{name} [{self.units[name]}]" if name in self.units else name for name in self.columns
        ]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the values of one object after another, as Python numbers and texts."""
        return zip(*(column.tolist() for column in self.columns.values()), strict=True)

    def select(self, rows: NDArray[Any]) -> ObjectTable:
        """Return the rows of a mask, or those of these numbers."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return ObjectTable(columns, self.units)

    def to_csv(self) -> str:
        """Return the table as CSV with a header line; numbers have six significant digits."""
        return _csv(self.header, [_shortened(row) for row in self.rows()])


def joined_csv(tables: Mapping[str, ObjectTable]) -> str:
    """Return the tables of several images as one CSV text, with the image's name in front.

    Parameters
    ----------
    tables
        Tables by name of the image; columns that one of them lacks are empty in its rows.
    """
    header = list(dict.fromkeys(name for table in tables.values() for name in table.header))
    lines = []
    for image, table in tables.items():
        for row in table.rows():
            values = dict(zip(table.header, _shortened(row), strict=True))
            lines.append([image, *(values.get(name, "") for name in header)])
    return _csv(["image", *header], lines)


def _csv(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *lines])
    return text.getvalue()


def _shortened(row: tuple[Any, ...]) -> list[Any]:
    return [f"{value:.6g}" if isinstance(value, float) else value for value in row]
