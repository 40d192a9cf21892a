"""Segments all open images, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_emcad.inference.events import Summary
from napari_emcad.plugin.layers.kinds import is_image

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.segment.controller import SegmentController
    from napari_emcad.plugin.segment.panel import SegmentPanel


class OpenImagesController(QObject):
    """Chooses one open image after another, and lets the Segment tab segment it completely.

    Axes and channels are those that the tab offers for every image. An image that cannot be
    segmented is left out and named. Stop and Discard end all of them; the image that was chosen
    before is chosen again.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the Segment tab.
    controller
        Segments the chosen image.
    """

    def __init__(
        self, context: Context, panel: SegmentPanel, controller: SegmentController
    ) -> None:
        super().__init__(panel)
        self._context, self._controller = context, controller
        self._waiting: list[Image] = []
        self._left_out: list[str] = []
        self._total, self._name = 0, ""
        self._before: Image | None = None
        panel.files.open_requested.connect(self.run)
        controller.ended.connect(self._ended)

    def run(self) -> None:
        """Segment all open images."""
        if reason := self._context.session.why_not_run():
            self._context.show_message(reason, error=True)
            return
        self._waiting = self._images()
        self._total, self._left_out = len(self._waiting), []
        self._before = self._context.image_input.layer
        if not self._waiting:
            self._context.show_message("Open an image first.", error=True)
            return
        self._next()

    def _images(self) -> list[Image]:
        layers = self._context.viewer.layers
        return [one for one in layers if is_image(one)]

    def _next(self) -> None:
        while self._waiting:
            layer = self._waiting.pop(0)
            if layer not in self._context.viewer.layers:  # closed meanwhile
                self._left_out.append(f"{layer.name} was closed.")
                continue
            self._context.image_input.set_layer(layer)
            if reason := self._controller.why_not():
                self._left_out.append(f"{layer.name}: {reason}")
                continue
            number = self._total - len(self._waiting)
            position = f" ({number:,} of {self._total:,})" if self._total > 1 else ""
            self._name = layer.name
            if self._controller.run(whole=True, position=position):
                return
            self._left_out.append(f"{layer.name}: its result does not fit into memory.")
        self._finish("")

    def _ended(self, outcome: Outcome) -> None:
        """Go on with the next image, unless the user has stopped or discarded."""
        if not self._total:  # a single segmentation
            return
        if outcome.error:
            self._left_out.append(f"{self._name}: {outcome.error}")
        stopped = isinstance(outcome.result, Summary) and outcome.result.ending == "stopped"
        if outcome.cancelled or stopped:
            left = len(self._waiting)
            self._finish(f"Stopped; {left:,} image{'s' if left != 1 else ''} not begun.")
        else:
            self._next()

    def _finish(self, ending: str) -> None:
        done = self._total - len(self._waiting) - len(self._left_out)
        self._waiting, self._total = [], 0
        if self._before in self._context.viewer.layers:
            self._context.image_input.set_layer(self._before)
        self._before = None
        segmented = "" if ending else f"{done:,} image{'s' if done != 1 else ''} segmented."
        left_out = f"Left out: {' '.join(self._left_out)}" if self._left_out else ""
        message = " ".join(filter(None, [segmented, ending, left_out]))
        self._context.show_message(message, error=bool(self._left_out))
