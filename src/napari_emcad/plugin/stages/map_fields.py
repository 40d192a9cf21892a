"""The fields that choose maps: stages, kinds, class and channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QLineEdit

from napari_emcad.inference.stage_maps.specs import MAP_SPECS
from napari_emcad.model.config import STAGES, STRIDES
from napari_emcad.plugin.stages.map_help import with_help
from napari_emcad.plugin.stages.request import StageChoices, class_names
from napari_emcad.plugin.widgets.helpers import combo, list_items, row

if TYPE_CHECKING:
    from napari_emcad.inference.stage_maps.specs import Group
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_GROUPS: dict[Group, str] = {
    "class": "Class",
    "attention": "Attention",
    "features": "Features",
    "uncertainty": "Uncertainty",
}
"""Titles of the rows of check boxes; a row has the maps of one group."""

_MAPS_PER_ROW = 2
"""More are wider than the panel in large text or beside a long title."""


class MapFields(QObject):
    """Edits a `StageChoices`.

    Parameters
    ----------
    rows
        Form layout to which the fields are added.

    Signals
    -------
    changed
        A choice has changed.
    """

    changed = Signal()

    def __init__(self, rows: QFormLayout) -> None:
        super().__init__()
        self._rows = rows
        self._stages = {n: check_box(str(n), _stage_tip(n), True) for n in STAGES}
        self._kinds = {
            kind: check_box(spec.label, spec.description, spec.preselected)
            for kind, spec in MAP_SPECS.items()
        }
        self._class = combo()
        self._class.setToolTip("Class whose maps are shown")
        self._channels = QLineEdit()
        self._channels.setPlaceholderText("as colors, or such as 0, 17")
        self._channels.setToolTip("Numbers of single channels, from 0; empty for colors by PCA")
        self._add_rows()
        for box in (*self._stages.values(), *self._kinds.values()):
            box.toggled.connect(self.changed)
        self._class.activated.connect(self.changed)
        self._channels.textChanged.connect(self.changed)

    def value(self) -> StageChoices:
        """Return the choices.

        Raises
        ------
        ValueError
            If the channels are not numbers.
        """
        part = self._class.currentData()
        return StageChoices(
            stages=tuple(n for n, box in self._stages.items() if box.isChecked()),
            kinds=tuple(kind for kind, box in self._kinds.items() if box.isChecked()),
            part=1 if part is None else part,
            channels=_parse_channels(self._channels.text()),
        )

    def set_value(self, value: StageChoices) -> None:
        """Show choices."""
        for n, box in self._stages.items():
            box.setChecked(n in value.stages)
        for kind, box in self._kinds.items():
            box.setChecked(kind in value.kinds)
        self._class.setCurrentIndex(max(self._class.findData(value.part), 0))
        self._channels.setText(", ".join(map(str, value.channels)))

    def show_checkpoint(self, checkpoint: Checkpoint) -> None:
        """List the classes of a network; a class of the same name stays chosen."""
        before, names = self._class.currentText(), class_names(checkpoint)
        list_items(self._class, [(name, part, "") for part, name in names.items()])
        self._class.setCurrentIndex(max(self._class.findText(before), 0) if names else -1)
        self._rows.setRowVisible(self._class, bool(names))

    def update_channels(self) -> None:
        """Show the field for channels if maps of features are chosen."""
        chosen = (kind for kind, box in self._kinds.items() if box.isChecked())
        features = any(MAP_SPECS[kind].group == "features" for kind in chosen)
        self._rows.setRowVisible(self._channels, features)

    def _add_rows(self) -> None:
        self._rows.addRow(QLabel("Stages"), row(*self._stages.values()))
        for group, title in _GROUPS.items():
            kinds = [kind for kind, spec in MAP_SPECS.items() if spec.group == group]
            for first in range(0, len(kinds), _MAPS_PER_ROW):
                shown = kinds[first : first + _MAPS_PER_ROW]
                boxes = row(*(with_help(self._kinds[kind], kind) for kind in shown))
                self._rows.addRow(QLabel("" if first else title), boxes)
            if group == "class":
                self._rows.addRow(QLabel("… of"), self._class)
            if group == "features":
                self._rows.addRow(QLabel("Channels"), self._channels)


def check_box(title: str, tip: str = "", checked: bool = False) -> QCheckBox:
    """Return a check box with a tool tip."""
    box = QCheckBox(title)
    box.setToolTip(tip)
    box.setChecked(checked)
    return box


def _stage_tip(stage: int) -> str:
    suffix = {4: ", the deepest; it has no gate", 1: ", the finest"}.get(stage, "")
    return f"A map pixel covers {STRIDES[stage]} × {STRIDES[stage]} input pixels{suffix}"


def _parse_channels(line: str) -> tuple[int, ...]:
    words = line.replace(",", " ").split()
    if not all(word.isdecimal() for word in words):
        raise ValueError(f"Write channels as numbers, such as 0, 17; not {line.strip()!r}.")
    return tuple(dict.fromkeys(map(int, words)))
