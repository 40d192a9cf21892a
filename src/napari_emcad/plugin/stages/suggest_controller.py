"""Where to paint next: doubt of a slice or a stack becomes places that are stepped through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject
from superqt.utils import qthrottled

from napari_emcad.annotation.label_rules import UNLABELED, LabelValueError
from napari_emcad.interactive.annotated_patches import painted_part
from napari_emcad.interactive.suggest import Search, search
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.plugin.layers.geometry import is_open, levels, unwrapped
from napari_emcad.plugin.stages.request import StageChoices, StageRequest, stage_request
from napari_emcad.plugin.widgets.helpers import shortened

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_emcad.interactive.annotated_patches import AnnotatedImage
    from napari_emcad.interactive.suggest import SuggestedRegions
    from napari_emcad.interactive.suggest_ranking import SuggestedRegion
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.stages.panel import StagesPanel

_SHOW_MS = 80
_SHARES = 0.1, 0.6
"""How much of the canvas the diagonal of a place takes at least, and at most."""

_DOUBT = StageChoices((), ("entropy",))


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Where places are wanted, as it was when the job began."""

    request: StageRequest
    search: Search


class SuggestController(QObject):
    """Does what the Suggest row of the Stages panel wants.

    Parameters
    ----------
    context
        Of the panel.
    notes
        Say what is painted.
    panel
        Says on which image.
    """

    def __init__(self, context: Context, notes: AnnotationLayers, panel: StagesPanel) -> None:
        super().__init__(panel)
        self._context, self._notes, self._panel = context, notes, panel
        self._viewer, self._session = context.viewer, context.session
        self._segment_panel = context.segment_panel
        self._asked: _Asked | None = None
        self._found: list[SuggestedRegion] = []
        self._at = 0
        self.show_soon = qthrottled(self.show, timeout=_SHOW_MS, parent=self)
        self._connect()
        self.show()

    def suggest(self, whole: bool = False) -> None:
        """Ask for places in the slice on screen, or in the whole stack."""
        self._forget()
        layer = self._panel.layer
        if layer is not None and self._segment_panel.layer is not layer:
            self._segment_panel.choose_layer(layer)
        try:
            asked = self._ask(whole)
        except (ValueError, TypeError) as error:
            self._context.say(str(error), error=True)
            return
        name = shortened(asked.request.name)
        self._context.run(
            f"Looking where to paint on {name}",
            lambda stop: search(asked.search, stop),
            lambda outcome: self._ended(asked, outcome),
            snapshot=asked,
        )

    def step(self, by: int) -> None:
        """Go on by so many places; those that hold paint by now leave the list."""
        if self._asked is None or not self._is_there(self._asked.request.image):
            self._forget()
            return
        try:
            left = [n for n, each in enumerate(self._found) if not self._is_painted(each)]
        except LabelValueError as error:
            self._context.say(str(error), error=True)
            return
        # Without the one at hand, the next one has moved up to its place.
        before, gone = sum(n < self._at for n in left), self._at not in left
        self._found = [self._found[n] for n in left]
        if not self._found:
            self._forget()
            self._context.say("Every place that was suggested is painted; ask for others.")
            return
        self._at = (before + by - (gone and by > 0)) % len(self._found)
        self._show()

    def _ask(self, whole: bool = False) -> _Asked:
        request = self._request(whole)
        array, channels = levels(request.image)[0].array, self._segment_panel.value().channels
        finest = slices_for(array, request.checkpoint, request.axes, channels)
        found = Search(
            request.slices,
            (finest.height, finest.width),
            request.checkpoint,
            request.settings,
            request.temperature,
            self._painted(request),
            self._classes,
        )
        return _Asked(request, found)

    def _request(self, whole: bool = False) -> StageRequest:
        """Return what is looked at for places.

        Raises
        ------
        ValueError, TypeError
            If nothing can be.
        """
        layer, checkpoint = unwrapped(self._panel.layer), self._session.checkpoint
        reason = self._session.why_not_run() or self._segment_panel.problem
        if reason or layer is None or checkpoint is None:
            raise ValueError(reason or "Open an image first.")
        choices = replace(self._segment_panel.value(), scope="layer" if whole else "slice")
        temperature = self._session.temperature
        return stage_request(self._viewer, layer, choices, _DOUBT, checkpoint, temperature)

    @property
    def _classes(self) -> int:
        return len(self._session.project.classes)

    def _painted(self, request: StageRequest) -> AnnotatedImage | None:
        """Return what is painted on the image of a request."""
        pair = self._notes.of_image(request.image)
        sources = self._notes.sources(request.checkpoint)
        return next((each for each in sources if pair and each.key == pair.key), None)

    def _is_painted(self, place: SuggestedRegion) -> bool:
        painted = None if self._asked is None else self._painted(self._asked.request)
        if painted is None:
            return False
        part = painted_part(painted, place.index, place.rows, place.columns, self._classes)
        return bool((part != UNLABELED).any())

    def _ended(self, asked: _Asked, outcome: Outcome) -> None:
        if outcome.error or not self._is_there(asked.request.image):
            return
        places: SuggestedRegions = outcome.result
        self._asked, self._found, self._at = asked, list(places.found), 0
        asked.request.image.events.data.connect(self._forget)
        self._context.say(str(places))
        if self._found:
            self._show()

    def _is_there(self, image: Image) -> bool:
        return is_open(self._viewer, image)

    def _show(self) -> None:
        """Say which place it is, and bring it to the middle of the canvas."""
        asked, place = self._asked, self._found[self._at]
        self._panel.show_suggested(self._at + 1, len(self._found))
        if asked is None:
            return
        world = _world_of(asked.request, place, place.center)
        image, dims = asked.request.image, self._viewer.dims
        beside = dims.ndim - image.ndim
        for axis, letter in enumerate(asked.request.axes[: image.ndim]):
            if axis + beside in dims.not_displayed and letter != "C":
                dims.set_point(axis + beside, world[axis])
        center = [world[axis - beside] for axis in dims.displayed]
        camera = self._viewer.scene.camera
        camera.center = (*camera.center[: 3 - len(center)], *center)
        camera.zoom *= self._times(asked.request, place)

    def _times(self, request: StageRequest, place: SuggestedRegion) -> float:
        """Return by how much to zoom, so that a place is neither a dot nor all there is to see."""
        ends = zip(place.rows, place.columns, strict=True)
        first, last = (_world_of(request, place, end) for end in ends)
        canvas = min(self._viewer.canvas.viewbox_size(self._viewer.layers))
        share = np.linalg.norm(last - first) * self._viewer.scene.camera.zoom / canvas
        return float(np.clip(share, *_SHARES) / share) if share > 0 else 1.0

    def _forget(self, _: object = None) -> None:
        if self._asked is not None:
            self._asked.request.image.events.data.disconnect(self._forget)
        self._asked, self._found, self._at = None, [], 0
        self._panel.show_suggested(0, 0)

    # -- what is shown

    def show(self, _: object = None) -> None:
        """Enable Suggest, or say why it is off."""
        try:
            self._request()
        except (ValueError, TypeError) as error:
            self._panel.show_suggest(str(error))
        else:
            self._panel.show_suggest("")

    def layers_changed(self) -> None:
        """Forget places whose image is gone."""
        if self._asked is not None and not self._is_there(self._asked.request.image):
            self._forget()
        self.show_soon()

    def _image_chosen(self, image: Image | None) -> None:
        if self._asked is not None and self._asked.request.image is not unwrapped(image):
            self._forget()
        self.show_soon()

    def _checkpoint_changed(self, _: object) -> None:
        """Forget what another model was asked; one that has learned since leaves the list."""
        current = self._session.versions.current
        if current is not None and current.how == "opened":
            self._forget()
        self.show_soon()

    # -- life and death

    def _connect(self) -> None:
        panel = self._panel
        panel.suggest_wanted.connect(self.suggest)
        panel.step_wanted.connect(self.step)
        panel.image_chosen.connect(self._image_chosen)
        self._segment_panel.value_changed.connect(self.show_soon)
        self._session.checkpoint_changed.connect(self._checkpoint_changed)
        self._session.running_changed.connect(self.show_soon)
        self._viewer.dims.events.connect(self.show_soon)

    def release(self) -> None:
        """Let go of viewer and session; it is not used again."""
        self._forget()
        self._session.checkpoint_changed.disconnect(self._checkpoint_changed)
        self._session.running_changed.disconnect(self.show_soon)
        self._viewer.dims.events.disconnect(self.show_soon)


def _world_of(
    request: StageRequest, place: SuggestedRegion, pixel: tuple[float, float]
) -> NDArray[np.float64]:
    """Return where a pixel of a place's slice lies in the world."""
    stacked, coarse = iter(place.index), request.level.coarseness
    point = []
    for axis, letter in enumerate(request.axes[: request.image.ndim]):
        if letter in "YX":
            point.append(pixel["YX".index(letter)])
        elif letter == "C":
            point.append(0.0)
        else:
            point.append(next(stacked) * coarse[axis] + (coarse[axis] - 1) / 2)
    return np.asarray(request.image.data_to_world(point))
