"""Between the Stages panel, the layers and the session: looks into the network, slice by slice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from superqt.utils import qdebounced, qthrottled

from napari_emcad.inference.events import Progress
from napari_emcad.plugin.layers.geometry import is_open, levels, unwrapped
from napari_emcad.plugin.stages.cache import StageMapCache
from napari_emcad.plugin.stages.request import StageRequest, stage_request
from napari_emcad.plugin.widgets.helpers import shortened

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_emcad.inference.stage_maps.keys import MapKey
    from napari_emcad.interactive.session import Ticket
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.stages.cache import Maps
    from napari_emcad.plugin.stages.layers import StageLayers
    from napari_emcad.plugin.stages.panel import StagesPanel

_SHOW_MS = 80
_FOLLOW_MS = 120
_CHANGED = "The image has changed since; press Show for its maps."
_QUIET_S = 1.0
"""A slice that took longer than this shows the job bar's strip, so that it can be stopped."""


class StagesController(QObject):
    """Does what the Stages panel wants, and follows the slider.

    Parameters
    ----------
    context
        Of the panel; axes, channels, resolution and settings are those of the Segment panel.
    layers
        The maps of the viewer.
    panel
        What is shown.
    """

    def __init__(self, context: Context, layers: StageLayers, panel: StagesPanel) -> None:
        super().__init__(panel)
        self._context, self._layers, self._panel = context, layers, panel
        self._viewer, self._session = context.viewer, context.session
        self._segment_panel = context.segment_panel
        self._viewing: StageMapCache | None = None
        self._seen: tuple[StageRequest, Maps] | None = None
        self._waiting: list[MapKey] = []
        self._cursor: tuple[float, ...] | None = None
        self._superseded, self._due, self._seconds = False, False, 0.0
        self.show_soon = qthrottled(self.show, timeout=_SHOW_MS, parent=self)
        self._follow_soon = qdebounced(self._follow, timeout=_FOLLOW_MS, parent=self)
        self._connect()

    # -- what the user wants

    def look(self) -> None:
        """Look at what the panel says, anew."""
        self._choose_image(self._panel.layer)
        reason = self._session.why_not_run()
        try:
            request = None if reason else self._request()
        except (ValueError, TypeError) as error:
            reason = str(error)
        if reason or request is None:
            self._context.say(reason, error=True)
            self.show()
            return
        self._viewing = StageMapCache(request)
        self._begin(request, quiet=False)

    def remove_all(self) -> None:
        """Remove every map."""
        self._forget()
        self._layers.remove_all()
        self.show()

    def side_by_side(self, on: bool) -> None:
        """Put maps side by side, or not."""
        self._layers.side_by_side(on)
        self.show()

    # -- jobs

    def _begin(self, request: StageRequest, quiet: bool) -> None:
        viewing = self._viewing
        if viewing is None:
            return
        self._superseded = False
        self._context.run(
            f"Looking inside {shortened(request.name)}",
            lambda stop: viewing.job(request, stop),
            lambda outcome: self._ended(request, viewing, outcome, quiet),
            lambda event: self._arrived(request, viewing, event, quiet),
            request,
            quiet=quiet and self._seconds < _QUIET_S,
        )

    def _arrived(
        self, request: StageRequest, viewing: StageMapCache, event: Any, following: bool
    ) -> None:
        if isinstance(event, Progress):
            return
        maps = {each.key: each for each in event.maps}
        viewing.colors = event.colors
        viewing.cache.put(request.index, maps)
        late = viewing is not self._viewing or (following and self._superseded)
        if not late and self._is_there(request):
            self._show_maps(request, maps)

    def _ended(
        self, request: StageRequest, viewing: StageMapCache, outcome: Outcome, quiet: bool
    ) -> None:
        summary, self._seconds = outcome.result, outcome.seconds
        if outcome.error:
            self._fail(outcome.error)
        elif summary.ending == "stopped":
            self._stopped()
        elif not self._is_there(request):
            self._forget()
            self._context.say(f"{request.name} is not what it was; its maps are dropped.")
        elif not quiet:
            said = f"Seen in {outcome.seconds:.1f} s on {summary.device}."
            self._context.say(" ".join([said, *summary.notices]))
        if not self._panel.following:  # it may just have been switched off
            viewing.rest()
        if self._due:
            self._follow_soon()

    def _stopped(self) -> None:
        if not self._superseded:
            self._panel.stop_following()
            self._context.say("Stopped; the maps are as they were.")

    def _fail(self, error: str) -> None:
        following = self._panel.following
        self._panel.stop_following()
        self._context.say(f"{error}{' The slider is not followed.' * following}", error=True)

    # -- following the slider

    def _follow(self) -> None:
        """Show the maps of the slice on screen: kept ones at once, others once they are there."""
        self._due = False
        if not self._panel.following:
            self._rest()
            return
        if self._seen is None:
            return
        try:
            request = self._request()
        except (ValueError, TypeError):
            return
        if request is None or self._is_seen(request) or self._is_looked_at(request):
            return
        viewing = self._viewing
        if viewing is None or not request.continues(viewing.request):
            self._viewing = viewing = StageMapCache(request)
        maps = viewing.cache.get(request.index)
        if maps is not None:
            self._supersede()
            self._show_maps(request, maps)
        elif self._session.running is not None:
            self._due = True
            self._supersede()
        else:
            self._begin(request, quiet=True)

    def _rest(self) -> None:
        """Let the network go, unless a job looks through it, whose end does the same."""
        running = self._session.running
        looking = running is not None and isinstance(running.snapshot, StageRequest)
        if self._viewing is not None and not looking:
            self._viewing.rest()

    def _is_seen(self, request: StageRequest) -> bool:
        return self._seen is not None and _same(request, self._seen[0])

    def _is_looked_at(self, request: StageRequest) -> bool:
        """Whether the job that runs looks at this very slice, and was not stopped."""
        running = self._session.running
        return running is not None and not self._superseded and _same(request, running.snapshot)

    def _supersede(self) -> None:
        """Stop a look at a slice that is not on screen any more."""
        running = self._session.running
        if running is not None and isinstance(running.snapshot, StageRequest):
            self._superseded = True
            self._context.job_bar.stop()

    # -- what is shown

    def _show_maps(self, request: StageRequest, maps: Maps) -> None:
        """Show the maps one by one, so that the window never stands still."""
        self._see(request, maps)
        bars = {f"Stage {key.stage}": maps[key].values for key in request.shown if _bars(key)}
        self._panel.bars.show_rows(bars)
        self._waiting = [key for key in request.shown if not _bars(key)]
        self._layers.keep_only(request.image, request.shown)
        self._tell(request)
        self._read()
        QTimer.singleShot(0, self._show_next)

    def _show_next(self) -> None:
        if self._seen is None or not self._waiting:
            return
        request, maps = self._seen
        if not self._is_there(request):
            self._forget()
            return
        self._layers.show(request, maps[self._waiting.pop(0)])
        if self._waiting:
            QTimer.singleShot(0, self._show_next)
            return
        self._layers.sort(request)
        self._layers.arrange()
        self.show()

    def _is_there(self, request: StageRequest) -> bool:
        """Whether the image of a look is open, with the axes that it had."""
        image = request.image
        return is_open(self._viewer, image) and image.ndim == len(request.level.coarseness)

    def _see(self, request: StageRequest, maps: Maps) -> None:
        """Take these maps for what is seen, and hear when their image changes."""
        self._forget_image()
        self._seen = request, maps
        request.image.events.data.connect(self._image_changed)

    def _forget_image(self) -> None:
        if self._seen is not None:
            self._seen[0].image.events.data.disconnect(self._image_changed)

    def _image_changed(self, _: object = None) -> None:
        if self._seen is None:
            return
        self._read()
        if self._is_there(self._seen[0]):
            self._tell(self._seen[0])
            self._follow_soon()
        else:
            self._forget()
            self._panel.show_told(_CHANGED)

    def _tell(self, request: StageRequest) -> None:
        stacked = [axis for axis in request.slices.spatial_axes if axis not in "YX"]
        names = [request.image.axis_labels[request.axes.index(axis)] for axis in stacked]
        where = zip(names, request.index, strict=True)
        said = ", ".join(f"{_named(name)} {n}" for name, n in where)
        told = f"Maps of {said}." if said else ""
        if request.temperature != 1 and request.doubts:
            told += f" Doubt is at temperature {request.temperature:.2g}."
        if _is_old(request):
            told = _CHANGED
        elif request.checkpoint is not self._session.checkpoint:
            told += " The model has changed since; press Show for its maps."
        elif request.doubts and request.temperature != self._session.temperature:
            told += " The model was calibrated since; press Show for its doubt."
        self._panel.show_told(told.strip())
        self._panel.show_probed(request.class_name)

    def show(self, _: object = None) -> None:
        """Bring the panel up to date."""
        layer, running = unwrapped(self._panel.layer), self._session.running is not None
        letters = "" if layer is None or self._segment_panel.problem else self._axes()
        self._panel.show_state(
            self._why_not(),
            running,
            any(each not in "CYX" for each in letters),
            bool(self._layers.layers) or self._has_bars,
            self._layers.beside,
        )

    @property
    def _has_bars(self) -> bool:
        return self._seen is not None and any(map(_bars, self._seen[0].shown))

    def _axes(self) -> str:
        axes: str = self._segment_panel.value().axes
        return axes

    def _why_not(self) -> str:
        reason = self._session.why_not_run()
        if reason:
            return reason
        try:
            self._request()
        except (ValueError, TypeError) as error:
            return str(error)
        return ""

    def _request(self) -> StageRequest | None:
        """Return what the panels say.

        Raises
        ------
        ValueError, TypeError
            If it cannot be done.
        """
        layer, checkpoint, segment = (
            self._panel.layer,
            self._session.checkpoint,
            self._segment_panel,
        )
        if layer is None or checkpoint is None:
            raise ValueError("Open an image first." if layer is None else "Open a model first.")
        if segment.problem:
            raise ValueError(f"{segment.problem} It is chosen on the Segment tab.")
        choices = replace(segment.value(), scope=self._panel.scope)
        return stage_request(
            self._viewer,
            unwrapped(layer),
            choices,
            self._panel.value(),
            checkpoint,
            self._session.temperature,
        )

    # -- the cursor

    def _moved(self, _: Any, event: Any) -> None:
        self._cursor = tuple(event.position)
        if self._panel.isVisible():
            self._read()

    def _move_cursor(self) -> None:
        """Bring the cursor to the slice on screen, where it is although the mouse did not move."""
        dims, cursor = self._viewer.dims, self._cursor
        if cursor is not None and len(cursor) == dims.ndim:
            shown = set(dims.displayed)
            points = enumerate(zip(cursor, dims.point, strict=True))
            self._cursor = tuple(at if n in shown else slid for n, (at, slid) in points)
        else:
            self._cursor = None
        self._read()

    def _read(self) -> None:
        """Read the probabilities under the cursor off the maps that are there."""
        values: dict[int, float | None] = {}
        if self._seen is not None and self._cursor is not None:
            request, maps = self._seen
            if self._is_there(request) and not _is_old(request):
                found = {key.stage: maps[key] for key in request.under_cursor if key in maps}
                values = {n: request.value_at(each, self._cursor) for n, each in found.items() if n}
        self._panel.readout.show_values(values)

    # -- life and death

    def layers_changed(self) -> None:
        """Forget maps whose image is gone."""
        if self._seen is not None and not self._is_there(self._seen[0]):
            self._forget()
        self.show_soon()

    def _forget(self) -> None:
        self._forget_image()
        self._viewing, self._seen, self._waiting = None, None, []
        self._panel.bars.show_rows({})
        self._panel.show_told("")
        self._panel.readout.show_values({})

    def _choose_image(self, layer: Image | None) -> None:
        """Choose the same image on the Segment tab, whose axes and channels count."""
        if layer is not None and unwrapped(self._segment_panel.layer) is not unwrapped(layer):
            self._segment_panel.choose_layer(layer)
        self.show_soon()

    def _follow_segment(self) -> None:
        self._panel.choose_layer(self._segment_panel.layer)
        self.show_soon()

    def _connect(self) -> None:
        panel = self._panel
        panel.show_wanted.connect(self.look)
        panel.remove_wanted.connect(self.remove_all)
        panel.grid_wanted.connect(self.side_by_side)
        panel.image_chosen.connect(self._choose_image)
        panel.changed.connect(self.show_soon)
        panel.changed.connect(self._follow_soon)
        self._segment_panel.value_changed.connect(self._follow_segment)
        self._session.running_changed.connect(self._running_changed)
        self._session.checkpoint_changed.connect(self._checkpoint_changed)
        self._session.calibration_changed.connect(self._calibrated)
        self._viewer.dims.events.connect(self._dims_changed)
        self._viewer.canvas.grid.events.enabled.connect(self.show_soon)
        self._viewer.mouse_move_callbacks.append(self._moved)

    def _dims_changed(self, _: object = None) -> None:
        self._move_cursor()
        self._follow_soon()
        self.show_soon()

    def _running_changed(self, ticket: Ticket | None) -> None:
        self.show_soon()
        if ticket is None and self._due:
            self._follow_soon()

    def _checkpoint_changed(self, checkpoint: Any) -> None:
        if checkpoint is not None:
            self._panel.show_checkpoint(checkpoint)
        if self._seen is not None:
            self._tell(self._seen[0])
        self.show_soon()

    def _calibrated(self, _: object) -> None:
        if self._seen is not None:
            self._tell(self._seen[0])
        self._follow_soon()

    def release(self) -> None:
        """Let go of the viewer; it is not used again."""
        self._forget()
        self._viewer.dims.events.disconnect(self._dims_changed)
        self._viewer.canvas.grid.events.enabled.disconnect(self.show_soon)
        if self._moved in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._moved)
        self._session.running_changed.disconnect(self._running_changed, missing_ok=True)
        self._session.checkpoint_changed.disconnect(self._checkpoint_changed, missing_ok=True)
        self._session.calibration_changed.disconnect(self._calibrated, missing_ok=True)


def _same(request: StageRequest, other: Any) -> bool:
    """Whether two looks are at the same slice in the same way."""
    is_look = isinstance(other, StageRequest)
    return is_look and request.continues(other) and request.index == other.index


def _is_old(request: StageRequest) -> bool:
    """Whether the image has been given other data since."""
    return all(each.array is not request.level.array for each in levels(request.image))


def _bars(key: MapKey) -> bool:
    return not key.spec.has_place


def _named(name: str) -> str:
    return "slice" if name.lstrip("-").isdigit() else name
