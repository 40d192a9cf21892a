"""The table of annotated images: whether they are used, and what their values mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox

from napari_emcad.plugin.widgets.helpers import require_focus_for_wheel
from napari_emcad.plugin.widgets.table import RowTable

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from qtpy.QtWidgets import QTableWidgetItem

    from napari_emcad.annotation.label_rules import Meaning
    from napari_emcad.interactive.annotation_entry import AnnotationEntry

_IMAGE, _ANNOTATION, _MEANING = range(3)
_MEANINGS: dict[Meaning, str] = {"scribbles": "strokes", "mask": "mask", "objects": "objects"}
_MEANING_WIDTH = 88
_TIPS = {
    "scribbles": "0 is unlabeled: only strokes are learned; 255 is background",
    "mask": "0 is background: every pixel of an annotated slice is learned",
    "objects": "0 is background; every other value is an object of class 1",
}


class AnnotationTable(RowTable):
    """Lists annotations; their use and the meaning of their values are edited here.

    Signals
    -------
    enabled_changed
        Key of an annotation, and whether it is used for training.
    meaning_chosen
        Key of an annotation, and the new meaning of its values.
    chosen
        Key of the annotation that was clicked.
    """

    enabled_changed = Signal(object, bool)
    meaning_chosen = Signal(object, str)
    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__(("Image", "Annotation", "Meaning"), wide=(_IMAGE, _ANNOTATION), most=4)
        self.setToolTip("Annotations of all images; ticked ones are learned")
        self.fix_width(_MEANING, _MEANING_WIDTH)
        self._entries: list[AnnotationEntry] = []
        self.itemChanged.connect(self._item_changed)
        self.cellClicked.connect(lambda row, _: self.chosen.emit(self._entries[row].key))
        self.row_chosen.connect(lambda row: self.chosen.emit(self._entries[row].key))

    def show_entries(
        self, entries: Sequence[AnnotationEntry], layer_names: Mapping[Hashable, str]
    ) -> None:
        """Show annotations, with the names of their layers by key."""
        self._entries = list(entries)
        with QSignalBlocker(self):
            self.set_count(len(entries))
            for row, entry in enumerate(entries):
                self._show_row(row, entry, layer_names.get(entry.key, ""))

    def show_current(self, key: Hashable | None) -> None:
        """Select the annotation that is being painted."""
        rows = [row for row, entry in enumerate(self._entries) if entry.key == key]
        with QSignalBlocker(self):
            self.select(rows[0] if rows else -1, _IMAGE)

    def _show_row(self, row: int, entry: AnnotationEntry, layer_name: str) -> None:
        """Show image, annotation layer and meaning of the values of an annotation in a row."""
        item = self.put(row, _IMAGE, entry.name, checkable=True)
        state = Qt.CheckState.Checked if entry.enabled else Qt.CheckState.Unchecked
        if item.checkState() != state:
            item.setCheckState(state)
        self.put(row, _ANNOTATION, layer_name)
        box = self.cellWidget(row, _MEANING)
        if not isinstance(box, QComboBox):
            box = self._meaning_box()
            self.setCellWidget(row, _MEANING, box)
        box.setCurrentIndex(box.findData(entry.rule.meaning))
        box.setToolTip(_TIPS[entry.rule.meaning])

    def _meaning_box(self) -> QComboBox:
        box = QComboBox()
        require_focus_for_wheel(box)
        for key, title in _MEANINGS.items():
            box.addItem(title, key)
            box.setItemData(box.count() - 1, _TIPS[key], Qt.ItemDataRole.ToolTipRole)
        box.activated.connect(lambda _: self._choose_meaning(box))
        return box

    def _choose_meaning(self, box: QComboBox) -> None:
        for row, entry in enumerate(self._entries):
            if self.cellWidget(row, _MEANING) is box and box.currentData() != entry.rule.meaning:
                self.meaning_chosen.emit(entry.key, box.currentData())

    def _item_changed(self, item: QTableWidgetItem) -> None:
        if item.column() == _IMAGE:
            enabled = item.checkState() == Qt.CheckState.Checked
            self.enabled_changed.emit(self._entries[item.row()].key, enabled)
