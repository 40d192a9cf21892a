"""The Teach tab: annotate, train, go back to earlier versions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut

from napari_emcad.plugin.review.controller import ReviewController
from napari_emcad.plugin.teach.annotation_controller import AnnotationController
from napari_emcad.plugin.teach.annotation_tools import AnnotationTools
from napari_emcad.plugin.teach.chosen_image import ChosenImage
from napari_emcad.plugin.teach.class_controller import ClassController
from napari_emcad.plugin.teach.class_removal import ClassRemoval
from napari_emcad.plugin.teach.continue_strip import ContinueStrip
from napari_emcad.plugin.teach.instant_controller import InstantController
from napari_emcad.plugin.teach.live_view import LiveView
from napari_emcad.plugin.teach.panel import TeachPanel
from napari_emcad.plugin.teach.preview import Preview
from napari_emcad.plugin.teach.suggest_controller import SuggestController
from napari_emcad.plugin.teach.training_controller import TrainingController
from napari_emcad.plugin.teach.view import TeachView

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.runner.context import Context


class TeachTab:
    """Fields and controllers of the Teach tab; see `plugin.tab.Tab`.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    """

    title = "Teach"
    warm_up_module = "napari_emcad.interactive.live"

    def __init__(self, context: Context, annotations: AnnotationLayers) -> None:
        self._session = context.session
        self.panel = TeachPanel(context.image_input)
        self.preview = Preview(context, annotations)
        self.training = TrainingController(
            context, annotations, self.preview, self.panel.form.value
        )
        self.instant = InstantController(
            context, self.preview, self.training, self.panel.form.value
        )
        self.live_view = LiveView(context, self.preview, self.training, self.instant)
        self.annotating = AnnotationController(context, annotations, self.preview)
        self.tools = AnnotationTools(context, annotations, self.annotating)
        self.suggesting = SuggestController(context, annotations, self.panel.suggest)
        self.classes = ClassController(context, self.annotating)
        self.removal = ClassRemoval(
            context, annotations, self.annotating, self.classes, self.panel.classes
        )
        self.view = TeachView(
            context, annotations, self.annotating, self.training, self.instant, self.panel
        )
        self.interrupted = ContinueStrip(context.session, self.training, self.panel.form)
        self.review = ReviewController(context, annotations, self.panel.review)
        self.chosen_image = ChosenImage(context, annotations, self.panel)
        self._connect()

    def layers_changed(self) -> None:
        """List the layers again."""
        self.panel.reset_choices()
        self.suggesting.layers_changed()
        self.view.show_soon()

    def bind_shortcuts(self, owner: QWidget) -> list[QShortcut]:
        """Bind the shortcuts of the buttons to the window of a widget, and return them."""
        actions: dict[str, Callable[[], None]] = {
            "Alt+A": partial(self.annotating.toggle, "annotation"),
            "Alt+S": partial(self.annotating.toggle, "prediction"),
            "Alt+U": self.training.update_now,
            "Alt+T": self.training.train,
            "Alt+I": self.panel.toggle_instant,
            "Alt+N": partial(self.suggesting.step, 1),
            "Alt+Shift+N": partial(self.suggesting.step, -1),
            "Alt+PgDown": self.review.open_next,
            "Alt+PgUp": self.review.open_previous,
            "Alt+D": self.panel.review.toggle_done,
        }
        actions |= {f"Alt+{k}": partial(self._paint_existing, k) for k in range(10)}
        shortcuts = []
        for key, action in actions.items():
            shortcuts.append(QShortcut(QKeySequence(key), owner))
            shortcuts[-1].activated.connect(action)
        return shortcuts

    def _paint_existing(self, k: int) -> None:
        if k <= len(self._session.project.classes):
            self.annotating.paint(k)

    def _connect(self) -> None:
        panel, training, annotating = self.panel, self.training, self.annotating
        panel.annotation_requested.connect(annotating.new_annotation)
        panel.layer_requested.connect(annotating.use_layer)
        panel.correction_requested.connect(annotating.correct)
        panel.fill_requested.connect(self.tools.fill_between)
        panel.visibility_requested.connect(annotating.toggle)
        panel.train_requested.connect(training.train)
        panel.update_requested.connect(training.update_now)
        panel.live_requested.connect(training.set_live)
        panel.instant_requested.connect(self.instant.set_on)
        panel.annotations.enabled_changed.connect(self._set_enabled)
        panel.annotations.meaning_chosen.connect(annotating.change_meaning)
        panel.annotations.chosen.connect(annotating.choose_by_click)
        panel.classes.class_chosen.connect(annotating.paint)
        panel.classes.add_requested.connect(self.classes.add)
        self.removal.undone.connect(training.queue.scan)
        panel.classes.renamed.connect(self.classes.rename)
        panel.classes.recolored.connect(self.classes.recolor)
        panel.versions.use_requested.connect(training.go_to)
        panel.versions.compare_requested.connect(self.preview.compare)
        self.suggesting.shown.connect(annotating.arm_brush)
        annotating.meaning_changed.connect(training.queue.scan)
        self.classes.refused.connect(panel.classes.edit_again)
        self.classes.removed.connect(training.forget_live_trainer)
        self.classes.changed.connect(self.view.show)

    def _set_enabled(self, key: object, enabled: bool) -> None:
        self._session.project.change_entry(key, enabled=enabled)

    def release(self) -> None:
        """Disconnect from viewer and session; the tab is not used again."""
        parts = (self.view, self.suggesting, self.annotating, self.instant, self.training)
        for part in (*parts, self.live_view, self.preview, self.interrupted, self.review):
            part.release()
