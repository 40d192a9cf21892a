"""The Segment tab's fields: which image, how it is read, how it is segmented."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.layers.geometry import levels
from napari_emcad.plugin.layers.image_input import SegmentOptions
from napari_emcad.plugin.segment.advanced_form import AdvancedForm
from napari_emcad.plugin.segment.axes_form import AxesForm
from napari_emcad.plugin.segment.clean_up_form import CleanUpForm
from napari_emcad.plugin.segment.code_buttons import CodeButtons
from napari_emcad.plugin.segment.file_buttons import FileButtons
from napari_emcad.plugin.segment.model_choice import ModelChoice
from napari_emcad.plugin.segment.range_box import RangeBox
from napari_emcad.plugin.segment.visible_classes import VisibleClasses
from napari_emcad.plugin.widgets.device_combo import DeviceCombo
from napari_emcad.plugin.widgets.helpers import (
    caption,
    collapsible,
    combo,
    form,
    list_items,
    scrollable,
    text,
)
from napari_emcad.plugin.widgets.image_combo import ImageCombo

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.io.checkpoints.instant_model import InstantModel
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.layers.image_input import ImageInput, ScopeName

_SCOPES: dict[ScopeName, str] = {
    "slice": "This slice",
    "view": "What I see",
    "layer": "Whole layer",
}

_RUN_TIP = "Segments the chosen image with the open model"


class SegmentPanel(QWidget):
    """Edits an `ImageInput`; it starts nothing itself.

    Parameters
    ----------
    image_input
        The chosen image and its options.
    settings
        Initial settings.

    Signals
    -------
    run_requested
        The user pressed Segment.
    """

    run_requested = Signal()

    def __init__(self, image_input: ImageInput, settings: InferenceSettings) -> None:
        super().__init__()
        self._input = image_input
        self._model: SegmentationModel | None = None
        self._followed: Image | None = None
        self.model = ModelChoice()
        self._axes = AxesForm()
        self._level, self._scope = combo(), combo()
        self._level.setToolTip("Resolution of the image that is segmented (the finest)")
        self._scope.setToolTip(
            "This slice (of a stack), the part of it that is on screen, or the whole layer"
        )
        self.device = DeviceCombo(settings.device)
        self.range_box = RangeBox()
        self._separate = QCheckBox("number single objects")
        self._separate.setToolTip(
            "Gives every object a number of its own; touching ones are separated"
        )
        self._new_layer = QCheckBox("in a new layer")
        self._new_layer.setToolTip("Otherwise the last result for this image is updated")
        self.clean_up, self._advanced = CleanUpForm(settings), AdvancedForm(settings)
        self.code, self.classes = CodeButtons(), VisibleClasses()
        self.classes_section = collapsible("Visible classes", self.classes)
        self.files = FileButtons(image_input)
        self._run = QPushButton("Segment")
        self._run.setStyleSheet("font-weight: bold; padding: 8px;")
        self._run.setToolTip(_RUN_TIP)
        self._run.clicked.connect(self.run_requested)
        self._reason = text()
        image_input.layer_changed.connect(self._show_layer)
        self._image = ImageCombo(image_input)
        self._build()
        self._connect()
        self._show_layer(image_input.layer)

    def show_instant(self, model: InstantModel) -> None:
        """Offer an instant model beside the open one."""
        self._rows.setRowVisible(self.model, True)
        self.model.show_instant(model)

    def show_model(self, model: SegmentationModel) -> None:
        """Adapt the fields to a network."""
        before, self._model = self._model, model
        self._advanced.enable_fields(tiled=model.preprocessing.size is None)
        self._enable_clean_up()
        if before is None or before.config.input_channels != model.config.input_channels:
            self._show_layer(self._input.layer)

    def _enable_clean_up(self, _: bool = False) -> None:
        binary = self._model is None or self._model.config.num_classes == 1
        self.clean_up.enable_fields(binary, self._separate.isChecked())

    def show_reason(self, reason: str, running: bool = False) -> None:
        """Enable Segment, or show why it is disabled; during a job the progress bar shows it."""
        self._run.setEnabled(not reason)
        self._run.setToolTip(reason or _RUN_TIP)
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason) and not running)

    @property
    def settings(self) -> InferenceSettings:
        """The settings of all fields."""
        settings = self.clean_up.value(self._advanced.value())
        clean_up = replace(settings.clean_up, separate=self._separate.isChecked())
        return replace(settings, clean_up=clean_up, device=self.device.currentData())

    def show_reading(
        self, axes: str, channels: tuple[int | None, ...] | None, level: int
    ) -> tuple[str, ...]:
        """Show how an image is read, and return the names of what does not fit the chosen one.

        Parameters
        ----------
        axes, channels, level
            As in `SegmentOptions`; "", None and 0 change nothing.
        """
        wrong = self._axes.choose(axes, channels)
        if level < self._level.count():
            self._level.setCurrentIndex(level)
        elif level:
            wrong = (*wrong, "level")
        self._publish()
        return wrong

    def set_settings(self, settings: InferenceSettings) -> None:
        """Show settings; the device stays."""
        self._separate.setChecked(settings.clean_up.separate)
        self.clean_up.set_value(settings)
        self._advanced.set_value(settings)

    def reset_choices(self) -> None:
        """List the image layers again."""
        self._image.reset_choices()

    def release(self) -> None:
        """Disconnect from the layer; the panel is not used again."""
        self._follow(None)

    def _show_layer(self, layer: Image | None) -> None:
        other = layer is not self._followed
        self._follow(layer)
        if other:  # it gets the scope and the resolution that suit it
            with QSignalBlocker(self._level), QSignalBlocker(self._scope):
                self._scope.clear()
                self._level.clear()
        self._show_shape()

    def _follow(self, layer: Image | None) -> None:
        """Listen for changes of the layer's data and axes."""
        if self._followed is not None:
            for event in (self._followed.events.data, self._followed.events.axis_labels):
                event.disconnect(self._show_shape)
        self._followed = layer
        if layer is not None:
            for event in (layer.events.data, layer.events.axis_labels):
                event.connect(self._show_shape)

    def _show_shape(self, _: object = None) -> None:
        layer, channels = self._input.layer, 3
        if self._model is not None:
            channels = self._model.config.input_channels
        self._axes.show_layer(layer, channels)
        with QSignalBlocker(self._level), QSignalBlocker(self._scope):
            self._list_levels(layer)
            self._list_scopes(layer)
        self._publish()

    def _publish(self, _: object = None) -> None:
        """Set the options of the image input to those of the fields."""
        problem = self._axes.problem
        options = None if problem or self._input.layer is None else self._options()
        self._input.set_options(options, problem, self.device.currentData())

    def _options(self) -> SegmentOptions:
        return SegmentOptions(
            axes=self._axes.axes,
            channels=self._axes.channels,
            level=self._level.currentIndex(),
            scope=self._scope.currentData(),
            settings=self.settings,
            new_layer=self._new_layer.isChecked(),
        )

    def _list_levels(self, layer: Image | None) -> None:
        shapes = [level.array.shape[: layer.ndim] for level in levels(layer)] if layer else []
        chosen = self._level.currentIndex() if self._level.count() == len(shapes) else 0
        list_items(self._level, [(" × ".join(map(str, shape)), None, "") for shape in shapes])
        self._level.setCurrentIndex(chosen if shapes else -1)
        self._rows.setRowVisible(self._level, len(shapes) > 1)

    def _list_scopes(self, layer: Image | None) -> None:
        stack = layer is not None and layer.ndim > 2
        before, chosen = self._scope.count(), self._scope.currentData()
        offered = {key: title for key, title in _SCOPES.items() if stack or key != "slice"}
        list_items(self._scope, [(title, key, "") for key, title in offered.items()])
        default = "slice" if stack else "layer"
        same = before == len(offered)
        self._scope.setCurrentIndex(self._scope.findData(chosen if same else default))

    def _connect(self) -> None:
        self._axes.changed.connect(self._publish)
        self._advanced.changed.connect(self._publish)
        self.clean_up.changed.connect(self._publish)
        self._separate.toggled.connect(self._enable_clean_up)
        for box in (self._scope, self._level, self.device):
            box.currentIndexChanged.connect(self._publish)
        for check in (self._separate, self._new_layer):
            check.toggled.connect(self._publish)

    def _build(self) -> None:
        rows, self._rows = QWidget(), form()
        self._rows.addRow(caption("Image"), self._image.native)
        self._rows.addRow(caption("Model"), self.model)
        self._rows.addRow(self._axes)
        self._rows.addRow(caption("Resolution"), self._level)
        self._rows.addRow(caption("Scope"), self._scope)
        self._rows.addRow(caption("Processor"), self.device)
        self._rows.addRow(caption("Result"), self._separate)
        self._rows.addRow(caption(""), self._new_layer)
        rows.setLayout(self._rows)
        self._rows.setRowVisible(self.model, False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        sections = (
            self.classes_section,
            collapsible("Clean up", self.clean_up),
            collapsible("Advanced", self._advanced, self.files, self.code),
        )
        column.addWidget(scrollable(rows, *sections), 1)
        below = QVBoxLayout()
        below.setContentsMargins(8, 0, 8, 8)
        below.addWidget(self.range_box)
        below.addWidget(self._run)
        below.addWidget(self._reason)
        column.addLayout(below)
