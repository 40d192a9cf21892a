"""Links the objects of a stack through its slices."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_emcad.plugin.objects.measured_layer import link_job
from napari_emcad.plugin.objects.rows import linked_layer
from napari_emcad.plugin.widgets.helpers import shorten

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_emcad.imaging.link_objects import LinkSettings
    from napari_emcad.plugin.objects.controller import ObjectsController
    from napari_emcad.plugin.objects.panel import ObjectsPanel
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome


class LinkController(QObject):
    """Adds layers whose objects have one number in all slices.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the tab.
    objects
        Has the chosen layer, and gets the new one.
    """

    def __init__(self, context: Context, panel: ObjectsPanel, objects: ObjectsController) -> None:
        super().__init__(panel)
        self._context, self._objects = context, objects
        panel.link_requested.connect(self.link)

    def link(self, settings: LinkSettings) -> None:
        """Link the objects of the chosen layer; a new layer shows them, and is chosen."""
        layer = self._objects.layer
        if layer is None or self._context.session.running is not None:
            return
        self._context.runner.run(
            f"Linking {shorten(layer.name)}",
            partial(link_job, layer, settings),
            partial(self._ended, layer),
        )

    def _ended(self, layer: Labels, outcome: Outcome) -> None:
        if outcome.error:
            return
        if outcome.result is None:
            self._context.show_message("Stopped; nothing was linked.")
            return
        linked = linked_layer(layer, outcome.result.labels)
        self._context.viewer.layers.append(linked)
        layer.visible = False
        self._objects.choose(linked)
        self._context.show_message(f"{outcome.result.count:,} objects through the slices.")
