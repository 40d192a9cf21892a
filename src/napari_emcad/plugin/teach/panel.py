"""The Teach tab's fields: annotations, classes, training and versions."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_emcad.plugin.project.box import ProjectBox
from napari_emcad.plugin.review.box import ReviewBox
from napari_emcad.plugin.teach.annotation_table import AnnotationTable
from napari_emcad.plugin.teach.class_table import ClassTable
from napari_emcad.plugin.teach.instant_controller import InstantState
from napari_emcad.plugin.teach.suggest_box import SuggestBox
from napari_emcad.plugin.teach.train_form import TrainForm
from napari_emcad.plugin.teach.training_controller import LiveState
from napari_emcad.plugin.teach.version_list import VersionList
from napari_emcad.plugin.widgets.helpers import (
    caption,
    collapsible,
    form,
    literal,
    row,
    scrollable,
    text,
)
from napari_emcad.plugin.widgets.image_combo import ImageCombo
from napari_emcad.plugin.widgets.training_plot import TrainingPlot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

    from napari_emcad.interactive.instant_events import Shown
    from napari_emcad.plugin.layers.image_input import ImageInput


class TeachPanel(QWidget):
    """Shows annotations, classes, training settings and versions; it starts nothing itself.

    Parameters
    ----------
    image_input
        The chosen image.

    Signals
    -------
    image_chosen
        The image that the user has chosen in the image box.
    annotation_requested
        A new annotation layer for the chosen image.
    layer_requested
        A Labels layer to use as the annotation of the chosen image.
    correction_requested
        The visible prediction copied into the annotation.
    fill_requested
        The class that is painted, filled between the slices on which it was painted.
    visibility_requested
        ``"annotation"`` or ``"prediction"`` to be shown or hidden.
    train_requested, update_requested
        The user pressed Train, or Update now.
    live_requested, instant_requested
        Live or Instant mode on or off.
    """

    image_chosen = Signal(object)
    annotation_requested = Signal()
    layer_requested = Signal(object)
    correction_requested = Signal()
    fill_requested = Signal()
    visibility_requested = Signal(str)
    train_requested = Signal()
    update_requested = Signal()
    live_requested = Signal(bool)
    instant_requested = Signal(bool)

    def __init__(self, image_input: ImageInput) -> None:
        super().__init__()
        self._image = ImageCombo(image_input)
        self._image.chosen.connect(self.image_chosen.emit)
        self.annotations, self.classes = AnnotationTable(), ClassTable()
        self.form, self.curve, self.versions = TrainForm(), TrainingPlot(), VersionList()
        self.suggest, self.project, self.review = SuggestBox(), ProjectBox(), ReviewBox()
        self._new = QPushButton("New annotation")
        self._new.setToolTip("An empty layer on the image, to paint strokes on")
        self._new.clicked.connect(self.annotation_requested)
        self._use = QPushButton("Use a layer")
        self._use.setToolTip("A labels layer that you have: strokes, a mask or single objects")
        self._layers, self._listed = QMenu(self._use), list[tuple[Hashable, str]]()
        self._use.setMenu(self._layers)
        self._correct = QPushButton("Correct the prediction")
        self._correct.setToolTip(
            "Copies the visible prediction into the annotation where it is not annotated yet"
        )
        self._correct.clicked.connect(self.correction_requested)
        self._fill = QPushButton("Fill between slices")
        self._fill.setToolTip(
            "Fills the class that you paint on the slices between those on which you painted it; "
            "Ctrl+Z undoes it"
        )
        self._fill.clicked.connect(self.fill_requested)
        self._annotation, self._prediction = QCheckBox("annotation"), QCheckBox("prediction")
        self._annotation.setToolTip("Alt+A")
        self._prediction.setToolTip("Alt+S")
        self._annotation.clicked.connect(lambda: self.visibility_requested.emit("annotation"))
        self._prediction.clicked.connect(lambda: self.visibility_requested.emit("prediction"))
        self._score, self._reason, self._remark = text(), text(), text()
        self._source = text()
        self._train = QPushButton("Train")
        self._train.setStyleSheet("font-weight: bold; padding: 8px;")
        self._train.clicked.connect(self.train_requested)
        self._update = QPushButton("Update now")
        self._update.setToolTip("Trains for a few seconds (Alt+U)")
        self._update.clicked.connect(self.update_requested)
        self._live = QPushButton("Live: off")
        self._live.setCheckable(True)
        self._live.setToolTip("Trains a little after every stroke and predicts the visible part")
        self._live.toggled.connect(self.live_requested)
        self._instant = QPushButton("Instant: off")
        self._instant.setCheckable(True)
        self._instant.setToolTip(
            "Predicts the visible part after every stroke without a training, from the features of "
            "a general encoder; for images that the model does not know (Alt+I)"
        )
        self._instant.toggled.connect(self.instant_requested)
        self._build()

    def reset_choices(self) -> None:
        """List the image layers again."""
        self._image.reset_choices()

    def show_layers(self, layers: Sequence[Labels], has_image: bool) -> None:
        """Offer Labels layers as annotations of the chosen image, and what else needs an image."""
        listed = [(layer.unique_id, layer.name) for layer in layers]
        if listed != self._listed:  # else the menu would close while the user reads it
            self._listed = listed
            self._layers.clear()
            for layer in layers:
                action = self._layers.addAction(literal(layer.name))
                action.triggered.connect(partial(self._emit_layer, layer))
        self._use.setEnabled(bool(layers) and has_image)
        self._new.setEnabled(has_image)
        for button in (self._live, self._instant):
            usable = has_image or button.isChecked()  # what is on can be switched off
            button.setEnabled(usable)
            button.setToolTip(button.property("tip") if usable else "Open an image first.")

    def _emit_layer(self, layer: Labels, _: bool = False) -> None:
        self.layer_requested.emit(layer)

    def toggle_instant(self) -> None:
        """Switch Instant mode on or off."""
        self._instant.toggle()

    def show_source(self, shown: Shown) -> None:
        """Show whose prediction is on the canvas."""
        self._source.setText(shown.message)
        self._source.setVisible(True)

    def show_state(
        self,
        reason: str,
        score: str,
        busy: bool,
        live: LiveState,
        instant: InstantState,
        updating: bool,
    ) -> None:
        """Enable the buttons and show the state of the training.

        Parameters
        ----------
        reason
            Reason why nothing can be learned; "" if it can.
        score
            Score on held-out pixels, or the reason why there is none.
        busy
            Whether a job runs that has to be waited for.
        live, instant
            States of Live and Instant mode.
        updating
            Whether a live update runs.
        """
        for button in (self._train, self._update):
            button.setEnabled(not reason and (not busy or updating))
            button.setToolTip(reason or button.property("tip"))
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason) and not busy)
        self._score.setText(score)
        self._score.setVisible(bool(score))
        self._live.setText(f"Live: {live.value}")
        self._instant.setText(f"Instant: {instant.value}")
        live_is_on, instant_is_on = live is not LiveState.OFF, instant is not InstantState.OFF
        for button, is_on in ((self._live, live_is_on), (self._instant, instant_is_on)):
            if button.isChecked() != is_on:
                button.setChecked(is_on)
        if not (live_is_on or instant_is_on):
            self._source.setVisible(False)
        self.curve.setVisible(not self.curve.empty)

    def show_remark(self, remark: str) -> None:
        """Show a remark on how an annotation is read; "" removes it."""
        self._remark.setText(remark)
        self._remark.setVisible(bool(remark))

    def show_visible(
        self, annotation: bool | None, prediction: bool | None, correctable: bool, stacked: bool
    ) -> None:
        """Show which layers are visible, and which tools can be used.

        Parameters
        ----------
        annotation, prediction
            Whether the layer is visible; None if there is none.
        correctable
            Whether there is a prediction to correct.
        stacked
            Whether the annotation has several slices.
        """
        for box, visible in ((self._annotation, annotation), (self._prediction, prediction)):
            box.setEnabled(visible is not None)
            box.setChecked(bool(visible))
        self._correct.setEnabled(correctable)
        self._shown.setRowVisible(self._fill, stacked)

    def _build(self) -> None:
        for button in (self._train, self._update, self._live, self._instant):
            button.setProperty("tip", button.toolTip())
        top = QWidget()
        rows = form(top)
        rows.addRow(caption("Image"), self._image.native)
        rows.addRow(caption(""), row(self._new, self._use))
        below = QWidget()
        self._shown = shown = form(below)
        shown.addRow(caption("Show"), row(self._annotation, self._prediction))
        shown.addRow(caption(""), self._correct)
        shown.addRow(caption(""), self._fill)
        shown.addRow(caption("Where to paint"), self.suggest)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(
            scrollable(
                top,
                self.annotations,
                self._remark,
                self.classes,
                below,
                self.form,
                collapsible("Versions", self.versions),
                collapsible("Review queue", self.review),
                self.project,
            ),
            1,
        )
        column.addLayout(self._build_buttons())
        self._remark.setVisible(False)
        self._source.setVisible(False)

    def _build_buttons(self) -> QVBoxLayout:
        below = QVBoxLayout()
        below.setContentsMargins(8, 0, 8, 8)
        below.addWidget(self.curve)
        below.addWidget(self._source)
        below.addWidget(self._score)
        below.addWidget(self._train)
        below.addWidget(row(self._instant, self._live, self._update))
        below.addWidget(self._reason)
        return below
