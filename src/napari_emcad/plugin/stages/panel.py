"""The fields of the Stages tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.stages.calibration_box import CalibrationBox
from napari_emcad.plugin.stages.map_fields import MapFields, check_box
from napari_emcad.plugin.stages.readout import Readout
from napari_emcad.plugin.widgets.bar_plot import BarPlot
from napari_emcad.plugin.widgets.helpers import collapsible, combo, form, row, scrollable, text
from napari_emcad.plugin.widgets.image_combo import ImageCombo

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.layers.image_input import ImageInput, ScopeName
    from napari_emcad.plugin.stages.request import StageChoices

_SCOPES: dict[str, ScopeName] = {"Whole slice": "slice", "What I see": "view"}
_CURSOR = "Under the cursor, probability"
_FOLLOW_TIP = "Computes the maps of every visible slice; those of recent slices are kept in memory"


_SHOW_TIP = "Computes the chosen maps and adds them as layers"


class StagesPanel(QWidget):
    """Edits a `StageChoices` for an image layer; it starts nothing itself.

    Parameters
    ----------
    image_input
        The chosen image.

    Signals
    -------
    show_requested
        The user pressed Show.
    remove_requested
        The user pressed Remove all maps.
    grid_requested
        The user switched Side by side on or off.
    changed
        Another choice has changed.
    """

    show_requested = Signal()
    remove_requested = Signal()
    grid_requested = Signal(bool)
    changed = Signal()

    def __init__(self, image_input: ImageInput) -> None:
        super().__init__()
        self._image = ImageCombo(image_input)
        self._scope = combo(dict(_SCOPES))
        self._scope.setToolTip("The visible slice, or the part of it that is on screen")
        self._follow = check_box("follow the slider", _FOLLOW_TIP)
        self.bars, self.readout = BarPlot(), Readout()
        self.calibration = CalibrationBox()
        self._status, self._reason, self._cursor = text(), text(), text(_CURSOR)
        self._show = QPushButton("Show")
        self._show.setStyleSheet("font-weight: bold; padding: 8px;")
        self._show.setToolTip(_SHOW_TIP)
        self._side_by_side = QPushButton("Side by side")
        self._side_by_side.setCheckable(True)
        self._side_by_side.setToolTip("The image and its maps in a grid, or one map on the image")
        self._remove = QPushButton("Remove all maps")
        self._remove.setToolTip("Removes the layers of all maps")
        self._build()
        self._connect()

    @property
    def following(self) -> bool:
        """Whether maps follow the slider."""
        return bool(self._follow.isChecked()) and self._rows.isRowVisible(self._follow)

    @property
    def scope(self) -> ScopeName:
        """The visible slice, or its visible part."""
        scope: ScopeName = self._scope.currentData()
        return scope

    def value(self) -> StageChoices:
        """Return the chosen maps.

        Raises
        ------
        ValueError
            If the channels are not numbers.
        """
        return self._maps.value()

    def set_value(self, value: StageChoices) -> None:
        """Choose maps."""
        self._maps.set_value(value)

    def reset_choices(self) -> None:
        """List the image layers again."""
        self._image.reset_choices()

    def show_checkpoint(self, checkpoint: Checkpoint) -> None:
        """List the classes of a network; a class of the same name stays chosen."""
        self._maps.show_checkpoint(checkpoint)

    def stop_following(self) -> None:
        """Uncheck following the slider."""
        self._follow.setChecked(False)

    def show_cursor_class(self, class_name: str) -> None:
        """Show the class of the probabilities under the cursor; "" for a binary network."""
        self._cursor.setText(_CURSOR + f" of {class_name}" * bool(class_name))

    def show_status(self, status: str) -> None:
        """Show which slice the maps belong to."""
        self._status.setText(status)
        self._status.setVisible(bool(status))

    def show_state(
        self, reason: str, running: bool, has_stack: bool, has_maps: bool, side_by_side: bool
    ) -> None:
        """Enable the buttons that can be used now.

        Parameters
        ----------
        reason
            Reason why no maps can be computed, or "".
        running
            Whether a job runs; the job bar then shows the reason.
        has_stack
            Whether the image is a stack.
        has_maps
            Whether maps are shown.
        side_by_side
            Whether maps are side by side.
        """
        self._show.setEnabled(not reason)
        self._show.setToolTip(reason or _SHOW_TIP)
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason) and not running)
        self._rows.setRowVisible(self._follow, has_stack)
        self._remove.setEnabled(has_maps)
        self._side_by_side.setEnabled(has_maps or side_by_side)
        self._side_by_side.setChecked(side_by_side)
        self._maps.update_channels()

    def _connect(self) -> None:
        self._show.clicked.connect(self.show_requested)
        self._remove.clicked.connect(self.remove_requested)
        self._side_by_side.clicked.connect(self.grid_requested)
        self._maps.changed.connect(self.changed)
        self._follow.toggled.connect(self.changed)
        self._scope.activated.connect(self.changed)

    def _build(self) -> None:
        self._rows, holder = form(), QWidget()
        self._rows.addRow(QLabel("Image"), self._image.native)
        self._rows.addRow(QLabel("Scope"), self._scope)
        self._maps = MapFields(self._rows)
        self._rows.addRow(QLabel(""), self._follow)
        holder.setLayout(self._rows)
        self._status.setVisible(False)
        self.bars.setVisible(False)
        calibration = collapsible("Is the uncertainty reliable?", self.calibration)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scrollable(holder, self._status, self.bars, calibration), 1)
        below = QVBoxLayout()
        below.setContentsMargins(8, 0, 8, 8)
        below.addWidget(self._cursor)
        below.addWidget(self.readout)
        below.addWidget(self._show)
        below.addWidget(row(self._side_by_side, self._remove))
        below.addWidget(self._reason)
        column.addLayout(below)
