"""The Objects tab: measure the objects of a Labels layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.plugin.objects.controller import ObjectsController
from napari_emcad.plugin.objects.correct_controller import CorrectController
from napari_emcad.plugin.objects.filter_controller import FilterController
from napari_emcad.plugin.objects.link_controller import LinkController
from napari_emcad.plugin.objects.panel import ObjectsPanel

if TYPE_CHECKING:
    from napari_emcad.plugin.runner.context import Context


class ObjectsTab:
    """Fields and controllers of the Objects tab; see `plugin.tab.Tab`.

    Parameters
    ----------
    context
        Shared state of the panel.
    """

    title = "Objects"
    warm_up_module = "napari_emcad.pipelines.measure"

    def __init__(self, context: Context) -> None:
        self.panel = ObjectsPanel()
        self.controller = ObjectsController(context, self.panel)
        self.filtering = FilterController(context, self.panel, self.controller)
        self.correcting = CorrectController(context, self.panel.correct, self.controller)
        self.linking = LinkController(context, self.panel, self.controller)

    def layers_changed(self) -> None:
        """List the layers again."""
        self.controller.layers_changed()

    def release(self) -> None:
        """Disconnect from viewer and layers; the tab is not used again."""
        self.correcting.release()
        self.controller.release()
        self.filtering.release()
