"""Searches for regions where new strokes would help most, and steps through them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from superqt.utils import qthrottled

from napari_emcad.annotation.label_rules import UNLABELED, LabelValueError
from napari_emcad.interactive.annotated_patches import read_window
from napari_emcad.interactive.suggest import SuggestSearch, suggest_job
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.plugin.layers.geometry import is_open, levels
from napari_emcad.plugin.layers.pixel_events import pixel_events
from napari_emcad.plugin.layers.scope import stacked_axes
from napari_emcad.plugin.stages.request import StageChoices, StageRequest, stage_request
from napari_emcad.plugin.teach.navigate import go_to_region
from napari_emcad.plugin.teach.region_ring import RegionRing
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_emcad.interactive.annotated_patches import AnnotatedImage
    from napari_emcad.interactive.suggest import SuggestedRegions
    from napari_emcad.interactive.suggest_ranking import SuggestedRegion
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.teach.suggest_box import SuggestBox

_SHOW_MS = 80
_ENTROPY = StageChoices((), ("entropy",))


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """A search, and the request that its regions belong to."""

    stages: StageRequest
    search: SuggestSearch


class SuggestController(QObject):
    """Runs searches, and goes to the regions that they find.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers; annotated regions are not suggested.
    box
        Buttons of the Teach tab.

    Signals
    -------
    shown
        Image of a region that the user is to annotate.
    """

    shown = Signal(object)

    def __init__(self, context: Context, annotations: AnnotationLayers, box: SuggestBox) -> None:
        super().__init__(box)
        self._context, self._annotations, self._box = context, annotations, box
        self._viewer, self._session = context.viewer, context.session
        self._input = context.image_input
        self._current: _Request | None = None
        self._regions: list[SuggestedRegion] = []
        self._at = 0
        self._ring = RegionRing(context.viewer)
        self.show_soon = qthrottled(self.show, timeout=_SHOW_MS, parent=self)
        self._connect()
        self.show()

    def suggest(self, whole_stack: bool = False) -> None:
        """Search the visible slice, or the whole stack."""
        self._forget()
        try:
            request = self._request(whole_stack)
        except (ValueError, TypeError) as error:
            self._context.show_message(str(error), error=True)
            return
        self._context.runner.run(
            f"Searching uncertain regions of {shorten(request.stages.name)}",
            lambda stop: suggest_job(request.search, stop),
            lambda outcome: self._ended(request, outcome),
        )

    def step(self, by: int) -> None:
        """Go `by` regions on; regions that are annotated by now leave the list."""
        if self._current is None or not self._is_open(self._current.stages.image):
            self._forget()
            return
        try:
            remaining = [n for n, region in enumerate(self._regions) if not self._annotated(region)]
        except LabelValueError as error:
            self._context.show_message(str(error), error=True)
            return
        before, gone = sum(n < self._at for n in remaining), self._at not in remaining
        self._regions = [self._regions[n] for n in remaining]
        if not self._regions:
            self._forget()
            message = "All suggested regions are annotated; press Suggest for others."
            self._context.show_message(message)
            return
        # If the current region has left the list, the next one has taken its position.
        self._at = (before + by - (gone and by > 0)) % len(self._regions)
        self._show_region()

    # -- requests

    def _request(self, whole_stack: bool = False) -> _Request:
        stages = self._stage_request(whole_stack)
        array, channels = levels(stages.image)[0].array, self._input.options.channels
        finest = slices_for(array, stages.checkpoint, stages.axes, channels)
        search = SuggestSearch(
            stages.slices,
            (finest.height, finest.width),
            stages.checkpoint,
            stages.settings,
            stages.temperature,
            self._annotation_of(stages),
            len(self._session.project.classes),
        )
        return _Request(stages, search)

    def _stage_request(self, whole_stack: bool = False) -> StageRequest:
        """Return what is searched.

        Raises
        ------
        ValueError, TypeError
            If nothing can be searched now; the message is for the user.
        """
        layer, checkpoint = self._input.layer, self._session.checkpoint
        reason = self._session.why_not_run() or self._input.problem
        if reason or layer is None or checkpoint is None:
            raise ValueError(reason or "Open an image first.")
        options = replace(self._input.options, scope="layer" if whole_stack else "slice")
        temperature = self._session.temperature
        return stage_request(self._viewer, layer, options, _ENTROPY, checkpoint, temperature)

    def _annotation_of(self, stages: StageRequest) -> AnnotatedImage | None:
        """Return the enabled annotation of a request's image."""
        pair = self._annotations.of_image(stages.image)
        images = self._annotations.enabled_images(stages.checkpoint)
        return next((image for image in images if pair and image.key == pair.key), None)

    def _annotated(self, region: SuggestedRegion) -> bool:
        annotation = None if self._current is None else self._annotation_of(self._current.stages)
        if annotation is None:
            return False
        classes = len(self._session.project.classes)
        target = read_window(annotation, region.index, region.rows, region.columns, classes)
        return bool((target != UNLABELED).any())

    # -- results

    def _ended(self, request: _Request, outcome: Outcome) -> None:
        if outcome.error or not self._is_open(request.stages.image):
            return
        found: SuggestedRegions = outcome.result
        self._current, self._regions, self._at = request, list(found.regions), 0
        pixel_events(request.stages.image).changed.connect(self._forget)
        self._context.show_message(str(found))
        if self._regions:
            self._show_region()

    def _show_region(self) -> None:
        if self._current is None:
            return
        stages, region = self._current.stages, self._regions[self._at]
        self._box.show_position(self._at + 1, len(self._regions), _reason(region))
        go_to_region(self._viewer, stages, region)
        self._ring.show(stages, region)
        self.shown.emit(stages.image)

    def _is_open(self, image: Image) -> bool:
        return is_open(self._viewer, image)

    def _forget(self, _: object = None) -> None:
        if self._current is not None:
            pixel_events(self._current.stages.image).changed.disconnect(self._forget)
        self._current, self._regions, self._at = None, [], 0
        self._ring.hide()
        self._box.show_position(0, 0)

    # -- state of the tab

    def show(self, _: object = None) -> None:
        """Enable Suggest, or show why it is disabled."""
        try:
            self._stage_request()
        except (ValueError, TypeError) as error:
            self._box.show_reason(str(error))
        else:
            self._box.show_reason("")
        layer = self._input.layer
        has_options = layer is not None and not self._input.problem
        axes = self._input.options.axes if has_options else ""
        self._box.show_stack(layer is not None and bool(axes and stacked_axes(layer, axes)))

    def layers_changed(self) -> None:
        """Forget regions whose image was removed."""
        if self._current is not None and not self._is_open(self._current.stages.image):
            self._forget()
        self.show_soon()

    def _image_chosen(self, image: Image | None) -> None:
        if self._current is not None and self._current.stages.image is not image:
            self._forget()
        self.show_soon()

    def _checkpoint_changed(self, _: object) -> None:
        """Forget the regions if another model was opened; a trained one keeps them."""
        current = self._session.versions.current
        if current is not None and current.how == "opened":
            self._forget()
        self.show_soon()

    # -- connections

    def _connect(self) -> None:
        self._box.requested.connect(self.suggest)
        self._box.step_requested.connect(self.step)
        self._input.layer_changed.connect(self._image_chosen)
        self._input.changed.connect(self.show_soon)
        self._session.checkpoint_changed.connect(self._checkpoint_changed)
        self._session.running_changed.connect(self.show_soon)
        self._viewer.dims.events.connect(self.show_soon)

    def release(self) -> None:
        """Disconnect from viewer and session; the controller is not used again."""
        self._forget()
        self._input.layer_changed.disconnect(self._image_chosen)
        self._input.changed.disconnect(self.show_soon)
        self._session.checkpoint_changed.disconnect(self._checkpoint_changed)
        self._session.running_changed.disconnect(self.show_soon)
        self._viewer.dims.events.disconnect(self.show_soon)


def _reason(region: SuggestedRegion) -> str:
    """Return why a region is worth annotating, for the user."""
    return (
        f"The model is unsure here (mean uncertainty {region.uncertainty:.2f}); strokes in this "
        f"region would help most."
    )
