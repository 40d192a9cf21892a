"""Compares the values of the chosen image with those that the model expects, before the first run.

A thread reads the image; the window is not blocked by slow files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from superqt.utils import qdebounced

from napari_emcad.imaging.exposure import range_report
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.plugin.layers.layer_slices import layer_slices
from napari_emcad.plugin.layers.pixel_events import pixel_events
from napari_emcad.plugin.runner.thread import JobThread

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable

    from napari.layers import Image

    from napari_emcad.imaging.exposure import RangeReport
    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.segment.panel import SegmentPanel

_PAUSE_MS = 200


@dataclass(frozen=True, slots=True)
class _Question:
    """What a comparison depends on."""

    layer: Image
    revision: int
    axes: str
    channels: tuple[int | None, ...] | None
    preprocessing: Preprocessing


class RangeController(QObject):
    """Shows a `RangeBox` when image and model do not fit.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the Segment tab.
    """

    def __init__(self, context: Context, panel: SegmentPanel) -> None:
        super().__init__(panel)
        self._session, self._input = context.session, context.image_input
        self._context, self._panel, self._box = context, panel, panel.range_box
        self._question: _Question | None = None
        self._job: JobThread | None = None
        self._before: Preprocessing | None = None
        self._kept: set[tuple[Hashable, Preprocessing]] = set()
        self._check_soon = qdebounced(self._check, timeout=_PAUSE_MS, parent=self)
        self._box.chosen.connect(self._choose)
        self._box.kept.connect(self._keep)
        self._box.revert_requested.connect(self._revert)
        self._panel.model.changed.connect(self._check_soon)
        self._input.changed.connect(self._check_soon)
        self._input.layer_changed.connect(self._forget)
        self._session.checkpoint_changed.connect(self._check_soon)
        self._session.running_changed.connect(self._show_running)
        self._box.setVisible(False)

    # -- comparison

    def _check(self, _: Any = None) -> None:
        """Compare image and model again if either has changed."""
        question, model = self._new_question(), self._session.checkpoint
        if question == self._question:
            return
        self._abandon()
        self._question = question
        if question is None or model is None:
            self._box.setVisible(False)
            return
        try:
            slices = layer_slices(question.layer, model, question.axes, question.channels)
        except (ValueError, TypeError):
            self._box.setVisible(False)
            return
        self._job = JobThread(lambda _: _report_job(slices, question.preprocessing))
        self._job.ended.connect(self._ended)
        self._job.start()

    def _new_question(self) -> _Question | None:
        """Return what to compare; instant models adapt to any image."""
        model, layer = self._session.checkpoint, self._input.layer
        if model is None or layer is None or self._input.problem or self._panel.model.is_instant:
            return None
        options, revision = self._input.options, pixel_events(layer).revision
        return _Question(layer, revision, options.axes, options.channels, model.preprocessing)

    def _ended(self, outcome: Outcome) -> None:
        self._job = None
        report: RangeReport | None = outcome.result
        question = self._question
        if outcome.error or question is None:
            self._box.setVisible(False)
            return
        changed = self._before not in (None, question.preprocessing)
        if report is None:
            self._box.show_percentiles() if changed else self._box.setVisible(False)
        elif changed or (report.problem and self._key(question) not in self._kept):
            self._box.show_report(report, changed)
        else:
            self._box.setVisible(False)

    # -- the user's choice

    def _choose(self, values: dict[str, Any]) -> None:
        model = self._session.checkpoint
        if model is not None:
            self._before = self._before or model.preprocessing
            self._override(values)

    def _revert(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            names = ("intensity", "low", "high")
            self._override({name: getattr(before, name) for name in names})

    def _override(self, values: dict[str, Any]) -> None:
        try:
            self._session.override(**values)
        except CheckpointError as error:
            self._context.show_message(str(error), error=True)

    def _keep(self) -> None:
        """Warn no more of this image with this model."""
        if self._question is not None:
            self._kept.add(self._key(self._question))
        self._box.setVisible(False)

    def _forget(self, _: Any = None) -> None:
        """Another image: what was chosen before is a property of the model by now."""
        self._before = None

    @staticmethod
    def _key(question: _Question) -> tuple[Hashable, Preprocessing]:
        return question.layer.unique_id, question.preprocessing

    def _show_running(self, ticket: object) -> None:
        self._box.setEnabled(ticket is None)

    def _abandon(self) -> None:
        if self._job is not None:
            self._job.abandon()
            self._job = None

    def release(self) -> None:
        """Disconnect from image and session; the controller is not used again."""
        self._abandon()
        self._question = None
        self._input.changed.disconnect(self._check_soon)
        self._input.layer_changed.disconnect(self._forget)
        self._session.checkpoint_changed.disconnect(self._check_soon)
        self._session.running_changed.disconnect(self._show_running)


def _report_job(
    slices: Slices, preprocessing: Preprocessing
) -> Generator[Any, None, RangeReport | None]:
    yield from ()
    return range_report(slices, preprocessing)
