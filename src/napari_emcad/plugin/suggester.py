"""Where to paint next: doubt of a slice or a stack becomes places that are stepped through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject

from napari_emcad.imaging.paint import UNPAINTED, PaintError
from napari_emcad.jobs import slices_for
from napari_emcad.painting import painted_part
from napari_emcad.places import Search, search
from napari_emcad.plugin.layers import is_open, levels, unwrapped
from napari_emcad.plugin.look import shortened
from napari_emcad.plugin.stage_request import StageChoices, StageRequest, stage_request

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_emcad.painting import Painted
    from napari_emcad.places import Places
    from napari_emcad.plugin.context import Context
    from napari_emcad.plugin.job_thread import Outcome
    from napari_emcad.plugin.notes import Notes
    from napari_emcad.plugin.stages_panel import StagesPanel
    from napari_emcad.suggestion import Suggestion

_DOUBT = StageChoices((), ("entropy",))


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Where places are wanted, as it was when the job began."""

    request: StageRequest
    search: Search


class Suggester(QObject):
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

    def __init__(self, context: Context, notes: Notes, panel: StagesPanel) -> None:
        super().__init__(panel)
        self._context, self._notes, self._panel = context, notes, panel
        self._viewer, self._session = context.viewer, context.session
        self._asked: _Asked | None = None
        self._found: list[Suggestion] = []
        self._at = 0
        panel.suggest_wanted.connect(self.suggest)
        panel.step_wanted.connect(self.step)

    def suggest(self, whole: bool = False) -> None:
        """Ask for places in the slice on screen, or in the whole stack."""
        self._forget()
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
        except PaintError as error:
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
        layer, checkpoint = self._panel.layer, self._session.checkpoint
        segment_panel = self._context.segment_panel
        reason = self._session.why_not_run() or segment_panel.problem
        if reason or layer is None or checkpoint is None:
            raise ValueError(reason or "Open an image first.")
        layer = unwrapped(layer)
        if segment_panel.layer is not layer:
            segment_panel.choose_layer(layer)
        choices = replace(segment_panel.value(), scope="layer" if whole else "slice")
        request = stage_request(
            self._viewer, layer, choices, _DOUBT, checkpoint, self._session.temperature
        )
        finest = slices_for(levels(layer)[0].array, checkpoint, request.axes, choices.channels)
        found = Search(
            request.slices,
            (finest.height, finest.width),
            checkpoint,
            request.settings,
            request.temperature,
            self._painted(request),
            self._classes,
        )
        return _Asked(request, found)

    @property
    def _classes(self) -> int:
        return len(self._session.workbook.classes)

    def _painted(self, request: StageRequest) -> Painted | None:
        """Return what is painted on the image of a request."""
        pair = self._notes.of_image(request.image)
        sources = self._notes.sources(request.checkpoint)
        return next((each for each in sources if pair and each.key == pair.key), None)

    def _is_painted(self, place: Suggestion) -> bool:
        painted = None if self._asked is None else self._painted(self._asked.request)
        if painted is None:
            return False
        part = painted_part(painted, place.index, place.rows, place.columns, self._classes)
        return bool((part != UNPAINTED).any())

    def _ended(self, asked: _Asked, outcome: Outcome) -> None:
        if outcome.error or not self._is_there(asked.request.image):
            return
        places: Places = outcome.result
        self._asked, self._found, self._at = asked, list(places.found), 0
        self._context.say(str(places))
        if self._found:
            self._show()

    def _is_there(self, image: Image) -> bool:
        return is_open(self._viewer, image)

    def _show(self) -> None:
        """Say which place it is, and bring it to the middle of the canvas."""
        self._panel.show_suggested(self._at + 1, len(self._found))
        asked, place = self._asked, self._found[self._at]
        if asked is None:
            return
        image, stacked = asked.request.image, iter(place.index)
        coarse = asked.request.level.coarseness
        point = []
        for axis, letter in enumerate(asked.request.axes[: image.ndim]):
            if letter in "YX":
                point.append(place.centre["YX".index(letter)])
            elif letter == "C":
                point.append(0.0)
            else:
                point.append(next(stacked) * coarse[axis] + (coarse[axis] - 1) / 2)
        world = np.asarray(image.data_to_world(point))
        dims, beside = self._viewer.dims, self._viewer.dims.ndim - image.ndim
        for axis, letter in enumerate(asked.request.axes[: image.ndim]):
            if axis + beside in dims.not_displayed and letter != "C":
                dims.set_point(axis + beside, world[axis])
        centre = [world[axis - beside] for axis in dims.displayed]
        camera = self._viewer.scene.camera
        camera.center = (*camera.center[: 3 - len(centre)], *centre)

    def _forget(self) -> None:
        self._asked, self._found, self._at = None, [], 0
        self._panel.show_suggested(0, 0)
