"""The Scores tab: compare a result with labels that are known to be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.plugin.scores.controller import ScoresController
from napari_emcad.plugin.scores.panel import ScoresPanel

if TYPE_CHECKING:
    from napari_emcad.plugin.runner.context import Context


class ScoresTab:
    """Fields and controller of the Scores tab; see `plugin.tab.Tab`.

    Parameters
    ----------
    context
        Shared state of the panel.
    """

    title = "Scores"
    warm_up_module = "napari_emcad.pipelines.compare_labels"

    def __init__(self, context: Context) -> None:
        self.panel = ScoresPanel()
        self.controller = ScoresController(context, self.panel)

    def layers_changed(self) -> None:
        """List the layers again."""
        self.controller.layers_changed()

    def release(self) -> None:
        """Disconnect from viewer and session; the tab is not used again."""
        self.controller.release()
