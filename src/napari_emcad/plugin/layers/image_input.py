"""The image that all tabs work on, and how it is read and segmented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from psygnal import Signal

from napari_emcad.plugin.layers.geometry import unwrap

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_emcad.inference.events import InferenceSettings

ScopeName = Literal["slice", "view", "layer"]


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How an image is read and segmented.

    Attributes
    ----------
    axes, channels
        Axes and channels as `napari_emcad.segment` takes them.
    level
        Number of the resolution; 0 is the finest.
    scope
        The visible ``"slice"``, its visible part (``"view"``), or the whole ``"layer"``.
    settings
        Settings of the inference.
    new_layer
        Whether the result gets a new layer.
    """

    axes: str
    channels: tuple[int | None, ...] | None
    level: int
    scope: ScopeName
    settings: InferenceSettings
    new_layer: bool


class ImageInput:
    """The chosen image and its options, shared by all tabs; the Segment tab edits the options.

    Attributes
    ----------
    layer_changed
        Emitted with the layer when another image is chosen.
    changed
        Emitted when layer or options have changed.
    pinned_changed
        Emitted with whether the image stays chosen when another layer is selected.
    """

    layer_changed = Signal(object)
    changed = Signal()
    pinned_changed = Signal(bool)

    def __init__(self, device: str = "auto") -> None:
        self._layer: Image | None = None
        self._options: SegmentOptions | None = None
        self._problem = "Open an image first."
        self._device = device
        self._pinned = False

    @property
    def pinned(self) -> bool:
        """Whether the image stays chosen when another layer is selected."""
        return self._pinned

    def set_pinned(self, pinned: bool) -> None:
        """Keep the chosen image, or follow the selected layer."""
        if pinned != self._pinned:
            self._pinned = pinned
            self.pinned_changed.emit(pinned)

    @property
    def layer(self) -> Image | None:
        """The chosen image."""
        return self._layer

    @property
    def problem(self) -> str:
        """Reason why the image cannot be read with the present options, or ""."""
        return "Open an image first." if self._layer is None else self._problem

    @property
    def device(self) -> str:
        """Name of the chosen device."""
        return self._device

    @property
    def options(self) -> SegmentOptions:
        """The options.

        Raises
        ------
        ValueError
            If there is a `problem`.
        """
        if self.problem or self._options is None:
            raise ValueError(self.problem)
        return self._options

    def options_from_other_tab(self) -> SegmentOptions:
        """Return the options for a tab that has no fields to edit them.

        Raises
        ------
        ValueError
            If there is a `problem`; the message says where it is solved.
        """
        if self._layer is not None and self._problem:
            raise ValueError(f"{self._problem} Choose on the Segment tab.")
        return self.options

    def set_layer(self, layer: Image | None) -> None:
        """Choose another image."""
        layer = unwrap(layer)
        if layer is not self._layer:
            self._layer = layer
            self.layer_changed.emit(layer)
            self.changed.emit()

    def set_options(self, options: SegmentOptions | None, problem: str, device: str) -> None:
        """Set the options of the chosen image.

        Parameters
        ----------
        options
            New options; None if there is a problem.
        problem
            Reason why the image cannot be read, or "".
        device
            Name of the chosen device.
        """
        if (options, problem, device) != (self._options, self._problem, self._device):
            self._options, self._problem, self._device = options, problem, device
            self.changed.emit()
