"""What is on screen of the image that is taught, and the layer in which it is predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from superqt.utils import qdebounced

from napari_emcad.inference.events import InferenceSettings
from napari_emcad.jobs import Screen, check_memory
from napari_emcad.plugin.layers import is_open, levels
from napari_emcad.plugin.request import segment_request
from napari_emcad.plugin.segment_panel import SegmentChoices

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from qtpy.QtCore import QObject

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.plugin.notes import LayerPair, Notes
    from napari_emcad.plugin.results import Result, Results
    from napari_emcad.plugin.segment_panel import ScopeName
    from napari_emcad.session import Session

_LARGEST_VIEW = 2**24
"""Pixels on screen that are still predicted while a network learns."""

_SCOPES: tuple[ScopeName, ...] = ("view", "slice")
_REST_MS = 200


class Preview:
    """Follows the screen, so that a job predicts what is on it.

    Attributes
    ----------
    screen
        What jobs read: the slices on screen, or None.
    unseen
        Why nothing is predicted, in a sentence; "" if something is.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        results: Results,
        notes: Notes,
        device: Callable[[], str],
        parent: QObject,
    ) -> None:
        self._viewer, self._session, self._results = viewer, session, results
        self._notes, self._device = notes, device
        self.screen, self.unseen = Screen(), ""
        self._shown: LayerPair | None = None
        self._follow_soon = qdebounced(self._follow_screen, timeout=_REST_MS, parent=parent)
        for change in self._changes():
            change.connect(self._follow_soon)

    def release(self) -> None:
        """Follow no longer."""
        for change in self._changes():
            change.disconnect(self._follow_soon)

    def _changes(self) -> tuple[Any, Any]:
        return self._viewer.dims.events, self._viewer.scene.camera.events

    def show(self, pair: LayerPair | None) -> None:
        """Predict this pair's image while a network learns."""
        self._shown = pair
        self._follow_screen()

    def on_screen(self, pair: LayerPair) -> Slices | None:
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
        settings = InferenceSettings(device=self._device())
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
            return self._results.begin(request[1])
        except MemoryError:
            self.unseen = "No prediction is shown: there is no memory left for it."
            return None


def _fits(pair: LayerPair, checkpoint: Checkpoint, settings: InferenceSettings) -> bool:
    """Whether a prediction of a pair's whole image fits into memory."""
    sizes = zip(levels(pair.image)[0].array.shape, pair.axes, strict=True)
    try:
        check_memory(tuple(n for n, letter in sizes if letter != "C"), checkpoint, settings)
    except ValueError:
        return False
    return True
