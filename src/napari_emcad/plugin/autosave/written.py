"""What of a session is in files that the user has written, and what would be lost without them."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from napari_emcad.imaging.fingerprint import checksum

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from napari_emcad.interactive.session import Session
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.autosave.kept import KeptAnnotations


@dataclass(frozen=True, slots=True)
class UnsavedWork:
    """Numbers of what is in no file of the user.

    Attributes
    ----------
    annotations
        Number of annotations with painted pixels.
    model
        Whether there is a model that the autosave keeps.
    versions
        Number of further versions of the model, which the autosave does not keep.
    """

    annotations: int = 0
    model: bool = False
    versions: int = 0

    def __bool__(self) -> bool:
        return bool(self.annotations or self.model or self.versions)

    def __str__(self) -> str:
        """Return the work as text: "2 annotations, the model and 3 earlier versions of it"."""
        parts = [_count(self.annotations, "annotation")] * bool(self.annotations)
        parts += ["the model"] * self.model
        if self.versions:
            parts.append(_count(self.versions, "earlier version") + " of the model")
        return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


class WrittenWork:
    """Remembers which annotations and models of a session the user has written to files.

    Parameters
    ----------
    session
        Session of the viewer.
    annotations
        Annotations of the viewer.
    """

    def __init__(self, session: Session, annotations: KeptAnnotations) -> None:
        self._session, self._annotations = session, annotations
        self._models: WeakSet[Checkpoint] = WeakSet()
        self._states: dict[Hashable, int] = {}

    def add_models(self, models: Iterable[Checkpoint]) -> None:
        """Remember models as written."""
        self._models.update(models)

    def add_annotations(self, states: Mapping[Hashable, int]) -> None:
        """Remember annotations as written in the states of `annotation_states`."""
        self._states.update(states)

    def annotation_states(self) -> dict[Hashable, int]:
        """Return a checksum of every annotation with its classes and its label rule, by key."""
        return {
            key: annotation_state(pair.values, about)
            for key, (pair, about) in self._annotations.described().items()
        }

    def has_model(self, model: Checkpoint) -> bool:
        """Return whether a model was written."""
        return model in self._models

    def has_annotation(self, key: Hashable, state: int) -> bool:
        """Return whether an annotation was written in this state."""
        return self._states.get(key) == state

    def unsaved(self, kept: Checkpoint | None) -> UnsavedWork:
        """Return what is in no file of the user.

        Parameters
        ----------
        kept
            The model that the autosave keeps.
        """
        made = [one.checkpoint for one in self._session.versions if one.how != "opened"]
        unsaved = [one for one in made if one not in self._models and one is not kept]
        annotations = [
            key
            for key, (pair, about) in self._annotations.described().items()
            if np.any(pair.values)
            and not self.has_annotation(key, annotation_state(pair.values, about))
        ]
        return UnsavedWork(len(annotations), kept is not None, len(unsaved))


def annotation_state(values: Any, about: Mapping[str, Any]) -> int:
    """Return a checksum of the pixels of an annotation and of what `describe` returns of it."""
    about = {name: value for name, value in about.items() if name != "strokes"}  # of the autosave
    text = json.dumps(about, sort_keys=True).encode()
    return zlib.crc32(text, checksum(values, most_bytes=max(values.nbytes, 1)))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"
