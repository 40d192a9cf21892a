"""The Scores tab's fields: which layers are compared, and tables of their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QPushButton, QVBoxLayout, QWidget

from napari_emcad.pipelines.scores import format_distance
from napari_emcad.plugin.scores.compared_layers import ERROR_COLORS, ERRORS
from napari_emcad.plugin.widgets.helpers import caption, combo, form, list_items, row, text
from napari_emcad.plugin.widgets.table import RowTable
from napari_emcad.plugin.widgets.value_table import ValueTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

    from napari_emcad.pipelines.scores import ImageScore
    from napari_emcad.plugin.scores.score_columns import ScoreColumns

_COMPARE_TIP = "Computes Dice, IoU and HD95 of all classes and slices"


class ScoresPanel(QWidget):
    """Shows scores; it compares nothing itself.

    Attributes
    ----------
    slices
        A row per slice.

    Signals
    -------
    layers_chosen
        Result and truth, or None.
    compare_requested
        The user pressed Compare.
    worst_requested
        The user wants to see the worst slice.
    errors_toggled
        Whether the errors are to be shown on the canvas.
    """

    layers_chosen = Signal(object, object)
    compare_requested = Signal()
    worst_requested = Signal()
    errors_toggled = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._layers: list[Labels] = []
        self._predicted, self._truth = combo(), combo()
        self._predicted.setToolTip("Labels layer to judge: a segmentation, or a prediction")
        self._truth.setToolTip("Labels layer that is right, such as one drawn by an expert")
        self._compare = QPushButton("Compare")
        self._compare.setStyleSheet("font-weight: bold; padding: 8px;")
        self._compare.setToolTip(_COMPARE_TIP)
        self._classes = RowTable(("Class", "Dice", "IoU", "HD95"), most=9)
        self._classes.setToolTip(
            "Dice and intersection over union, 0 … 1; 95th percentile of the Hausdorff distance of "
            "the borders"
        )
        self.slices = ValueTable("Click a row to go to the slice; click a title to sort")
        self._errors = QCheckBox("show errors")
        self._errors.setToolTip("Adds a layer with the pixels that differ")
        self._worst = QPushButton("Worst slice")
        self._worst.setToolTip("Goes to the slice with the lowest mean Dice")
        self._legend = text(_legend(), rich=True)
        self._summary, self._reason = text(), text()
        self._build()
        self._connect()
        self.show_scores(None, ())
        self.show_slices(None)

    def list_layers(
        self, layers: Sequence[Labels], predicted: Labels | None, truth: Labels | None
    ) -> None:
        """List Labels layers and show the chosen ones."""
        self._layers = list(layers)
        for box, chosen in ((self._predicted, predicted), (self._truth, truth)):
            with QSignalBlocker(box):
                list_items(box, [(one.name, one.unique_id, "") for one in layers])
                box.setCurrentIndex(self._layers.index(chosen) if chosen in layers else -1)

    def show_reason(self, reason: str, running: bool) -> None:
        """Enable Compare, or show why it is disabled; during a job the progress bar shows it."""
        self._compare.setEnabled(not reason)
        self._compare.setToolTip(reason or _COMPARE_TIP)
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason) and not running)

    def show_scores(self, score: ImageScore | None, names: Sequence[str]) -> None:
        """Show the scores of all slices together by class; None removes them."""
        shown = score is not None
        self._classes.setVisible(shown)
        self._below.setVisible(shown)
        if score is None:
            self._summary.setText("")
            return
        self._classes.set_count(len(names))
        for k, name in enumerate(names, start=1):
            one = score.by_class[k]
            numbers = [f"{value:.3f}" if one.occurs else "–" for value in (one.dice, one.iou)]
            for column, value in enumerate(
                (name, *numbers, format_distance(score.hd95[k], score.unit))
            ):
                self._classes.put(k - 1, column, value)

    def show_slices(self, columns: ScoreColumns | None) -> None:
        """Show a row per slice; None removes the table."""
        self.slices.show_columns(columns)
        stack = self.slices.count > 1
        self.slices.setVisible(stack)
        self._worst.setVisible(stack)

    def show_summary(self, summary: str) -> None:
        """Show a line about the comparison."""
        self._summary.setText(summary)
        self._summary.setVisible(bool(summary))

    def show_errors(self, shown: bool) -> None:
        """Show whether the errors are on the canvas, without reporting it."""
        with QSignalBlocker(self._errors):
            self._errors.setChecked(shown)
        self._legend.setVisible(shown)

    def _choose_layers(self, _: int) -> None:
        self.layers_chosen.emit(self._layer(self._predicted), self._layer(self._truth))

    def _layer(self, box: QComboBox) -> Labels | None:
        index = box.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def _connect(self) -> None:
        for box in (self._predicted, self._truth):
            box.currentIndexChanged.connect(self._choose_layers)
        self._compare.clicked.connect(self.compare_requested)
        self._worst.clicked.connect(self.worst_requested)
        self._errors.toggled.connect(self.errors_toggled)

    def _build(self) -> None:
        top, self._below = QWidget(), QWidget()
        rows = form(top)
        rows.addRow(caption("Result"), self._predicted)
        rows.addRow(caption("Truth"), self._truth)
        below = QVBoxLayout(self._below)
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(row(self._errors, self._worst))
        below.addWidget(self._legend)
        column = QVBoxLayout(self)
        column.addWidget(top)
        column.addWidget(self._classes)
        column.addWidget(self._summary)
        column.addWidget(self.slices, 1)
        column.addWidget(self._below)
        column.addStretch(0)
        column.addWidget(self._compare)
        column.addWidget(self._reason)


def _legend() -> str:
    parts = [f'<span style="color:{ERROR_COLORS[k]}">■</span> {name}' for k, name in ERRORS.items()]
    return " &nbsp; ".join(parts)
