"""Segments what the Segment panel says, and says there why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from superqt.utils import qdebounced

from napari_emcad.inference.events import Region, Summary
from napari_emcad.pipelines.segment import segment_job
from napari_emcad.plugin.layers.geometry import unwrapped
from napari_emcad.plugin.runner.thread import JobThread
from napari_emcad.plugin.segment.request import segment_request
from napari_emcad.plugin.widgets.helpers import shortened

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari_emcad.plugin.layers.results import Result
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome

_REST_MS = 150


class SegmentController(QObject):
    """Does what the Segment panel wants, and keeps it up to date.

    Parameters
    ----------
    context
        Of the panel; it holds what is shown.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context.segment_panel)
        self._context, self._panel = context, context.segment_panel
        self._session, self._viewer = context.session, context.viewer
        self._query: JobThread | None = None
        self._released = False
        self._show_soon = qdebounced(self.show, timeout=_REST_MS, parent=self)
        self._connect()
        self._show_checkpoint(self._session.checkpoint)

    def run(self) -> None:
        """Segment what the panel says."""
        checkpoint, layer = self._session.checkpoint, self._panel.layer
        if self._why_not() or checkpoint is None or layer is None:
            self.show()
            return
        choices = self._panel.value()
        slices, target = segment_request(self._viewer, unwrapped(layer), choices, checkpoint)
        try:
            result = self._context.results.begin(target)
        except MemoryError:
            self._context.say("There is no memory left for the result.", error=True)
            return
        objects, settings = result.object_classes, choices.settings
        self._context.run(
            f"Segmenting {shortened(layer.name)}",
            lambda stop: segment_job(slices, checkpoint, settings, stop, objects),
            lambda outcome: self._ended(result, outcome),
            lambda event: result.fill(event) if isinstance(event, Region) else None,
            result,
        )

    def _ended(self, result: Result, outcome: Outcome) -> None:
        result.finish(outcome.result)
        if isinstance(outcome.result, Summary):
            self._context.say(_told(outcome.result, outcome.seconds, result.object_count))
        self._query_devices()

    # -- what is shown

    def show(self, _: object = None) -> None:
        """Enable Run, or say why it is off."""
        self._panel.show_reason(self._why_not(), self._session.running is not None)

    def _why_not(self) -> str:
        panel = self._panel
        return (
            self._session.why_not_run()
            or panel.problem
            or panel.device.problem
            or self._why_not_request()
        )

    def _why_not_request(self) -> str:
        checkpoint, layer = self._session.checkpoint, self._panel.layer
        if checkpoint is None or layer is None:
            return ""
        try:
            segment_request(self._viewer, unwrapped(layer), self._panel.value(), checkpoint)
        except (ValueError, TypeError) as error:
            return str(error)
        return ""

    def _show_checkpoint(self, checkpoint: Any) -> None:
        if checkpoint is not None:
            self._panel.show_checkpoint(checkpoint)
        self.show()

    def _query_devices(self) -> None:
        """List the processors; torch is imported in a thread, once."""
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

    # -- life and death

    def _connect(self) -> None:
        self._panel.run_wanted.connect(self.run)
        self._panel.value_changed.connect(self.show)
        self._panel.device.asked.connect(self._query_devices)
        self._session.checkpoint_changed.connect(self._show_checkpoint)
        self._session.running_changed.connect(self.show)
        for change in self._changes():
            change.connect(self._show_soon)

    def _changes(self) -> tuple[Any, Any]:
        return self._viewer.dims.events, self._viewer.scene.camera.events

    def release(self) -> None:
        """Let go of viewer and session; it is not used again."""
        self._released = True
        if self._query is not None:
            self._query.give_up()
        self._panel.release()
        self._session.checkpoint_changed.disconnect(self._show_checkpoint)
        self._session.running_changed.disconnect(self.show)
        for change in self._changes():
            change.disconnect(self._show_soon)


def _device_job(_: threading.Event) -> Generator[Any, None, Any]:
    from napari_emcad.inference.devices import device_choices

    yield from ()
    return device_choices()


def _told(summary: Summary, seconds: float, objects: int) -> str:
    found = f", {objects} object{'s' if objects > 1 else ''}" if summary.object_classes else ""
    done, total = summary.slices_done, summary.slices_total
    if summary.ending == "stopped":
        after = f" after {done} of {total} slices" if total > 1 else ""
        said = f"Stopped{after}; what was done stays."
    else:
        count = f"{total} slices" if total > 1 else "Segmented"
        said = f"{count} in {seconds:.1f} s on {summary.device}{found}."
    return " ".join([said, *summary.notices])
