"""The Stages tab: maps of every decoder stage, and calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.plugin.stages.calibrate_controller import CalibrateController
from napari_emcad.plugin.stages.controller import StagesController
from napari_emcad.plugin.stages.cursor import CursorReadout
from napari_emcad.plugin.stages.panel import StagesPanel
from napari_emcad.plugin.stages.presenter import MapPresenter

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.stages.layers import StageLayers


class StagesTab:
    """Fields and controllers of the Stages tab; see `plugin.tab.Tab`.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    layers
        Map layers of the viewer.
    """

    title = "Stages"
    warm_up_module = "napari_emcad.inference.stage_maps.extract"

    def __init__(
        self, context: Context, annotations: AnnotationLayers, layers: StageLayers
    ) -> None:
        self.panel = StagesPanel(context.image_input)
        self.presenter = MapPresenter(context, layers, self.panel)
        self.cursor = CursorReadout(context, self.presenter, self.panel)
        self.controller = StagesController(context, layers, self.presenter, self.panel)
        self.calibrating = CalibrateController(context, annotations, self.panel.calibration)
        self._session = context.session
        self._session.checkpoint_changed.connect(self._show_checkpoint)
        self._show_checkpoint(self._session.checkpoint)

    def _show_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is not None:
            self.panel.show_checkpoint(checkpoint)

    def layers_changed(self) -> None:
        """List the layers again, and forget results of removed images."""
        self.panel.reset_choices()
        self.controller.layers_changed()

    def release(self) -> None:
        """Disconnect from viewer and session; the tab is not used again."""
        self._session.checkpoint_changed.disconnect(self._show_checkpoint)
        for part in (self.controller, self.cursor, self.calibrating, self.presenter):
            part.release()
