"""Objects that the user has accepted as right, by layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_emcad.pipelines.object_table import ObjectTable

_COLUMN = "accepted"


class AcceptedObjects:
    """Labels of accepted objects; they are kept as long as their layer is open."""

    def __init__(self) -> None:
        self._labels: WeakKeyDictionary[Labels, set[int]] = WeakKeyDictionary()

    def of(self, layer: Labels | None, table: ObjectTable | None) -> frozenset[int]:
        """Return the labels of the accepted objects that are in a table."""
        if layer is None or table is None:
            return frozenset()
        present = set(table.columns["label"].tolist())
        return frozenset(self._labels.get(layer, set()) & present)

    def toggle(self, layer: Labels, labels: Collection[int]) -> None:
        """Accept objects; if all of them are accepted already, take it back."""
        accepted = self._labels.setdefault(layer, set())
        if accepted.issuperset(labels):
            accepted.difference_update(labels)
        else:
            accepted.update(labels)

    def with_column(self, layer: Labels, table: ObjectTable) -> ObjectTable:
        """Return a table with a column of the accepted objects, if there were ever any.

        It stands behind the label, where it is seen without scrolling.
        """
        accepted = self._labels.get(layer)
        if accepted is None:
            return table
        columns: dict[str, NDArray[Any]] = {}
        for name, column in table.columns.items():
            if name != _COLUMN:
                columns[name] = column
            if name == "label":
                columns[_COLUMN] = np.isin(column, list(accepted))
        return replace(table, columns=columns)
