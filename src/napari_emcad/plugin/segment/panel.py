"""The Segment panel: what to segment, and how."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.layers.geometry import levels, unwrapped
from napari_emcad.plugin.segment.advanced_form import AdvancedForm
from napari_emcad.plugin.segment.axes_form import AxesForm
from napari_emcad.plugin.widgets.device_combo import DeviceCombo
from napari_emcad.plugin.widgets.helpers import caption, combo, folded, form, scrolled, text
from napari_emcad.plugin.widgets.image_combo import image_combo, list_again

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

from napari_emcad.plugin.layers.image_input import ScopeName, SegmentChoices

_SCOPES: dict[ScopeName, str] = {
    "slice": "This slice",
    "view": "What I see",
    "layer": "Whole layer",
}


class SegmentPanel(QWidget):
    """Edits a `SegmentChoices` for an image layer; it runs nothing itself.

    Signals
    -------
    run_wanted
        The user pressed Run.
    value_changed
        Anything was changed that may decide whether a run is possible.
    """

    run_wanted = Signal()
    value_changed = Signal()

    def __init__(self, settings: InferenceSettings) -> None:
        super().__init__()
        self._checkpoint: Checkpoint | None = None
        self._followed: Image | None = None
        self._image = image_combo()
        self._image.changed.connect(self._show_layer)
        self._axes = AxesForm()
        self._axes.changed.connect(self.value_changed)
        self._level, self._scope = combo(), combo()
        self.device = DeviceCombo(settings.device)
        self._separate = QCheckBox("number single objects")
        self._separate.setToolTip("Each object gets a number of its own; touching ones are parted")
        self._anew = QCheckBox("in a new layer")
        self._anew.setToolTip("Otherwise the last result for this image is updated")
        self._advanced = AdvancedForm(settings)
        self._run = QPushButton("Segment")
        self._run.setStyleSheet("font-weight: bold; padding: 8px;")
        self._run.clicked.connect(self.run_wanted)
        self._reason = text()
        self._build()
        self._show_layer(None)

    @property
    def layer(self) -> Image | None:
        """The image that is chosen."""
        layer: Image | None = self._image.value
        return layer

    @property
    def problem(self) -> str:
        """Why these choices cannot be run, or ""; what only the viewer knows is not asked."""
        return "Open an image first." if self.layer is None else self._axes.problem

    def value(self) -> SegmentChoices:
        """Return the choices; only without a `problem`."""
        settings = self._advanced.value()
        clean_up = replace(settings.clean_up, separate=self._separate.isChecked())
        return SegmentChoices(
            axes=self._axes.axes,
            channels=self._axes.channels,
            level=self._level.currentIndex(),
            scope=self._scope.currentData(),
            settings=replace(settings, clean_up=clean_up, device=self.device.currentData()),
            anew=self._anew.isChecked(),
        )

    def choose_layer(self, layer: Image) -> None:
        """Choose an image as the user would; what is no image any more is not chosen."""
        if layer in self._image.choices:
            self._image.value = layer

    def show_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Suit the panel to a network."""
        before, self._checkpoint = self._checkpoint, checkpoint
        binary = checkpoint.config.num_classes == 1
        self._advanced.suit(binary, tiled=checkpoint.preprocessing.size is None)
        if before is None or before.config.input_channels != checkpoint.config.input_channels:
            self._show_layer(self.layer)

    def show_reason(self, reason: str, running: bool = False) -> None:
        """Enable Run, or say why it is off; while a job runs the job bar says it."""
        self._run.setEnabled(not reason)
        self._run.setToolTip(reason)
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason) and not running)

    def reset_choices(self) -> None:
        """List the image layers again."""
        if list_again(self._image, self._followed):
            self._show_layer(self.layer)

    def _show_layer(self, layer: Image | None) -> None:
        self._follow(layer)
        self._show_shape()

    def release(self) -> None:
        """Let go of the layer; the panel is not used again."""
        self._follow(None)

    def _follow(self, layer: Image | None) -> None:
        """Hear when the layer's data or axes are replaced."""
        layer = unwrapped(layer)
        if self._followed is not None:
            for event in (self._followed.events.data, self._followed.events.axis_labels):
                event.disconnect(self._show_shape)
        self._followed = layer
        if layer is not None:
            for event in (layer.events.data, layer.events.axis_labels):
                event.connect(self._show_shape)

    def _show_shape(self, _: object = None) -> None:
        layer, inputs = self.layer, 3
        if self._checkpoint is not None:
            inputs = self._checkpoint.config.input_channels
        self._axes.show_layer(layer, inputs)
        self._list_levels(layer)
        self._list_scopes(layer)
        self.value_changed.emit()

    def _list_levels(self, layer: Image | None) -> None:
        self._level.clear()
        shapes = [each.array.shape[: layer.ndim] for each in levels(layer)] if layer else []
        for shape in shapes:
            self._level.addItem(" × ".join(map(str, shape)))
        self._rows.setRowVisible(self._level, len(shapes) > 1)

    def _list_scopes(self, layer: Image | None) -> None:
        stack = layer is not None and layer.ndim > 2
        self._scope.clear()
        for key, title in _SCOPES.items():
            if stack or key != "slice":
                self._scope.addItem(title, key)
        self._scope.setCurrentIndex(self._scope.findData("slice" if stack else "layer"))

    def _build(self) -> None:
        rows, self._rows = QWidget(), form()
        self._rows.addRow(caption("Image"), self._image.native)
        self._rows.addRow(self._axes)
        self._rows.addRow(caption("Resolution"), self._level)
        self._rows.addRow(caption("Scope"), self._scope)
        self._rows.addRow(caption("Processor"), self.device)
        self._rows.addRow(caption("Result"), self._separate)
        self._rows.addRow(caption(""), self._anew)
        rows.setLayout(self._rows)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scrolled(rows, folded("Advanced", self._advanced)), 1)
        below = QVBoxLayout()
        below.setContentsMargins(8, 0, 8, 8)
        below.addWidget(self._run)
        below.addWidget(self._reason)
        column.addLayout(below)
        for each in (self._scope, self._level, self.device):
            each.activated.connect(self.value_changed)
