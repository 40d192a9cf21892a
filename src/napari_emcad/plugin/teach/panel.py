"""The Teach panel: what is painted, with which classes, and how the model learns it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_emcad.plugin.teach.class_table import ClassTable
from napari_emcad.plugin.teach.pair_table import PairTable
from napari_emcad.plugin.teach.train_form import TrainForm
from napari_emcad.plugin.teach.version_list import VersionList
from napari_emcad.plugin.widgets.helpers import caption, folded, form, row, scrolled, text
from napari_emcad.plugin.widgets.image_combo import image_combo, list_again
from napari_emcad.plugin.widgets.loss_plot import LossPlot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Labels


class TeachPanel(QWidget):
    """Shows what is taught and how it goes; it starts nothing itself.

    Signals
    -------
    annotation_wanted
        A new annotation layer for the chosen image.
    layer_wanted
        This Labels layer as the annotation of the chosen image.
    correction_wanted
        The prediction copied into the annotation: of all that is on screen, or one object by a
        click (True).
    visibility_wanted
        "annotation" or "prediction" shown or hidden.
    train_wanted, update_wanted
        The user pressed Train or Update now.
    live_wanted
        Live mode on or off.
    image_chosen
        Another image was chosen.
    """

    annotation_wanted = Signal()
    layer_wanted = Signal(object)
    correction_wanted = Signal()
    visibility_wanted = Signal(str)
    train_wanted = Signal()
    update_wanted = Signal()
    live_wanted = Signal(bool)
    image_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._image = image_combo()
        self._chosen: Image | None = None
        self._image.changed.connect(self._choose)
        self.pairs, self.classes = PairTable(), ClassTable()
        self.form, self.curve, self.versions = TrainForm(), LossPlot(), VersionList()
        self._new = QPushButton("New annotation")
        self._new.setToolTip("An empty layer on the image, to paint strokes on")
        self._new.clicked.connect(self.annotation_wanted)
        self._use = QPushButton("Use a layer")
        self._use.setToolTip("A labels layer that you have: strokes, a mask or single objects")
        self._layers = QMenu(self._use)
        self._use.setMenu(self._layers)
        self._correct = QPushButton("Correct the prediction")
        self._correct.setToolTip(
            "Copies the prediction on screen into the annotation, where nothing is painted yet"
        )
        self._correct.clicked.connect(self.correction_wanted)
        self._annotation, self._prediction = QCheckBox("annotation"), QCheckBox("prediction")
        self._annotation.setToolTip("Alt+A")
        self._prediction.setToolTip("Alt+S")
        self._annotation.clicked.connect(lambda: self.visibility_wanted.emit("annotation"))
        self._prediction.clicked.connect(lambda: self.visibility_wanted.emit("prediction"))
        self._score, self._reason, self._remark = text(), text(), text()
        self._train = QPushButton("Train")
        self._train.setStyleSheet("font-weight: bold; padding: 8px;")
        self._train.clicked.connect(self.train_wanted)
        self._update = QPushButton("Update now")
        self._update.setToolTip("Learns for a few seconds (Alt+U)")
        self._update.clicked.connect(self.update_wanted)
        self._live = QPushButton("Live: off")
        self._live.setCheckable(True)
        self._live.setToolTip("Learns a little after each stroke, and predicts what is on screen")
        self._live.toggled.connect(self.live_wanted)
        self._build()

    @property
    def layer(self) -> Image | None:
        """The image that is chosen."""
        layer: Image | None = self._image.value
        return layer

    def choose_layer(self, layer: Image | None) -> None:
        """Choose an image as the user would."""
        if layer is not None and layer in self._image.choices and self._image.value is not layer:
            self._image.value = layer

    def _choose(self, layer: Image | None) -> None:
        self._chosen = layer
        self.image_chosen.emit(layer)

    def reset_choices(self) -> None:
        """List the image layers again."""
        if list_again(self._image, self._chosen):
            self._choose(self.layer)

    def show_layers(self, layers: Sequence[Labels]) -> None:
        """Offer these labels layers as annotations."""
        self._layers.clear()
        for each in layers:
            action = self._layers.addAction(each.name)
            action.triggered.connect(lambda _=False, layer=each: self.layer_wanted.emit(layer))
        self._use.setEnabled(bool(layers) and self.layer is not None)

    def show_state(
        self, reason: str, score: str, running: bool, live: bool, updating: bool, stale: bool
    ) -> None:
        """Show what may be done, and how things stand.

        Parameters
        ----------
        reason
            Why nothing can be taught; "" if it can.
        score
            Of what is held out, or why there is none.
        running
            Whether a job runs that one has to wait for.
        live, updating, stale
            Whether Live mode is on, an update runs, and paint waits to be learned.
        """
        self._new.setEnabled(self.layer is not None)
        for button in (self._train, self._update):
            button.setEnabled(not reason and (not running or updating))
            button.setToolTip(reason or button.property("tip"))
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason) and not running)
        self._score.setText(score)
        self._score.setVisible(bool(score))
        state = "updating …" if updating else "waits for strokes" if not stale else "on"
        self._live.setText(f"Live: {state}" if live else "Live: off")
        if self._live.isChecked() != live:
            self._live.setChecked(live)
        self.curve.setVisible(not self.curve.empty)

    def show_remark(self, remark: str) -> None:
        """Say how an annotation was understood."""
        self._remark.setText(remark)
        self._remark.setVisible(bool(remark))

    def show_visible(
        self, annotation: bool | None, prediction: bool | None, correctable: bool
    ) -> None:
        """Show which layers are visible; None where there is none."""
        for box, visible in ((self._annotation, annotation), (self._prediction, prediction)):
            box.setEnabled(visible is not None)
            box.setChecked(bool(visible))
        self._correct.setEnabled(correctable)

    def _build(self) -> None:
        for button in (self._train, self._update):
            button.setProperty("tip", button.toolTip())
        top = QWidget()
        rows = form(top)
        rows.addRow(caption("Image"), self._image.native)
        rows.addRow(caption(""), row(self._new, self._use))
        below = QWidget()
        shown = form(below)
        shown.addRow(caption("Show"), row(self._annotation, self._prediction))
        shown.addRow(caption(""), self._correct)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(
            scrolled(
                top,
                self.pairs,
                self._remark,
                self.classes,
                below,
                self.form,
                folded("Versions", self.versions),
            ),
            1,
        )
        column.addLayout(self._build_buttons())
        self._remark.setVisible(False)

    def _build_buttons(self) -> QVBoxLayout:
        below = QVBoxLayout()
        below.setContentsMargins(8, 0, 8, 8)
        below.addWidget(self.curve)
        below.addWidget(self._score)
        below.addWidget(self._train)
        below.addWidget(row(self._update, self._live))
        below.addWidget(self._reason)
        return below
