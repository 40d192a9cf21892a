"""The Segment tab: segment the chosen image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.plugin.segment.background_controller import BackgroundController
from napari_emcad.plugin.segment.controller import SegmentController
from napari_emcad.plugin.segment.files_controller import FilesController
from napari_emcad.plugin.segment.open_images_controller import OpenImagesController
from napari_emcad.plugin.segment.panel import SegmentPanel
from napari_emcad.plugin.segment.range_controller import RangeController
from napari_emcad.plugin.segment.settings_controller import SettingsController
from napari_emcad.plugin.segment.visible_classes import VisibleClassesController

if TYPE_CHECKING:
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.plugin.runner.context import Context


class SegmentTab:
    """Fields and controllers of the Segment tab; see `plugin.tab.Tab`.

    Parameters
    ----------
    context
        Shared state of the panel.
    settings
        Initial settings.
    """

    title = "Segment"
    warm_up_module = ""

    def __init__(self, context: Context, settings: InferenceSettings) -> None:
        self.panel = SegmentPanel(context.image_input, settings)
        self.controller = SegmentController(context, self.panel)
        self.opened = OpenImagesController(context, self.panel, self.controller)
        self.files = FilesController(context, self.panel, lambda: self.controller.model)
        self.background = BackgroundController(context, self.panel, lambda: self.controller.model)
        self.settings = SettingsController(context, self.panel, lambda: self.controller.model)
        self.range = RangeController(context, self.panel)
        self.classes = VisibleClassesController(
            context, self.panel.classes, self.panel.classes_section
        )

    def layers_changed(self) -> None:
        """List the layers again."""
        self.panel.reset_choices()
        self.controller.show()

    def release(self) -> None:
        """Disconnect from viewer and session; the tab is not used again."""
        self.classes.release()
        self.range.release()
        self.controller.release()
