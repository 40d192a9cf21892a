"""Shows the maps of the visible slice as layers, bars and text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_emcad.plugin.layers.geometry import is_open, levels
from napari_emcad.plugin.layers.pixel_events import pixel_events

if TYPE_CHECKING:
    from napari_emcad.inference.stage_maps.keys import MapKey
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.stages.cache import Maps
    from napari_emcad.plugin.stages.layers import StageLayers
    from napari_emcad.plugin.stages.panel import StagesPanel
    from napari_emcad.plugin.stages.request import StageRequest

_IMAGE_CHANGED = "The image has changed since; press Show for its maps."


class MapPresenter(QObject):
    """Holds the maps that are shown, and the request that they answer.

    Parameters
    ----------
    context
        Shared state of the panel.
    layers
        Map layers of the viewer.
    panel
        Fields of the tab.

    Signals
    -------
    shown
        Other maps are shown, or their image has changed.
    finished
        All layers of the maps are there.
    image_changed
        The image of the maps has other data.
    """

    shown = Signal()
    finished = Signal()
    image_changed = Signal()

    def __init__(self, context: Context, layers: StageLayers, panel: StagesPanel) -> None:
        super().__init__(panel)
        self._viewer, self._session = context.viewer, context.session
        self._layers, self._panel = layers, panel
        self._request: StageRequest | None = None
        self._maps: Maps = {}
        self._waiting: list[MapKey] = []
        self._outdated = False
        self._session.checkpoint_changed.connect(self.show_status)
        self._session.calibration_changed.connect(self.show_status)

    @property
    def request(self) -> StageRequest | None:
        """Request of the maps that are shown."""
        return self._request

    @property
    def maps(self) -> Maps:
        """Maps that are shown."""
        return self._maps

    @property
    def waiting(self) -> bool:
        """Whether layers of the maps are still to be made."""
        return bool(self._waiting)

    @property
    def has_bars(self) -> bool:
        """Whether channel attention is shown as bars."""
        return self._request is not None and any(map(_is_bars, self._request.shown))

    def shows(self, request: StageRequest) -> bool:
        """Return whether the maps that are shown answer a request."""
        shown = self._request
        return shown is not None and not self.outdated and request.equals(shown)

    @property
    def outdated(self) -> bool:
        """Whether the image of the maps has other pixels by now."""
        return self._outdated or (self._request is not None and _has_other_data(self._request))

    def is_present(self, request: StageRequest) -> bool:
        """Return whether the image of a request is open and has as many axes as before."""
        image = request.image
        return is_open(self._viewer, image) and image.ndim == len(request.level.downsampling)

    def show(self, request: StageRequest, maps: Maps) -> None:
        """Show maps; their layers are made one by one, so that the window stays responsive."""
        self._disconnect_image()
        self._request, self._maps, self._outdated = request, maps, False
        pixel_events(request.image).changed.connect(self._on_pixels_changed)
        bars = {f"Stage {key.stage}": maps[key].values for key in request.shown if _is_bars(key)}
        self._panel.bars.show_rows(bars)
        self._waiting = [key for key in request.shown if not _is_bars(key)]
        self._layers.keep_only(request.image, request.shown)
        self.show_status()
        self.shown.emit()
        QTimer.singleShot(0, self._show_next)

    def _show_next(self) -> None:
        request = self._request
        if request is None or not self._waiting:
            return
        if not self.is_present(request):
            self.clear()
            return
        self._layers.show(request, self._maps[self._waiting.pop(0)])
        if self._waiting:
            QTimer.singleShot(0, self._show_next)
            return
        self._layers.sort(request)
        self._layers.arrange()
        self.finished.emit()

    def show_status(self, _: object = None) -> None:
        """Show which slice the maps belong to, and what has changed since."""
        request = self._request
        if request is None:
            return
        slice_text = _slice_text(request)
        parts = [f"Maps of {slice_text}."] if slice_text else []
        if request.temperature != 1 and request.shows_uncertainty:
            parts.append(f"Uncertainty is at temperature {request.temperature:.2g}.")
        if self.outdated:
            parts = [_IMAGE_CHANGED]
        elif request.checkpoint is not self._session.checkpoint:
            parts.append("The model has changed since; press Show for its maps.")
        elif request.shows_uncertainty and request.temperature != self._session.temperature:
            parts.append("The model was calibrated since; press Show for its uncertainty.")
        self._panel.show_status(" ".join(parts))
        self._panel.show_cursor_class(request.class_name)

    def _on_pixels_changed(self) -> None:
        request = self._request
        if request is None:
            return
        self._outdated = True
        self.shown.emit()
        if self.is_present(request):
            self.show_status()
            self.image_changed.emit()
        else:
            self.clear()
            self._panel.show_status(_IMAGE_CHANGED)

    def clear(self) -> None:
        """Forget the maps; their layers stay."""
        self._disconnect_image()
        self._request, self._maps, self._waiting = None, {}, []
        self._panel.bars.show_rows({})
        self._panel.show_status("")
        self.shown.emit()

    def release(self) -> None:
        """Disconnect from image and session; the presenter is not used again."""
        self.clear()
        self._session.checkpoint_changed.disconnect(self.show_status)
        self._session.calibration_changed.disconnect(self.show_status)

    def _disconnect_image(self) -> None:
        if self._request is not None:
            pixel_events(self._request.image).changed.disconnect(self._on_pixels_changed)


def _has_other_data(request: StageRequest) -> bool:
    return all(level.array is not request.level.array for level in levels(request.image))


def _slice_text(request: StageRequest) -> str:
    """Return the position along the stacked axes in words, such as "z 3, slice 4"."""
    stacked = [axis for axis in request.slices.spatial_axes if axis not in "YX"]
    names = [request.image.axis_labels[request.axes.index(axis)] for axis in stacked]
    named = ["slice" if name.lstrip("-").isdigit() else name for name in names]
    return ", ".join(f"{name} {n}" for name, n in zip(named, request.index, strict=True))


def _is_bars(key: MapKey) -> bool:
    return not key.spec.has_place
