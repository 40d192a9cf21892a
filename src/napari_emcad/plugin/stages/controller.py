"""Computes the maps that the Stages tab asks for, and follows the slider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from superqt.utils import qdebounced, qthrottled

from napari_emcad.inference.events import Progress
from napari_emcad.plugin.stages.cache import StageMapCache
from napari_emcad.plugin.stages.request import StageRequest, stage_request
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_emcad.interactive.session import Ticket
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.stages.layers import StageLayers
    from napari_emcad.plugin.stages.panel import StagesPanel
    from napari_emcad.plugin.stages.presenter import MapPresenter

_SHOW_MS = 80
_FOLLOW_MS = 120

_QUIET_S = 1.0
"""Duration of a slice from which the next one shows the progress bar, so that it can be stopped."""


class StagesController(QObject):
    """Runs the jobs of the Stages tab, and keeps the tab up to date.

    Parameters
    ----------
    context
        Shared state of the panel.
    layers
        Map layers of the viewer.
    presenter
        Shows the maps.
    panel
        Fields of the tab.
    """

    def __init__(
        self, context: Context, layers: StageLayers, presenter: MapPresenter, panel: StagesPanel
    ) -> None:
        super().__init__(panel)
        self._context, self._layers = context, layers
        self._presenter, self._panel = presenter, panel
        self._viewer, self._session = context.viewer, context.session
        self._input = context.image_input
        self._cache: StageMapCache | None = None
        self._running: tuple[Ticket, StageRequest] | None = None
        self._superseded, self._follow_again, self._seconds = False, False, 0.0
        self.show_soon = qthrottled(self.show, timeout=_SHOW_MS, parent=self)
        self._follow_soon = qdebounced(self._follow, timeout=_FOLLOW_MS, parent=self)
        self._connect()

    # -- requests of the user

    def compute(self) -> None:
        """Compute the chosen maps of the visible slice."""
        try:
            request = self._request()
        except (ValueError, TypeError) as error:
            self._context.show_message(str(error), error=True)
            self.show()
            return
        self._cache = StageMapCache(request)
        self._start(self._cache, request, following=False)

    def remove_all(self) -> None:
        """Remove all map layers."""
        self._cache = None
        self._presenter.clear()
        self._layers.remove_all()
        self.show()

    def side_by_side(self, on: bool) -> None:
        """Show image and maps in a grid, or one map on the image."""
        self._layers.side_by_side(on)
        self.show()

    def _request(self) -> StageRequest:
        """Return the request of the fields.

        Raises
        ------
        ValueError, TypeError
            If it cannot be computed now; the message is for the user.
        """
        if reason := self._session.why_not_run():
            raise ValueError(reason)
        return self._request_while_running()

    def _request_while_running(self) -> StageRequest:
        layer, checkpoint = self._input.layer, self._session.checkpoint
        if layer is None or checkpoint is None:
            raise ValueError("Open an image first." if layer is None else "Open a model first.")
        options = replace(self._input.options_from_other_tab(), scope=self._panel.scope)
        stages, temperature = self._panel.value(), self._session.temperature
        return stage_request(self._viewer, layer, options, stages, checkpoint, temperature)

    # -- jobs

    def _start(self, cache: StageMapCache, request: StageRequest, following: bool) -> None:
        self._superseded, pixels = False, request.pixels_state()
        ticket = self._context.runner.run(
            f"Computing maps of {shorten(request.name)}",
            lambda stop: cache.job(request, stop),
            lambda outcome: self._ended(request, cache, outcome, following),
            lambda event: self._arrived(request, pixels, cache, event, following),
            quiet=following and self._seconds < _QUIET_S,
        )
        self._running = ticket, request

    @property
    def _running_request(self) -> StageRequest | None:
        """Request of the running job, if it is one of this controller."""
        if self._running is None or self._session.running is not self._running[0]:
            return None
        return self._running[1]

    def _arrived(
        self,
        request: StageRequest,
        pixels: Hashable,
        cache: StageMapCache,
        event: Any,
        following: bool,
    ) -> None:
        if isinstance(event, Progress):
            return
        maps = {stage_map.key: stage_map for stage_map in event.maps}
        cache.colors = event.colors
        cache.maps.put((request.index, pixels), maps)
        late = cache is not self._cache or (following and self._superseded)
        if not late and self._presenter.is_present(request):
            self._presenter.show(request, maps)

    def _ended(
        self, request: StageRequest, cache: StageMapCache, outcome: Outcome, following: bool
    ) -> None:
        summary, self._seconds = outcome.result, outcome.seconds
        if outcome.error:
            self._show_error(outcome.error)
        elif summary.ending == "stopped":
            if not self._superseded:
                self._panel.stop_following()
                self._context.show_message("Stopped; the maps are as they were.")
        elif not self._presenter.is_present(request):
            self._forget()
            message = f"{request.name} was changed or removed; its maps are dropped."
            self._context.show_message(message)
        elif not following:
            message = f"Computed in {outcome.seconds:.1f} s on {summary.device}."
            self._context.show_message(" ".join([message, *summary.notices]))
        if not self._panel.following:  # it may have been switched off meanwhile
            cache.drop_network()
        if self._follow_again:
            self._follow_soon()

    def _show_error(self, error: str) -> None:
        suffix = " The slider is no longer followed." if self._panel.following else ""
        self._panel.stop_following()
        self._context.show_message(f"{error}{suffix}", error=True)

    # -- following the slider

    def _follow(self, _: object = None) -> None:
        """Show the maps of the visible slice: cached ones at once, others after a job."""
        self._follow_again = False
        if not self._panel.following:
            if self._cache is not None and self._running_request is None:
                self._cache.drop_network()
            return
        if self._presenter.request is None:
            return
        try:
            request = self._request_while_running()
        except (ValueError, TypeError):
            return
        if self._presenter.shows(request) or self._is_computing(request):
            return
        if self._cache is None or not request.continues(self._cache.request):
            self._cache = StageMapCache(request)
        maps = self._cache.maps.get((request.index, request.pixels_state()))
        if maps is not None:
            self._supersede()
            self._presenter.show(request, maps)
        elif self._session.running is not None:
            self._follow_again = True
            self._supersede()
        else:
            self._start(self._cache, request, following=True)

    def _is_computing(self, request: StageRequest) -> bool:
        """Return whether the running job computes this request and was not stopped."""
        running = self._running_request
        return running is not None and not self._superseded and request.equals(running)

    def _supersede(self) -> None:
        """Stop a job of ours whose slice is no longer visible."""
        if self._running_request is not None:
            self._superseded = True
            self._context.runner.stop()

    # -- state of the tab

    def show(self, _: object = None) -> None:
        """Enable the buttons, or show why they are disabled."""
        axes = "" if self._input.problem else self._input.options.axes
        reason = ""
        try:
            self._request()
        except (ValueError, TypeError) as error:
            reason = str(error)
        self._panel.show_state(
            reason,
            self._session.running is not None,
            any(letter not in "CYX" for letter in axes),
            bool(self._layers.layers) or self._presenter.has_bars,
            self._layers.is_grid,
        )

    def layers_changed(self) -> None:
        """Forget maps whose image was removed."""
        request = self._presenter.request
        if request is not None and not self._presenter.is_present(request):
            self._forget()
        self.show_soon()

    def _forget(self) -> None:
        self._cache = None
        self._presenter.clear()

    # -- connections

    def _connect(self) -> None:
        panel = self._panel
        panel.show_requested.connect(self.compute)
        panel.remove_requested.connect(self.remove_all)
        panel.grid_requested.connect(self.side_by_side)
        panel.changed.connect(self.show_soon)
        panel.changed.connect(self._follow_soon)
        self._presenter.finished.connect(self.show)
        self._presenter.image_changed.connect(self._follow_soon)
        self._input.changed.connect(self.show_soon)
        self._session.running_changed.connect(self._running_changed)
        self._session.checkpoint_changed.connect(self.show_soon)
        self._session.calibration_changed.connect(self._follow_soon)
        self._viewer.dims.events.connect(self._follow_soon)
        self._viewer.dims.events.connect(self.show_soon)
        self._viewer.canvas.grid.events.enabled.connect(self.show_soon)

    def _running_changed(self, ticket: Ticket | None) -> None:
        self.show_soon()
        if ticket is None and self._follow_again:
            self._follow_soon()

    def release(self) -> None:
        """Disconnect from viewer and session; the controller is not used again."""
        self._forget()
        self._input.changed.disconnect(self.show_soon)
        self._viewer.dims.events.disconnect(self._follow_soon)
        self._viewer.dims.events.disconnect(self.show_soon)
        self._viewer.canvas.grid.events.enabled.disconnect(self.show_soon)
        self._session.running_changed.disconnect(self._running_changed)
        self._session.checkpoint_changed.disconnect(self.show_soon)
        self._session.calibration_changed.disconnect(self._follow_soon)
