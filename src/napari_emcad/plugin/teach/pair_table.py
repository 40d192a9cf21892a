"""The list of images that are learned from, each with its annotation and what its numbers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox

from napari_emcad.plugin.widgets.helpers import steady
from napari_emcad.plugin.widgets.table import RowTable

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from qtpy.QtWidgets import QTableWidgetItem

    from napari_emcad.annotation.label_rules import Meaning
    from napari_emcad.interactive.project import Pair

_IMAGE, _ANNOTATION, _MEANS = range(3)
_MEANINGS: dict[Meaning, str] = {"scribbles": "strokes", "mask": "mask", "objects": "objects"}
_MEANS_WIDTH = 88
_TIPS = {
    "scribbles": "0 is unpainted: only strokes are learned; 255 is background",
    "mask": "0 is background: every pixel of a painted slice is learned",
    "objects": "0 is background; every other number is an object of class 1",
}


class PairTable(RowTable):
    """Lists pairs; ticks and meanings are changed here.

    Signals
    -------
    ticked
        Key of a pair, and whether it counts.
    meaning_chosen
        Key of a pair and what its numbers are to mean.
    chosen
        Key of the pair that was clicked.
    """

    ticked = Signal(object, bool)
    meaning_chosen = Signal(object, str)
    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__(("Image", "Annotation", "Means"), wide=(_IMAGE, _ANNOTATION), most=4)
        self.fix_width(_MEANS, _MEANS_WIDTH)
        self._pairs: list[Pair] = []
        self.itemChanged.connect(self._changed)
        self.cellClicked.connect(lambda row, _: self.chosen.emit(self._pairs[row].key))

    def show_pairs(self, pairs: Sequence[Pair], annotations: Mapping[Hashable, str]) -> None:
        """Show pairs, with the names of their annotation layers."""
        self._pairs = list(pairs)
        with QSignalBlocker(self):
            self.set_count(len(pairs))
            for row, pair in enumerate(pairs):
                self._show_row(row, pair, annotations.get(pair.key, ""))

    def show_current(self, key: Hashable | None) -> None:
        """Show which pair is painted on."""
        rows = [row for row, pair in enumerate(self._pairs) if pair.key == key]
        with QSignalBlocker(self):
            if rows:
                self.setCurrentCell(rows[0], _IMAGE)
            else:
                self.setCurrentCell(-1, -1)

    def _show_row(self, row: int, pair: Pair, annotation: str) -> None:
        item = self.put(row, _IMAGE, pair.name)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked if pair.ticked else Qt.CheckState.Unchecked)
        self.put(row, _ANNOTATION, annotation)
        box = self.cellWidget(row, _MEANS)
        if not isinstance(box, QComboBox):
            box = QComboBox()
            steady(box)
            for key, title in _MEANINGS.items():
                box.addItem(title, key)
                box.setItemData(box.count() - 1, _TIPS[key], Qt.ItemDataRole.ToolTipRole)
            box.activated.connect(lambda _, b=box: self._meaning_chosen(b))
            self.setCellWidget(row, _MEANS, box)
        box.setCurrentIndex(box.findData(pair.rule.meaning))
        box.setToolTip(_TIPS[pair.rule.meaning])

    def _meaning_chosen(self, box: QComboBox) -> None:
        for row, pair in enumerate(self._pairs):
            if self.cellWidget(row, _MEANS) is box and box.currentData() != pair.rule.meaning:
                self.meaning_chosen.emit(pair.key, box.currentData())

    def _changed(self, item: QTableWidgetItem) -> None:
        if item.column() == _IMAGE:
            on = item.checkState() == Qt.CheckState.Checked
            self.ticked.emit(self._pairs[item.row()].key, on)
