"""Offers the work of earlier sessions that is in no other file, and restores it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QStandardPaths, Signal

from napari_emcad.io.autosave import Recovery, dismiss, find_recoveries, read_recovery
from napari_emcad.plugin.annotations.saved import open_image_file, restore_annotations
from napari_emcad.plugin.runner.thread import JobThread

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.autosave.saver import AutosaveSaver
    from napari_emcad.plugin.autosave.strip import RecoveryStrip
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome

_NEW_SPLIT = (
    "Held-out strokes are chosen again: this model has learned some of them, so scores will be "
    "too high."
)


def recovery_root() -> Path:
    """Return the folder of all autosaved sessions."""
    location = QStandardPaths.StandardLocation.GenericDataLocation
    return Path(QStandardPaths.writableLocation(location)) / "napari-emcad" / "recovery"


class AutosaveController(QObject):
    """Restores annotations and models of earlier sessions; what the panel does is saved meanwhile.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    strip
        Offers recoveries to the user.
    root
        Folder of all autosaved sessions; None for `recovery_root`.

    Signals
    -------
    restored
        A recovery was restored.
    """

    restored = Signal()

    def __init__(
        self,
        context: Context,
        annotations: AnnotationLayers,
        strip: RecoveryStrip,
        root: Path | None = None,
    ) -> None:
        super().__init__(strip)
        self._context, self._annotations, self._strip = context, annotations, strip
        self._viewer, self._session = context.viewer, context.session
        self._root = root or recovery_root()
        self._saver = context.saver
        annotations.painted.connect(self._saver.annotations_changed)
        annotations.removing.connect(self._saver.layer_removed)
        self._saver.failed.connect(self._show_failure)
        strip.restore_requested.connect(self.restore_requested)
        strip.dismiss_requested.connect(dismiss)

    @property
    def root(self) -> Path:
        """Folder of all autosaved sessions."""
        return self._root

    @property
    def saver(self) -> AutosaveSaver:
        """Saves the work of this viewer."""
        return self._saver

    def _show_failure(self, message: str) -> None:
        self._context.show_message(message, error=True)

    # -- restoring

    def search(self) -> None:
        """Search in a thread for recoveries."""
        root = self._root
        thread = JobThread(lambda _: _search_job(root))
        thread.ended.connect(self._searched)  # a bound method: disconnected with this object
        thread.start()

    def _searched(self, outcome: Outcome) -> None:
        self._strip.show_recoveries(outcome.result or [])

    def withdraw(self, recovery: Recovery) -> None:
        """Do not offer a recovery in the strip any more."""
        others = [one for one in self._strip.recoveries if one.folder != recovery.folder]
        self._strip.show_recoveries(others)

    def restore_requested(self, recovery: Recovery) -> None:
        """Restore a recovery, or show which job has to be waited for."""
        running = self._session.running
        if running is not None:
            self._context.show_message(f"{running.verb}: restore it after that.", error=True)
            self._offer_again(recovery)
            return
        self.withdraw(recovery)
        without_image, problems = self.restore(recovery)
        parts = ["Restored."]
        if without_image:
            names = ", ".join(f"“{name}”" for name in without_image)
            parts.append(
                f"No open image has the pixels that {names} was painted on: open it, and choose "
                f"the layer with Use a layer."
            )
        elif recovery.model:
            parts.append(_NEW_SPLIT)
        self._context.show_message(" ".join([*parts, *problems]), error=bool(problems))
        self.restored.emit()

    def _offer_again(self, recovery: Recovery) -> None:
        """Leave a recovery in the strip, unless it was dismissed before."""
        self.withdraw(recovery)
        if not recovery.dismissed:
            self._strip.show_recoveries([recovery, *self._strip.recoveries])

    def restore(self, recovery: Recovery) -> tuple[list[str], list[str]]:
        """Restore model, classes and annotations; no job may be running.

        Returns
        -------
        tuple
            Names of annotations whose image is not open, and problems.
        """
        annotations, model, problems = read_recovery(recovery)
        if model is not None:
            self._session.steps_left = recovery.steps_left  # offered with the model
            self._session.open(model)
            self._saver.keep(model)
        problems += filter(None, [open_image_file(self._viewer, a.metadata) for a in annotations])
        without_image = restore_annotations(self._viewer, self._annotations, annotations)
        self._saver.annotations_changed()  # this session keeps them from now on
        if not problems and not without_image:
            dismiss(recovery)
        return without_image, problems

    def release(self) -> None:
        """Disconnect from the saver, which goes on; the controller is not used again."""
        self._saver.follow_layers()
        self._annotations.painted.disconnect(self._saver.annotations_changed)
        self._annotations.removing.disconnect(self._saver.layer_removed)
        self._saver.failed.disconnect(self._show_failure)


def _search_job(root: Path) -> Generator[Any, None, list[Recovery]]:
    yield from ()
    return find_recoveries(root)
