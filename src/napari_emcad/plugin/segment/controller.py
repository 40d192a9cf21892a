"""Runs a segmentation, and shows on the Segment tab why it cannot run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from superqt.utils import qdebounced

from napari_emcad.inference.events import Region, Summary
from napari_emcad.pipelines.segment import segment_job
from napari_emcad.plugin.layers.scope import thick_slice_message
from napari_emcad.plugin.runner.thread import JobThread
from napari_emcad.plugin.segment.copy_code import copy_code
from napari_emcad.plugin.segment.live_clean_up import LiveCleanUp
from napari_emcad.plugin.segment.request import segment_request
from napari_emcad.plugin.segment.summary import summary_message, suspicion
from napari_emcad.plugin.widgets.helpers import shorten
from napari_emcad.plugin.widgets.question import ask

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from qtpy.QtWidgets import QMessageBox

    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.layers.result import Result
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.segment.panel import SegmentPanel

_PAUSE_MS = 150
"""Pause after a movement of sliders or camera, before the reasons are checked again."""


class SegmentController(QObject):
    """Runs what the Segment tab asks for, and keeps the tab up to date.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the tab.

    Signals
    -------
    segmented
        The `Result` of a segmentation that has ended.
    ended
        The `Outcome` of every segmentation, also of one that failed or was discarded.
    """

    segmented = Signal(object)
    ended = Signal(object)

    def __init__(self, context: Context, panel: SegmentPanel) -> None:
        super().__init__(panel)
        self._context, self._panel = context, panel
        self._session, self._viewer = context.session, context.viewer
        self._input = context.image_input
        self._query: JobThread | None = None
        self.live = LiveCleanUp(context, panel)
        self._released = False
        self._result: Result | None = None
        self._question: QMessageBox | None = None
        self._show_soon = qdebounced(self.show, timeout=_PAUSE_MS, parent=self)
        self._connect()
        if self._session.instant is not None:
            panel.show_instant(self._session.instant)
        self._show_model()

    @property
    def model(self) -> SegmentationModel | None:
        """The open checkpoint, or the instant model if it is chosen."""
        return self._session.instant if self._panel.model.is_instant else self._session.checkpoint

    def run(self, whole: bool = False, position: str = "") -> bool:
        """Segment the chosen image.

        Parameters
        ----------
        whole
            Whether the scope is the whole layer, whatever the fields show.
        position
            Position among several images, for the progress bar, such as " (2 of 5)".

        Returns
        -------
        bool
            Whether the segmentation has begun; otherwise the tab or a message shows the reason.
        """
        model, layer = self.model, self._input.layer
        if self.why_not() or model is None or layer is None:
            self.show()
            return False
        options = self._input.options
        if whole:
            options = replace(options, scope="layer")
        slices, target = segment_request(self._viewer, layer, options, model)
        try:
            result = self._context.results.begin(target)
        except MemoryError:
            self._context.show_message("There is no memory left for the result.", error=True)
            return False
        objects, settings = result.numbers.classes, replace(options.settings, logits=True)
        remark = thick_slice_message(self._viewer, layer, options)
        self._result = result
        self.live.begin(result, slices, options)
        self._context.runner.run(
            f"Segmenting {shorten(layer.name)}{position}",
            lambda stop: segment_job(slices, model, settings, stop, objects),
            lambda outcome: self._ended(result, outcome, remark),
            lambda event: self._fill(result, event) if isinstance(event, Region) else None,
            on_abandon=result.release,
        )
        return True

    def _fill(self, result: Result, region: Region) -> None:
        result.fill(region)
        self.live.add(region)

    def _ended(self, result: Result, outcome: Outcome, remark: str) -> None:
        self._result = None
        if self._question is not None:
            self._question.close()
        if outcome.cancelled:
            self.live.forget()
            result.discard()
            self._context.show_message("Discarded.")
            self.ended.emit(outcome)
            return
        result.finish(outcome.result)
        if isinstance(outcome.result, Summary):
            summary: Summary = outcome.result
            message = summary_message(summary, outcome.seconds, result.numbers.new_count)
            hint = "" if summary.ending == "stopped" else self._suspicion(result, summary)
            self._context.show_message(" ".join(filter(None, [message, hint, remark])))
            self.segmented.emit(result)
        self._query_devices()
        self.ended.emit(outcome)

    def _suspicion(self, result: Result, summary: Summary) -> str:
        target = result.target
        labels = result.labels if target.part is None else result.labels[target.part]
        largest = self.live.largest_probability
        return suspicion(labels, target.settings, largest, summary)

    def _layer_removed(self, event: Any) -> None:
        """Ask whether to go on if the user deletes the result while it is computed."""
        result = self._result
        if result is None or event.value is not result.layer or self._question is not None:
            return
        self._question = ask(
            self._panel,
            "Stop and discard?",
            f"“{event.value.name}” is still being computed. Otherwise the layer comes back when "
            f"it is complete.",
            {"Stop and discard": self._context.runner.cancel, "Go on": lambda: None},
        )
        self._question.destroyed.connect(self._question_closed)

    def _question_closed(self, _: object = None) -> None:
        self._question = None

    # -- state of the tab

    def show(self, _: object = None) -> None:
        """Enable Segment, or show why it is disabled."""
        self._panel.show_reason(self.why_not(), self._session.running is not None)

    def why_not(self) -> str:
        """Return why the chosen image cannot be segmented now, or ""."""
        return (
            self._session.why_not_run()
            or self._input.problem
            or self._panel.device.problem
            or self._request_problem()
        )

    def _request_problem(self) -> str:
        model, layer = self.model, self._input.layer
        if model is None or layer is None:
            return ""
        try:
            segment_request(self._viewer, layer, self._input.options, model)
        except (ValueError, TypeError) as error:
            return str(error)
        return ""

    def _show_model(self, _: object = None) -> None:
        if self.model is not None:
            self._panel.show_model(self.model)
        self.show()

    def _query_devices(self) -> None:
        """List the devices; a thread imports torch for it, once."""
        if self._query is not None or self._released:
            return
        self._query = JobThread(_device_job)
        self._query.ended.connect(self._show_devices)
        self._query.start()

    def _show_devices(self, outcome: Outcome) -> None:
        self._query = None
        if not outcome.error:
            self._panel.device.show_choices(outcome.result)
            self.show()

    # -- connections

    def _connect(self) -> None:
        self._panel.run_requested.connect(self.run)
        self._panel.code.copy_requested.connect(
            lambda language: copy_code(self._context, self.model, language)
        )
        self._panel.device.opened.connect(self._query_devices)
        self._input.changed.connect(self.show)
        self._panel.model.changed.connect(self._show_model)
        self._session.checkpoint_changed.connect(self._show_model)
        self._session.instant_changed.connect(self._panel.show_instant)
        self._session.running_changed.connect(self.show)
        self._viewer.layers.events.removed.connect(self._layer_removed)
        for event in self._view_events():
            event.connect(self._show_soon)

    def _view_events(self) -> tuple[Any, Any]:
        return self._viewer.dims.events, self._viewer.scene.camera.events

    def release(self) -> None:
        """Disconnect from viewer and session; the controller is not used again."""
        self._released = True
        if self._query is not None:
            self._query.abandon()
        self._panel.release()
        self.live.release()
        self._input.changed.disconnect(self.show)
        self._session.checkpoint_changed.disconnect(self._show_model)
        self._session.instant_changed.disconnect(self._panel.show_instant)
        self._session.running_changed.disconnect(self.show)
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        for event in self._view_events():
            event.disconnect(self._show_soon)


def _device_job(_: threading.Event) -> Generator[Any, None, Any]:
    from napari_emcad.inference.devices import device_choices

    yield from ()
    return device_choices()
