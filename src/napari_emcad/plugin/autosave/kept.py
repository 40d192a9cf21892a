"""The annotations of a viewer that are saved, also those whose image was removed."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_emcad.interactive.annotated_patches import stroke_count
from napari_emcad.plugin.annotations.saved import describe
from napari_emcad.plugin.layers.geometry import is_open

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from napari.components import ViewerModel

    from napari_emcad.interactive.session import Session
    from napari_emcad.plugin.annotations.pair import AnnotationPair

    _Described = tuple[AnnotationPair, dict[str, Any]]
    """An annotation, and what `describe` returns of it."""


class KeptAnnotations(QObject):
    """Remembers annotations whose image was removed for as long as their own layer is open.

    The project forgets them, as nothing can be learned from them, but their strokes are unsaved
    work, and the user can paint on.

    Parameters
    ----------
    viewer, session
        Viewer of the layers, and its session.
    pairs
        Annotations of the viewer by key; it is read whenever something is asked.

    Signals
    -------
    leaving
        The layer of an `AnnotationPair` without its image was removed; the second value is what
        `describe` has returned of it.
    """

    leaving = Signal(object, object)

    def __init__(
        self, viewer: ViewerModel, session: Session, pairs: Mapping[Hashable, AnnotationPair]
    ) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)  # savers are stored by viewer and must not keep it alive
        self._session, self._pairs = session, pairs
        self._detached: dict[Hashable, _Described] = {}
        viewer.layers.events.removed.connect(self._layer_removed)

    def described(self) -> dict[Hashable, _Described]:
        """Return all annotations with their descriptions, by key."""
        project = self._session.project
        attached = {
            key: (pair, describe(pair, project))
            for key, pair in self._pairs.items()
            if key in project.entries
        }
        for key, (pair, _) in list(self._detached.items()):
            if self._pairs.get(key, pair) is not pair:  # it is used with another image
                del self._detached[key]
        return attached | self._detached

    def detach(self, pair: AnnotationPair) -> bool:
        """Remember an annotation whose image is removed; return whether its layer stays open.

        The entry of the annotation must still exist.
        """
        viewer, project = self._viewer(), self._session.project
        if viewer is None or not is_open(viewer, pair.labels) or is_open(viewer, pair.image):
            return False
        strokes = {"strokes": stroke_count(project.record, pair.key)}
        self._detached[pair.key] = pair, describe(pair, project) | strokes
        return True

    def _layer_removed(self, event: Any) -> None:
        for key, (pair, about) in list(self._detached.items()):
            if event.value is pair.labels:
                del self._detached[key]
                self.leaving.emit(pair, about)
        for key, pair in self._pairs.items():  # no panel is open, else it has removed the pair
            if event.value is pair.image and key in self._session.project.entries:
                self.detach(pair)
