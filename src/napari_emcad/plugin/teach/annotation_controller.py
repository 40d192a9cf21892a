"""Makes and chooses annotations, and paints on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_emcad.annotation.label_rules import check_class_count
from napari_emcad.plugin.annotations.copies import COPIED_PIXELS
from napari_emcad.plugin.annotations.fit import misplacement, why_not_on
from napari_emcad.plugin.annotations.layer import (
    change_layer_meaning,
    is_ours,
    new_annotation,
)
from napari_emcad.plugin.annotations.pair import AnnotationPair, align_annotation
from napari_emcad.plugin.layers.attention import show_layer
from napari_emcad.plugin.layers.geometry import unwrap
from napari_emcad.plugin.teach.correction import copy_prediction
from napari_emcad.plugin.teach.labels_watcher import LabelsWatcher

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.layers import Image, Labels

    from napari_emcad.annotation.label_rules import Meaning
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.layers.image_input import SegmentOptions
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.teach.preview import Preview


class AnnotationController(QObject):
    """Holds the current annotation: the one that is painted, previewed and corrected.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    preview
        Predicts the image of the current annotation.

    Signals
    -------
    changed
        The current annotation, or its painting state, has changed.
    remark
        A remark on how the values of a layer are read; "" removes it.
    meaning_changed
        The values of an annotation have another meaning.
    """

    changed = Signal()
    remark = Signal(str)
    meaning_changed = Signal()

    def __init__(self, context: Context, annotations: AnnotationLayers, preview: Preview) -> None:
        super().__init__(annotations)
        self._context, self._annotations, self._preview = context, annotations, preview
        self._viewer, self._session = context.viewer, context.session
        self._input = context.image_input
        self._key: Hashable | None = None
        self._asked_to_move: tuple[Hashable, Hashable] | None = None
        self._watcher = LabelsWatcher(self.changed.emit)
        self._input.layer_changed.connect(self._image_changed)
        self._input.changed.connect(self._options_changed)
        self._session.project.entries_changed.connect(self._entries_changed)
        self._viewer.layers.selection.events.active.connect(self._active_layer_changed)

    @property
    def pair(self) -> AnnotationPair | None:
        """The current annotation with its image."""
        return self._annotations.by_key(self._key)

    # -- making and choosing

    def new_annotation(self) -> None:
        """Make an annotation layer for the chosen image and start to paint on it."""
        image, options = self._chosen_image()
        if image is None or options is None:
            return
        try:
            check_class_count(len(self._session.project.classes))
            labels = new_annotation(image, options.axes)
        except (ValueError, MemoryError) as error:
            message = str(error) or "There is no memory left for the annotation."
            self._context.show_message(message, error=True)
            return
        self._viewer.add_layer(labels)
        self._add(image, labels, options)
        self.paint(1)

    def use_layer(self, labels: Labels) -> None:
        """Use a Labels layer as the annotation of the chosen image."""
        image, options = self._chosen_image()
        if image is None or options is None:
            return
        labels = unwrap(labels)
        fits = not is_ours(labels) and not why_not_on(labels, image, options.axes)
        difference = misplacement(self._viewer, labels, image, options.axes) if fits else ""
        if difference and self._asked_to_move != (labels.unique_id, image.unique_id):
            self._asked_to_move = labels.unique_id, image.unique_id
            self._context.show_message(
                f"“{labels.name}” does not lie on “{image.name}”: {difference}. If it has the same "
                f"pixels, choose it again to move it onto the image.",
                error=True,
            )
            return
        self._asked_to_move = None
        self._add(image, labels, options)
        if difference and self.pair is not None and self.pair.labels is labels:
            align_annotation(self.pair)

    def choose(self, key: Hashable | None) -> None:
        """Make an annotation the current one; None for none."""
        self._key = key
        pair = self.pair
        self._preview.show(pair)
        self._watcher.watch(None if pair is None else pair.labels)
        self.changed.emit()

    def choose_by_click(self, key: Hashable) -> None:
        """Make an annotation the current one, and select its layer and image."""
        pair = self._annotations.by_key(key)
        if pair is not None:
            self.choose(key)
            self._input.set_layer(pair.image)
            self._viewer.layers.selection.active = pair.labels

    def change_meaning(self, key: Hashable, meaning: Meaning) -> None:
        """Give the values of an annotation another meaning."""
        pair = self._annotations.by_key(key)
        if pair is None:
            return
        project = self._session.project
        rule, classes = project.entries[key].rule, len(project.classes)
        changed = change_layer_meaning(pair.labels, rule, meaning, classes)
        try:
            project.change_entry(key, rule=changed.rule)
        except ValueError as error:
            self._context.show_message(str(error), error=True)
            self.changed.emit()
            return
        self.remark.emit(f"{pair.labels.name}: {changed.reason}" if changed.reason else "")
        self.meaning_changed.emit()

    def _chosen_image(self) -> tuple[Image | None, SegmentOptions | None]:
        """Return the chosen image and its options, or show why there are none."""
        try:
            return self._input.layer, self._input.options_from_other_tab()
        except ValueError as error:
            self._context.show_message(str(error), error=True)
            return None, None

    def _add(self, image: Image, labels: Labels, options: SegmentOptions) -> None:
        pair = AnnotationPair(image, labels, options.axes, options.channels)
        try:
            reason = self._annotations.add(pair)
        except ValueError as error:
            self._context.show_message(str(error), error=True)
            return
        remarks = [f"{labels.name}: {reason}" if reason else "", pair.why_not_paintable()]
        self.remark.emit(" ".join(filter(None, remarks)))
        self.choose(pair.key)

    # -- painting

    @property
    def painted_class(self) -> int:
        """The class that a stroke would paint; -1 if none would be painted."""
        pair = self.pair
        if pair is None or self._viewer.layers.selection.active is not pair.labels:
            return -1
        if pair.labels.mode not in ("paint", "fill", "polygon"):
            return -1
        rule = self._session.project.entries[pair.key].rule
        return rule.class_of(int(pair.labels.selected_label))

    def paint(self, k: int) -> None:
        """Select the annotation layer, class `k` and the brush; class 0 is the background."""
        pair = self.pair or self._annotations.of_image(self._input.layer)
        if pair is None:
            message = "Make an annotation layer first."
            holds = lambda: self._annotations.of_image(self._input.layer) is None  # noqa: E731
            self._context.show_message(message, error=True, holds=holds)
            return
        if reason := self._annotations.why_not(pair) or pair.why_not_paintable():
            self._context.show_message(reason, error=True)
            return
        rule = self._session.project.entries[pair.key].rule
        try:
            pair.labels.selected_label = rule.value_of(k)
        except (ValueError, OverflowError) as error:
            message = f"“{pair.labels.name}” cannot hold class {k}: {error}"
            self._context.show_message(message, error=True)
            return
        if self._key != pair.key:
            self.choose(pair.key)
        show_layer(pair.labels, True)
        self._viewer.layers.selection.active = pair.labels
        pair.labels.mode = "paint"
        self.changed.emit()

    def arm_brush(self, image: Image) -> None:
        """Make ready to paint on an image that has an annotation; the painted class stays."""
        if self._annotations.of_image(image) is not None and self.painted_class < 0:
            self.paint(1)

    def correct(self) -> None:
        """Copy the visible prediction into the annotation where it is unlabeled."""
        pair = self.pair
        if pair is None:
            self._context.show_message("There is no visible prediction.", error=True)
            return
        result = self._context.results.class_result_of(pair.image)
        slices = self._preview.visible_part(pair)
        try:
            copied = copy_prediction(pair, result, slices, self._session.project)
        except ValueError as error:
            self._context.show_message(str(error), error=True)
            return
        COPIED_PIXELS.add(pair, copied.positions, copied.values)
        if copied.count:
            message = (
                f"{copied.count:,} pixels copied; Ctrl+Z takes them back. They are trained on, but "
                f"give no score."
            )
            self._context.show_message(message, holds=copied.is_there)
        else:
            self._context.show_message("Everything on screen is annotated already.")

    @property
    def prediction(self) -> Labels | None:
        """The layer with the prediction of the current image."""
        pair = self.pair
        result = None if pair is None else self._context.results.class_result_of(pair.image)
        return None if result is None else result.layer

    def toggle(self, which: str) -> None:
        """Show or hide the ``"annotation"`` or the ``"prediction"`` of the current image."""
        layer = self.prediction
        if which == "annotation":
            layer = None if self.pair is None else self.pair.labels
        if layer is not None:
            show_layer(layer, not layer.visible)
        self.changed.emit()

    # -- following layers

    def _image_changed(self, image: Image | None) -> None:
        pair = self._annotations.of_image(image)
        if pair is None:
            self.choose(None)
        elif self.pair is None or self.pair.image is not image:
            self.choose(pair.key)

    def _options_changed(self) -> None:
        """Read the image of annotations with the channels chosen on the Segment tab."""
        image = self._input.layer
        if self._annotations.of_image(image) is not None and not self._input.problem:
            options = self._input.options
            self._annotations.set_channels(image, options.axes, options.channels)
            self._preview.show(self.pair)

    def _active_layer_changed(self, _: object = None) -> None:
        """Make the annotation current whose layer the user selected."""
        active = self._viewer.layers.selection.active
        for pair in self._annotations.pairs:
            if active is pair.labels and pair.key != self._key:
                self.choose(pair.key)
                self._input.set_layer(pair.image)
        self.changed.emit()

    def _entries_changed(self) -> None:
        if self._key is not None and self.pair is None:
            self.choose(None)
        if self._key is None:
            self._active_layer_changed()
        self.changed.emit()

    def release(self) -> None:
        """Disconnect from viewer and session; the controller is not used again."""
        self._input.layer_changed.disconnect(self._image_changed)
        self._input.changed.disconnect(self._options_changed)
        self._session.project.entries_changed.disconnect(self._entries_changed)
        self._viewer.layers.selection.events.active.disconnect(self._active_layer_changed)
        self._watcher.watch(None)
