"""What is on screen of the image that is taught, and the layer in which it is predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from superqt.utils import qdebounced

from napari_emcad.inference.events import InferenceSettings, Region
from napari_emcad.interactive.preview import VisibleRegion
from napari_emcad.pipelines.segment import check_memory, segment_job
from napari_emcad.plugin.layers.geometry import is_open, levels
from napari_emcad.plugin.layers.image_input import SegmentChoices
from napari_emcad.plugin.segment.request import segment_request

if TYPE_CHECKING:
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.interactive.versions import Version
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers, AnnotationPair
    from napari_emcad.plugin.layers.image_input import ScopeName
    from napari_emcad.plugin.layers.results import Result
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome

_LARGEST_VIEW = 2**24
"""Pixels on screen that are still predicted while a network learns."""

_SCOPES: tuple[ScopeName, ...] = ("view", "slice")
_REST_MS = 200


class Preview(QObject):
    """Follows the screen, so that a job predicts what is on it.

    Parameters
    ----------
    context
        Of the panel.
    notes
        The annotations.

    Attributes
    ----------
    screen
        What jobs read: the slices on screen, or None.
    unseen
        Why nothing is predicted, in a sentence; "" if something is.
    """

    def __init__(self, context: Context, notes: AnnotationLayers) -> None:
        super().__init__(notes)
        self._context, self._notes = context, notes
        self._viewer, self._session = context.viewer, context.session
        self.screen, self.unseen = VisibleRegion(), ""
        self._shown: AnnotationPair | None = None
        self._follow_soon = qdebounced(self._follow_screen, timeout=_REST_MS, parent=self)
        for change in self._changes():
            change.connect(self._follow_soon)

    def release(self) -> None:
        """Follow no longer."""
        for change in self._changes():
            change.disconnect(self._follow_soon)

    def _changes(self) -> tuple[Any, Any]:
        return self._viewer.dims.events, self._viewer.scene.camera.events

    def show(self, pair: AnnotationPair | None) -> None:
        """Predict this pair's image while a network learns."""
        self._shown = pair
        self._follow_screen()

    def on_screen(self, pair: AnnotationPair) -> Slices | None:
        """Return the part of a pair's image that is on screen; None if it cannot be told."""
        self._shown = pair
        self._follow_screen()
        return self.screen.slices

    def _follow_screen(self, _: object = None) -> None:
        """Tell a job that runs what is on screen now."""
        checkpoint = self._session.checkpoint
        request = None if checkpoint is None else self._request(checkpoint)
        self.screen.slices = None if request is None else request[0]

    def _request(self, checkpoint: Checkpoint, anew: bool = False) -> Any:
        """Return slices and target of what is on screen, or None if it cannot be predicted."""
        pair = self._shown
        if pair is None or not is_open(self._viewer, pair.image) or self._notes.why_not(pair):
            return None
        settings = InferenceSettings(device=self._context.device)
        window = None if _fits(pair, checkpoint, settings) else pair.window
        reasons = []
        for scope in _SCOPES:
            choices = SegmentChoices(pair.axes, pair.channels, 0, scope, settings, anew)
            try:
                slices, target = segment_request(
                    self._viewer, pair.image, choices, checkpoint, "prediction", window
                )
            except (ValueError, TypeError) as error:
                reasons.append(str(error))
                continue
            if slices.height * slices.width <= _LARGEST_VIEW:
                self.unseen = ""
                return slices, target
            reasons.append("what is on screen is too large to be predicted meanwhile; zoom in.")
        self.unseen = f"No prediction is shown: {reasons[0]}"
        return None

    def begin(self, checkpoint: Checkpoint, anew: bool = False) -> Result | None:
        """Return the layer that a prediction goes to; None if there is none, see `unseen`.

        Parameters
        ----------
        checkpoint
            What predicts.
        anew
            Whether it is a layer of its own.
        """
        request = self._request(checkpoint, anew)
        self.screen.slices = None if request is None else request[0]
        if request is None:
            return None
        try:
            return self._context.results.begin(request[1])
        except MemoryError:
            self.unseen = "No prediction is shown: there is no memory left for it."
            return None

    def say_unseen(self, result: Result | None) -> None:
        """Say why there is no layer, if there is none."""
        if result is None and self.unseen:
            self._context.say(self.unseen)

    # -- predictions of their own

    def refresh(self, quiet: bool = False) -> None:
        """Predict what is on screen with the model as it is."""
        checkpoint = self._session.checkpoint
        if checkpoint is None or self._session.running is not None:
            return
        result = self.begin(checkpoint)
        if result is not None:
            self._predict(result, checkpoint, Refreshing(result), quiet)

    def compare(self, version: Version) -> None:
        """Show what a version says of what is on screen, in a layer of its own."""
        if reason := self._session.why_not_run():
            self._context.say(reason, error=True)
            return
        result = self.begin(version.checkpoint, anew=True)
        self.say_unseen(result)
        if result is not None:
            result.layer.name = f"{result.target.name} version {version.number}"
            self._predict(result, version.checkpoint, result, quiet=False)

    def _predict(
        self, result: Result, checkpoint: Checkpoint, snapshot: object, quiet: bool
    ) -> None:
        slices = self.screen.slices
        if slices is None:
            return
        settings = InferenceSettings(device=self._context.device)
        self._context.run(
            "Predicting",
            lambda stop: segment_job(slices, checkpoint, settings, stop),
            lambda outcome: put_away(result, outcome),
            lambda event: result.fill(event) if isinstance(event, Region) else None,
            snapshot,
            quiet=quiet,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Refreshing:
    """What a prediction was begun on that nobody asked for."""

    result: Result

    def release(self) -> None:
        """Leave the layer to the user."""
        self.result.release()


def put_away(result: Result | None, outcome: Outcome) -> None:
    """Leave the layers of a prediction to the user; an empty one only if all went well."""
    if result is not None:
        result.release() if outcome.error else result.keep()


def _fits(pair: AnnotationPair, checkpoint: Checkpoint, settings: InferenceSettings) -> bool:
    """Whether a prediction of a pair's whole image fits into memory."""
    sizes = zip(levels(pair.image)[0].array.shape, pair.axes, strict=True)
    try:
        check_memory(tuple(n for n, letter in sizes if letter != "C"), checkpoint, settings)
    except ValueError:
        return False
    return True
