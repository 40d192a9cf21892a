"""In Live and Instant mode, what is visible is predicted with the model that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_emcad.inference.events import Region
from napari_emcad.interactive.visible_region import place_of

if TYPE_CHECKING:
    from napari_emcad.interactive.session import Session, Ticket
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.teach.instant_controller import InstantController
    from napari_emcad.plugin.teach.preview import Preview
    from napari_emcad.plugin.teach.training_controller import TrainingController


class LiveView(QObject):
    """Predicts another visible part when slider and camera rest.

    A running job is waited for: an update predicts what is visible by itself.

    Parameters
    ----------
    context
        Shared state of the panel.
    preview
        Knows and predicts the visible part.
    training, instant
        Know the model that is shown.
    """

    def __init__(
        self,
        context: Context,
        preview: Preview,
        training: TrainingController,
        instant: InstantController,
    ) -> None:
        super().__init__(preview)
        self._session: Session = context.session
        self._runner, self._preview = context.runner, preview
        self._training, self._instant = training, instant
        self._shown: tuple[Any, ...] = ()
        self._waiting = False
        self._ticket: Ticket | None = None
        preview.rested.connect(self._rested)
        training.queue.free.connect(self._continue)  # after updates, which take precedence
        training.queue.scanned.connect(self._scanned)
        self._session.job_event.connect(self._job_event)
        self._session.versions.changed.connect(self._versions_changed)

    def _rested(self) -> None:
        self._waiting = True
        if self._training.queue.idle:
            self._continue()

    def _continue(self) -> None:
        """Predict what is visible, unless the last prediction was of this model and part."""
        model = self._instant.shown_model or self._training.shown_model
        slices = self._preview.visible.slices
        if not self._waiting or model is None or slices is None:
            self._waiting = False
            return
        if self._session.running is not None:
            return  # `free` follows when it has ended
        self._waiting = False
        shown = (model, slices.image, place_of(slices))
        if not _same(shown, self._shown):
            self._shown = shown
            self._ticket = self._preview.refresh(quiet=True, model=model)

    def _job_event(self, _: Ticket, event: Any) -> None:
        """Notice what an update predicts, with the model that is shown when it has ended."""
        slices = self._preview.visible.slices
        if isinstance(event, Region) and event.begins is not None and slices is not None:
            self._shown = (None, slices.image, event.begins)

    def _versions_changed(self) -> None:
        """Predict what is visible with a model that was opened."""
        current = self._session.versions.current
        if current is not None and current.how == "opened":
            self._shown, self._waiting = (), True
            QTimer.singleShot(0, self._continue)  # when the session uses it

    def _scanned(self, new: bool) -> None:
        """Let a new stroke not wait for a prediction that it makes outdated."""
        running = self._session.running
        if new and running is not None and running is self._ticket:
            self._runner.stop()

    def release(self) -> None:
        """Disconnect from the session; the object is not used again."""
        self._session.job_event.disconnect(self._job_event)
        self._session.versions.changed.disconnect(self._versions_changed)


def _same(one: tuple[Any, ...], shown: tuple[Any, ...]) -> bool:
    """Return whether a model, image and part are those that are shown, of any model for None."""
    if not shown or shown[0] not in (one[0], None):
        return False
    return one[1] is shown[1] and bool(one[2] == shown[2])
