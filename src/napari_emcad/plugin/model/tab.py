"""The Model tab: open, describe, complete and save checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.plugin.model.controller import ModelController
from napari_emcad.plugin.model.panel import ModelPanel
from napari_emcad.plugin.model.shelf_controller import ShelfController

if TYPE_CHECKING:
    from napari_emcad.plugin.runner.context import Context


class ModelTab:
    """Fields and controller of the Model tab; see `plugin.tab.Tab`.

    Parameters
    ----------
    context
        Shared state of the panel.
    """

    title = "Model"
    warm_up_module = ""

    def __init__(self, context: Context) -> None:
        self.panel = ModelPanel()
        self.controller = ModelController(context, self.panel)
        self.shelf = ShelfController(context.session, self.controller, self.panel.shelf)

    def layers_changed(self) -> None:
        """Do nothing: the tab does not depend on layers."""

    def release(self) -> None:
        """Disconnect from the session; the tab is not used again."""
        self.controller.release()
        self.shelf.release()
