"""Fills annotations without the brush: between slices, and from accepted objects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_emcad.plugin.layers.attention import show_layer
from napari_emcad.plugin.teach.accepted_objects import copy_objects
from napari_emcad.plugin.teach.fill_between import fill_job, paint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

    from napari_emcad.plugin.annotations.pair import AnnotationPair
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.teach.annotation_controller import AnnotationController


class AnnotationTools:
    """Tools that write to the current annotation.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    annotating
        Has the current annotation and the class to paint.
    """

    def __init__(
        self, context: Context, annotations: AnnotationLayers, annotating: AnnotationController
    ) -> None:
        self._context, self._annotations = context, annotations
        self._annotating = annotating

    # -- between slices

    def fill_between(self) -> None:
        """Fill the class that is painted between the slices on which it was painted."""
        pair, k = self._annotating.pair, self._annotating.painted_class
        if pair is None or self._context.session.running is not None:
            return
        if k < 0:
            message = "Choose the class to fill: click it in the table, or press Alt+number."
            self._context.show_message(message, error=True)
            return
        value = int(pair.labels.selected_label)
        self._context.runner.run(
            "Filling between slices",
            partial(fill_job, pair, value),
            partial(self._filled, pair, value),
        )

    def _filled(self, pair: AnnotationPair, value: int, outcome: Outcome) -> None:
        if outcome.error or outcome.result is None or self._annotations.by_key(pair.key) is None:
            return
        count = outcome.result[0].size
        if count:
            show_layer(pair.labels, True)  # napari updates the drawn slice only of visible layers
            paint(pair, outcome.result, value)
        self._context.show_message(
            f"{count:,} pixels filled; Ctrl+Z takes them back."
            if count
            else "Everything between these slices is annotated already."
        )

    # -- accepted objects

    def copy_objects(self, layer: Labels, numbers: Sequence[int]) -> None:
        """Copy accepted objects into the annotation of the chosen image, a new one if needed."""
        pair = self._annotations.of_image(self._context.image_input.layer)
        if pair is None:
            self._annotating.new_annotation()
            pair = self._annotating.pair
        if pair is None:
            return  # the reason is shown
        try:
            count = copy_objects(pair, layer, numbers, self._context.session.project)
        except (ValueError, OverflowError) as error:
            self._context.show_message(str(error), error=True)
            return
        objects = f"{len(numbers):,} object{'s' if len(numbers) != 1 else ''}"
        self._context.show_message(
            f"{objects} with a rim of background copied, {count:,} pixels; press Train."
            if count
            else "These objects are annotated already."
        )
