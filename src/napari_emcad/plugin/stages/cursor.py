"""Shows the probabilities of all stages under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_emcad.plugin.layers.drawn import drawn_position

if TYPE_CHECKING:
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.stages.panel import StagesPanel
    from napari_emcad.plugin.stages.presenter import MapPresenter
    from napari_emcad.plugin.stages.request import StageRequest


class CursorReadout(QObject):
    """Follows the mouse and the sliders of the viewer.

    Parameters
    ----------
    context
        Shared state of the panel.
    presenter
        Holds the maps that are read.
    panel
        Shows the values.
    """

    def __init__(self, context: Context, presenter: MapPresenter, panel: StagesPanel) -> None:
        super().__init__(panel)
        self._viewer, self._presenter, self._panel = context.viewer, presenter, panel
        self._position: tuple[float, ...] | None = None
        presenter.shown.connect(self.show)
        self._viewer.dims.events.connect(self._sliders_moved)
        self._viewer.mouse_move_callbacks.append(self._mouse_moved)

    def _mouse_moved(self, _: Any, event: Any) -> None:
        self._position = tuple(event.position)
        if self._panel.isVisible():
            self.show()

    def _sliders_moved(self, _: object = None) -> None:
        """Move the position to the visible slice: the mouse may rest while sliders move."""
        dims, position = self._viewer.dims, self._position
        if position is not None and len(position) == dims.ndim:
            displayed = set(dims.displayed)
            pairs = enumerate(zip(position, dims.point, strict=True))
            self._position = tuple(
                mouse if axis in displayed else slider for axis, (mouse, slider) in pairs
            )
        else:
            self._position = None
        self.show()

    def show(self) -> None:
        """Show the values of the maps at the position of the cursor."""
        values: dict[int, float | None] = {}
        request, maps = self._presenter.request, self._presenter.maps
        if request is not None and self._position is not None and self._is_readable(request):
            data = drawn_position(self._viewer, request.image, self._position)
            for key in request.under_cursor:
                if key in maps and key.stage:
                    values[key.stage] = request.value_at(maps[key], data)
        self._panel.readout.show_values(values)

    def _is_readable(self, request: StageRequest) -> bool:
        return self._presenter.is_present(request) and not self._presenter.outdated

    def release(self) -> None:
        """Disconnect from the viewer; the readout is not used again."""
        self._viewer.dims.events.disconnect(self._sliders_moved)
        if self._mouse_moved in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._mouse_moved)
