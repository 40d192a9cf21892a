"""Shows the image that is chosen on the Teach tab, with its annotation and prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_emcad.plugin.layers.show_alone import show_alone

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.layers import Image, Layer

    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.teach.panel import TeachPanel


class ChosenImage(QObject):
    """Shows an image alone when the user chooses it in the image box or in the table.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    panel
        Fields of the Teach tab.
    """

    def __init__(self, context: Context, annotations: AnnotationLayers, panel: TeachPanel) -> None:
        super().__init__(panel)
        self._context, self._annotations = context, annotations
        panel.image_chosen.connect(self.show)
        panel.annotations.chosen.connect(self._show_annotated)

    def show(self, image: Image) -> None:
        """Show an image with its annotation and its newest labels, hide all else, fit the view."""
        layers: list[Layer] = [image]
        if (pair := self._annotations.of_image(image)) is not None:
            layers.append(pair.labels)
        if (result := self._context.results.class_result_of(image)) is not None:
            layers.append(result.layer)
        show_alone(self._context.viewer, layers)

    def _show_annotated(self, key: Hashable) -> None:
        """Show the image of an annotation, unless it is the chosen one already."""
        pair = self._annotations.by_key(key)
        if pair is not None and pair.image is not self._context.image_input.layer:
            self.show(pair.image)
