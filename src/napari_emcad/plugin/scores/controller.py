"""Compares two Labels layers, and shows on the canvas where they differ."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_emcad.plugin.layers.attention import insert_layer
from napari_emcad.plugin.layers.kinds import added_kind
from napari_emcad.plugin.layers.show_position import show_position
from napari_emcad.plugin.objects.measured_layer import letters_of
from napari_emcad.plugin.scores import compared_layers
from napari_emcad.plugin.scores.compared_layers import (
    Comparison,
    class_names_of,
    error_layer,
    is_error_layer,
)
from napari_emcad.plugin.scores.score_columns import slice_columns
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from napari_emcad.pipelines.compare_labels import LabelComparison
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.scores.panel import ScoresPanel


class ScoresController(QObject):
    """Runs what the Scores tab asks for.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the tab.

    Signals
    -------
    scored
        A predicted layer, and its mean Dice.
    """

    scored = Signal(object, float)

    def __init__(self, context: Context, panel: ScoresPanel) -> None:
        super().__init__(panel)
        self._context, self._panel = context, panel
        self._viewer, self._session = context.viewer, context.session
        self._predicted: Labels | None = None
        self._truth: Labels | None = None
        self._compared: Comparison | None = None
        self._scores: LabelComparison | None = None
        self._errors: Labels | None = None
        self._changed = False
        panel.layers_chosen.connect(self.choose)
        panel.compare_requested.connect(self.compare)
        panel.slices.row_chosen.connect(self.go_to)
        panel.worst_requested.connect(self.go_to_worst)
        panel.errors_toggled.connect(self.show_errors)
        self._session.running_changed.connect(self._show)
        self._show()

    # -- layers

    def layers_changed(self) -> None:
        """List the Labels layers again; by default the result is judged by another layer."""
        layers = self._labels_layers()
        if self._errors is not None and self._errors not in self._viewer.layers:
            self._errors = None
            self._panel.show_errors(False)
        compared = self._compared
        if compared and (compared.predicted not in layers or compared.truth not in layers):
            self._forget()
        results = [layer for layer in layers if _is_result(layer)]
        if self._predicted not in layers:
            self._predicted = results[-1] if results else None
        if self._truth not in layers:
            others = [layer for layer in layers if layer not in results]
            self._truth = others[-1] if others else None
        self._panel.list_layers(layers, self._predicted, self._truth)
        self._show()

    def choose(self, predicted: Labels | None, truth: Labels | None) -> None:
        """Use other layers; they are not compared yet."""
        self._predicted, self._truth = predicted, truth
        self._forget()
        self._show()

    def _labels_layers(self) -> list[Labels]:
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Labels)]
        return [layer for layer in layers if not is_error_layer(layer)]

    # -- comparison

    def compare(self) -> None:
        """Compare the chosen layers."""
        comparison = self._comparison()
        if comparison is None or self._why_not():
            self._show()
            return
        errors_shown = self._errors is not None
        self._forget()
        self._context.runner.run(
            f"Comparing {shorten(comparison.predicted.name)}",
            partial(compared_layers.job, comparison),
            partial(self._ended, comparison, errors_shown),
        )

    def _comparison(self) -> Comparison | None:
        if self._predicted is None or self._truth is None:
            return None
        model = self._session.checkpoint
        classes = () if model is None else tuple(label.name for label in model.classes)
        names = class_names_of(self._predicted, classes)
        return Comparison(self._predicted, self._truth, names)

    def _ended(self, comparison: Comparison, errors_shown: bool, outcome: Outcome) -> None:
        layers = (comparison.predicted, comparison.truth)
        if outcome.error or any(layer not in self._viewer.layers for layer in layers):
            return
        self._compared, self._scores, self._changed = comparison, outcome.result, False
        for layer in layers:
            layer.events.paint.connect(self._mark_changed)
            layer.events.data.connect(self._mark_changed)
        self._panel.show_scores(self._scores.total, comparison.names)
        self.scored.emit(comparison.predicted, float(self._scores.total.mean("dice")))
        several = bool(self._scores.by_slice)
        self._panel.show_slices(slice_columns(self._scores, comparison.names) if several else None)
        self.show_errors(errors_shown)
        self._show_summary()
        self._show()

    def _mark_changed(self, _: Any = None) -> None:
        if not self._changed:
            self._changed = True
            self._show_summary()

    def _forget(self) -> None:
        """Remove the scores, and the layer of errors."""
        compared, self._compared, self._scores = self._compared, None, None
        for layer in () if compared is None else (compared.predicted, compared.truth):
            layer.events.paint.disconnect(self._mark_changed)
            layer.events.data.disconnect(self._mark_changed)
        self.show_errors(False)
        self._panel.show_scores(None, ())
        self._panel.show_slices(None)
        self._panel.show_summary("")

    def _show_summary(self) -> None:
        scores = self._scores
        if scores is None:
            return
        summary = f"Mean Dice {scores.total.mean('dice'):.3f}"
        if scores.by_slice:
            summary += f", {len(scores.by_slice):,} slices"
        if scores.worst is not None:
            worst = ", ".join(map(str, scores.positions[scores.worst]))
            dice = scores.by_slice[scores.worst].mean("dice")
            summary += f"; worst {worst} ({dice:.3f})"
        changed = " A layer has changed since." if self._changed else ""
        self._panel.show_summary(f"{summary}.{changed}")

    # -- canvas

    def go_to(self, number: int) -> None:
        """Show a slice."""
        compared, scores = self._compared, self._scores
        if compared is None or scores is None:
            return
        letters, index = letters_of(compared.predicted), iter(scores.positions[number])
        sizes = np.asarray(compared.predicted.extent.data[1] + 1)
        at = [
            float(size) // 2 if letter in "YX" else next(index)
            for letter, size in zip(letters, sizes, strict=True)
        ]
        show_position(self._viewer, compared.predicted, at, center=False)

    def go_to_worst(self) -> None:
        """Show the slice with the lowest score, and select its row."""
        if self._scores is not None and self._scores.worst is not None:
            self._panel.slices.select_row(self._scores.worst)
            self.go_to(self._scores.worst)

    def show_errors(self, shown: bool) -> None:
        """Add the layer of errors, or remove it."""
        if self._errors is not None and self._errors in self._viewer.layers:
            self._viewer.layers.remove(self._errors)
        self._errors = None
        if shown and self._compared is not None and self._scores is not None:
            layer = error_layer(self._compared, self._scores.errors)
            insert_layer(self._viewer, layer)
            self._errors = layer
        self._panel.show_errors(self._errors is not None)

    # -- state of the tab

    def _why_not(self) -> str:
        running = self._session.running
        if running is not None:
            return f"{running.verb} …"
        if self._predicted is None:
            return "Segment an image first, or choose a layer to judge."
        comparison = self._comparison()
        if comparison is None:
            return "Open the true labels as a layer: File, Open, or drop the file on the window."
        return comparison.problem

    def _show(self, _: object = None) -> None:
        self._panel.show_reason(self._why_not(), self._session.running is not None)

    def release(self) -> None:
        """Disconnect from session and layers; the controller is not used again."""
        compared, self._compared = self._compared, None
        for layer in () if compared is None else (compared.predicted, compared.truth):
            layer.events.paint.disconnect(self._mark_changed)
            layer.events.data.disconnect(self._mark_changed)
        self._session.running_changed.disconnect(self._show)


def _is_result(layer: Labels) -> bool:
    return added_kind(layer) in ("segmentation", "prediction")
