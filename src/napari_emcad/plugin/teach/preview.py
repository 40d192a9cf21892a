"""The layer in which the visible part of the annotated image is predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from superqt.utils import qdebounced

from napari_emcad.inference.events import InferenceSettings, Region
from napari_emcad.interactive.visible_region import VisibleRegion, place_of
from napari_emcad.pipelines.segment import check_memory, segment_job
from napari_emcad.plugin.layers.geometry import is_open, levels
from napari_emcad.plugin.layers.image_input import SegmentOptions
from napari_emcad.plugin.segment.request import segment_request

if TYPE_CHECKING:
    from napari_emcad.imaging.slices import Slices
    from napari_emcad.interactive.session import Ticket
    from napari_emcad.interactive.versions import Version
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.annotations.pair import AnnotationPair
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.layers.image_input import ScopeName
    from napari_emcad.plugin.layers.result import Result
    from napari_emcad.plugin.layers.target import Target
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome

_LARGEST_VIEW = 2**24
"""Largest number of visible pixels that are predicted while a network learns."""

_SCOPES: tuple[ScopeName, ...] = ("view", "slice")
_PAUSE_MS = 200


class Preview(QObject):
    """Keeps track of the visible part of an image, and predicts it.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.

    Attributes
    ----------
    visible
        Visible part of the image, which running jobs read.
    problem
        Reason why nothing is predicted, or "".

    Signals
    -------
    rested
        Slider and camera have not moved for a moment.
    """

    rested = Signal()

    def __init__(self, context: Context, annotations: AnnotationLayers) -> None:
        super().__init__(annotations)
        self._context, self._annotations = context, annotations
        self._viewer, self._session = context.viewer, context.session
        self.visible, self.problem = VisibleRegion(), ""
        self._pair: AnnotationPair | None = None
        self._follow_soon = qdebounced(self._view_rests, timeout=_PAUSE_MS, parent=self)
        for event in self._view_events():
            event.connect(self._follow_soon)

    def release(self) -> None:
        """Disconnect from the viewer; the preview is not used again."""
        for event in self._view_events():
            event.disconnect(self._follow_soon)

    def _view_events(self) -> tuple[Any, Any]:
        return self._viewer.dims.events, self._viewer.scene.camera.events

    def show(self, pair: AnnotationPair | None) -> None:
        """Predict the image of this annotation from now on."""
        self._pair = pair
        self._follow_view()

    def visible_part(self, pair: AnnotationPair) -> Slices | None:
        """Return the visible part of an annotation's image; None if it cannot be determined."""
        self.show(pair)
        return self.visible.slices

    def _view_rests(self, _: object = None) -> None:
        self._follow_view()
        self.rested.emit()

    def _follow_view(self) -> None:
        """Update the visible part, which a running job reads."""
        checkpoint = self._session.checkpoint
        request = None if checkpoint is None else self._request(checkpoint)
        self.visible.slices = None if request is None else request[0]

    def _request(
        self, checkpoint: SegmentationModel, new_layer: bool = False
    ) -> tuple[Slices, Target] | None:
        """Return slices and target of the visible part; None sets the `problem`."""
        pair = self._pair
        if pair is None or not is_open(self._viewer, pair.image) or self._annotations.why_not(pair):
            return None
        settings = InferenceSettings(device=self._context.image_input.device)
        window = None if _fits_into_memory(pair, checkpoint, settings) else pair.window
        problems = []
        for scope in _SCOPES:
            options = SegmentOptions(pair.axes, pair.channels, 0, scope, settings, new_layer)
            try:
                slices, target = segment_request(
                    self._viewer, pair.image, options, checkpoint, "prediction", window
                )
            except (ValueError, TypeError) as error:
                problems.append(str(error))
                continue
            if slices.height * slices.width <= _LARGEST_VIEW:
                self.problem = ""
                return slices, target
            problems.append("the visible part is too large to be predicted; zoom in.")
        self.problem = f"No prediction is shown: {problems[0]}"
        return None

    def begin(self, checkpoint: SegmentationModel, new_layer: bool = False) -> Result | None:
        """Return the layer of a prediction; None sets the `problem`.

        Parameters
        ----------
        checkpoint
            Checkpoint that predicts.
        new_layer
            Whether the prediction gets a new layer.
        """
        request = self._request(checkpoint, new_layer)
        self.visible.slices = None if request is None else request[0]
        if request is None:
            return None
        try:
            return self._context.results.begin(request[1])
        except MemoryError:
            self.problem = "No prediction is shown: there is no memory left for it."
            return None

    def show_problem(self, result: Result | None) -> None:
        """Show why there is no layer, if there is none."""
        if result is None and self.problem:
            self._context.show_message(self.problem)

    # -- predictions without a training

    def refresh(self, quiet: bool = False, model: SegmentationModel | None = None) -> Ticket | None:
        """Predict the visible part with a model, the open one by default, unless a job runs."""
        model = model or self._session.checkpoint
        if model is None or self._session.running is not None:
            return None
        result = self.begin(model)
        if result is None:
            return None
        return self._predict(result, model, preemptible=True, quiet=quiet)

    def compare(self, version: Version) -> None:
        """Predict the visible part with another version, in a new layer."""
        if reason := self._session.why_not_run():
            self._context.show_message(reason, error=True)
            return
        result = self.begin(version.checkpoint, new_layer=True)
        self.show_problem(result)
        if result is not None:
            result.layer.name = f"{result.target.name} version {version.number}"
            self._predict(result, version.checkpoint)

    def _predict(
        self,
        result: Result,
        model: SegmentationModel,
        preemptible: bool = False,
        quiet: bool = False,
    ) -> Ticket | None:
        slices = self.visible.slices
        if slices is None:
            return None
        settings, where = (
            InferenceSettings(device=self._context.image_input.device),
            place_of(slices),
        )

        def show(event: Any) -> None:
            if isinstance(event, Region):
                result.begin_prediction(where, model)
                result.fill(event)

        return self._context.runner.run(
            "Predicting",
            lambda stop: segment_job(slices, model, settings, stop),
            lambda outcome: finish_preview(result, outcome),
            show,
            on_abandon=result.release,
            preemptible=preemptible,
            quiet=quiet,
        )


def finish_preview(result: Result | None, outcome: Outcome) -> None:
    """Hand the layers of a prediction over to the user; after an error an empty one is removed."""
    if result is not None:
        result.release() if outcome.error else result.keep()


def _fits_into_memory(
    pair: AnnotationPair, checkpoint: SegmentationModel, settings: InferenceSettings
) -> bool:
    """Return whether a prediction of the whole image fits into memory."""
    shape = levels(pair.image)[0].array.shape
    spatial = [size for size, axis in zip(shape, pair.axes, strict=True) if axis != "C"]
    try:
        check_memory(tuple(spatial), checkpoint, settings)
    except ValueError:
        return False
    return True
