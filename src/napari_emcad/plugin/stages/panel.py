"""The Stages panel: which maps of the network's inside are shown, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_emcad.inference.stage_maps.specs import MAP_SPECS
from napari_emcad.interactive.suggest import MOST_SLICES
from napari_emcad.model.config import STAGES, STRIDES
from napari_emcad.plugin.stages.calibration_box import CalibrationBox
from napari_emcad.plugin.stages.readout import Readout
from napari_emcad.plugin.stages.request import StageChoices, class_names
from napari_emcad.plugin.widgets.bar_plot import BarPlot
from napari_emcad.plugin.widgets.helpers import collapsible, combo, form, row, scrollable, text
from napari_emcad.plugin.widgets.image_combo import ImageCombo

if TYPE_CHECKING:
    from napari_emcad.inference.stage_maps.specs import Group
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.layers.image_input import ImageInput, ScopeName

_SCOPES: dict[str, ScopeName] = {"Whole slice": "slice", "What I see": "view"}
_REACH = {"this slice": False, "whole stack": True}
_SUGGEST = "Steps through places where the model is undecided"
_CURSOR = "Under the cursor, probability"

_GROUPS: dict[Group, str] = {
    "class": "Class",
    "attention": "Attention",
    "features": "Features",
    "uncertainty": "Doubt",
}
"""Titles of the rows of check boxes; a row has the maps of one group."""

_CLASS_MAPS_PER_ROW = 2


class StagesPanel(QWidget):
    """Edits a `StageChoices` for an image layer; it starts nothing itself.

    Signals
    -------
    show_requested, remove_requested
        The user pressed Show, or Remove all maps.
    grid_requested
        Side by side, or not.
    suggest_requested, step_requested
        Places to paint are wanted, of the whole stack (True) or the slice on screen; or the next
        one (1) or the one before (-1).
    changed
        Any other choice.
    """

    show_requested = Signal()
    remove_requested = Signal()
    grid_requested = Signal(bool)
    suggest_requested = Signal(bool)
    step_requested = Signal(int)
    changed = Signal()

    def __init__(self, image_input: ImageInput) -> None:
        super().__init__()
        self._image = ImageCombo(image_input)
        self._stages = {n: _box(str(n), _stage_tip(n), True) for n in STAGES}
        self._kinds = {
            kind: _box(spec.label, spec.description, spec.preselected)
            for kind, spec in MAP_SPECS.items()
        }
        self._class, self._scope = combo(), combo(dict(_SCOPES))
        self._channels = QLineEdit()
        self._channels.setPlaceholderText("as colors, or such as 0, 17")
        self._channels.setToolTip("Numbers of single channels, from 0; empty for colors by PCA")
        self._follow = _box(
            "follow the slider",
            "Looks at each slice that comes on screen; slices seen before are kept as long as "
            "there is room",
        )
        self.bars, self.readout, self.calibration = BarPlot(), Readout(), CalibrationBox()
        self._status, self._reason, self._cursor = text(), text(), text(_CURSOR)
        self._show = QPushButton("Show")
        self._show.setStyleSheet("font-weight: bold; padding: 8px;")
        self._side_by_side = QPushButton("Side by side")
        self._side_by_side.setCheckable(True)
        self._side_by_side.setToolTip("The image and its maps in a grid, or one map on the image")
        self._remove = QPushButton("Remove all maps")
        self._suggest = QPushButton("Suggest")
        self._range = combo(dict(_REACH))
        self._range.setToolTip(
            f"Of a long stack {MOST_SLICES} slices are looked at, evenly spaced; the most doubtful "
            f"slice comes first"
        )
        self._range.setVisible(False)
        self._previous, self._next = QPushButton("◀"), QPushButton("▶")
        self._position = text()
        self._position.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._steps = row(self._previous, self._position, self._next)
        self._build()
        self._connect()
        self.show_suggested(0, 0)

    @property
    def following(self) -> bool:
        """Whether maps follow the slider."""
        return bool(self._follow.isChecked()) and self._rows.isRowVisible(self._follow)

    @property
    def _whole_stack(self) -> bool:
        """Whether places of the whole stack are wanted."""
        return bool(self._range.currentData()) and self._rows.isRowVisible(self._follow)

    @property
    def scope(self) -> ScopeName:
        """The slice, or what is on screen of it."""
        scope: ScopeName = self._scope.currentData()
        return scope

    def value(self) -> StageChoices:
        """Return the choices.

        Raises
        ------
        ValueError
            If the channels are no numbers.
        """
        part = self._class.currentData()
        return StageChoices(
            stages=tuple(n for n, box in self._stages.items() if box.isChecked()),
            kinds=tuple(kind for kind, box in self._kinds.items() if box.isChecked()),
            part=1 if part is None else part,
            channels=_numbers(self._channels.text()),
        )

    def set_value(self, value: StageChoices) -> None:
        """Show these choices."""
        for n, box in self._stages.items():
            box.setChecked(n in value.stages)
        for kind, box in self._kinds.items():
            box.setChecked(kind in value.kinds)
        self._class.setCurrentIndex(max(self._class.findData(value.part), 0))
        self._channels.setText(", ".join(map(str, value.channels)))

    def reset_choices(self) -> None:
        """List the image layers again."""
        self._image.reset_choices()

    def show_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Offer a network's classes; one that is still there stays chosen."""
        before, names = self._class.currentText(), class_names(checkpoint)
        self._class.clear()
        for part, name in names.items():
            self._class.addItem(name, part)
        self._class.setCurrentIndex(max(self._class.findText(before), 0) if names else -1)
        self._rows.setRowVisible(self._class, bool(names))

    def stop_following(self) -> None:
        """Follow the slider no longer."""
        self._follow.setChecked(False)

    def show_probed(self, class_name: str) -> None:
        """Say which class the numbers under the cursor are of; "" for the only one."""
        self._cursor.setText(_CURSOR + f" of {class_name}" * bool(class_name))

    def show_suggested(self, number: int, count: int) -> None:
        """Show which of the suggested places is at hand, from 1; no count for none."""
        self._position.setText(f"{number} of {count}" if count else "")
        self._steps.setVisible(bool(count))

    def show_suggest(self, reason: str) -> None:
        """Enable Suggest, or say why it is off."""
        self._suggest.setEnabled(not reason)
        self._suggest.setToolTip(reason or _SUGGEST)
        self._range.setEnabled(not reason)

    def show_status(self, status: str) -> None:
        """Show which slice the maps belong to."""
        self._status.setText(status)
        self._status.setVisible(bool(status))

    def show_state(self, reason: str, running: bool, stack: bool, maps: bool, beside: bool) -> None:
        """Show what may be done.

        Parameters
        ----------
        reason
            Why nothing can be looked at; "" if it can.
        running
            Whether a job runs; then the job bar says it.
        stack
            Whether there are slices to follow.
        maps
            Whether there are maps of ours.
        beside
            Whether they are side by side.
        """
        self._show.setEnabled(not reason)
        self._show.setToolTip(reason)
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason) and not running)
        self._rows.setRowVisible(self._follow, stack)
        self._range.setVisible(stack)
        self._remove.setEnabled(maps)
        self._side_by_side.setEnabled(maps or beside)
        self._side_by_side.setChecked(beside)
        features = any(
            box.isChecked() and MAP_SPECS[kind].group == "features"
            for kind, box in self._kinds.items()
        )
        self._rows.setRowVisible(self._channels, features)

    def _connect(self) -> None:
        self._show.clicked.connect(self.show_requested)
        self._remove.clicked.connect(self.remove_requested)
        self._suggest.clicked.connect(lambda: self.suggest_requested.emit(self._whole_stack))
        self._previous.clicked.connect(lambda: self.step_requested.emit(-1))
        self._next.clicked.connect(lambda: self.step_requested.emit(1))
        self._side_by_side.clicked.connect(self.grid_requested)
        for box in (*self._stages.values(), *self._kinds.values(), self._follow):
            box.toggled.connect(self.changed)
        for each in (self._class, self._scope):
            each.activated.connect(self.changed)
        self._channels.textChanged.connect(self.changed)

    def _build(self) -> None:
        self._rows, holder = form(), QWidget()
        self._rows.addRow(QLabel("Image"), self._image.native)
        self._rows.addRow(QLabel("Scope"), self._scope)
        self._rows.addRow(QLabel("Stages"), row(*self._stages.values()))
        for group, title in _GROUPS.items():
            kinds = [kind for kind, spec in MAP_SPECS.items() if spec.group == group]
            per_row = _CLASS_MAPS_PER_ROW if group == "class" else len(kinds)
            for first in range(0, len(kinds), per_row):
                boxes = row(*(self._kinds[kind] for kind in kinds[first : first + per_row]))
                self._rows.addRow(QLabel("" if first else title), boxes)
            if group == "class":
                self._rows.addRow(QLabel("… of"), self._class)
            if group == "features":
                self._rows.addRow(QLabel("Channels"), self._channels)
        self._rows.addRow(QLabel(""), self._follow)
        holder.setLayout(self._rows)
        self._status.setVisible(False)
        self.bars.setVisible(False)
        calibrated = collapsible("Can doubt be believed?", self.calibration)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scrollable(holder, self._status, self.bars, calibrated), 1)
        below = QVBoxLayout()
        below.setContentsMargins(8, 0, 8, 8)
        below.addWidget(self._cursor)
        below.addWidget(self.readout)
        below.addWidget(self._show)
        below.addWidget(row(self._side_by_side, self._remove))
        below.addWidget(row(self._suggest, self._range))
        below.addWidget(self._steps)
        below.addWidget(self._reason)
        column.addLayout(below)


def _box(title: str, tip: str = "", on: bool = False) -> QCheckBox:
    box = QCheckBox(title)
    box.setToolTip(tip)
    box.setChecked(on)
    return box


def _stage_tip(stage: int) -> str:
    which = {4: ", the deepest; it has no gate", 1: ", the finest"}.get(stage, "")
    return f"A map pixel covers {STRIDES[stage]} × {STRIDES[stage]} of the network's{which}"


def _numbers(said: str) -> tuple[int, ...]:
    parts = said.replace(",", " ").split()
    if not all(each.isdecimal() for each in parts):
        raise ValueError(f"Write channels as numbers, such as 0, 17; not {said.strip()!r}.")
    return tuple(dict.fromkeys(map(int, parts)))
