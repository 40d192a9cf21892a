"""Shows and hides single classes of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QSignalBlocker, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QCheckBox, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.layers.class_visibility import (
    class_color,
    class_names,
    hidden_classes,
    hide_classes,
)
from napari_emcad.plugin.layers.geometry import is_open
from napari_emcad.plugin.widgets.helpers import literal, row, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Labels

    from napari_emcad.plugin.runner.context import Context

_SWATCH = 12


class VisibleClasses(QWidget):
    """A check box per class.

    Signals
    -------
    changed
        The user has shown or hidden classes; see `hidden`.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._boxes: dict[int, QCheckBox] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._all, self._none = QPushButton("All"), QPushButton("None")
        self._all.setToolTip("Shows all classes of the labels")
        self._none.setToolTip("Hides all classes of the labels")
        self._all.clicked.connect(lambda: self._check_all(True))
        self._none.clicked.connect(lambda: self._check_all(False))
        self._column.addWidget(row(self._all, self._none))

    @property
    def hidden(self) -> frozenset[int]:
        """Numbers of the classes that are not checked."""
        return frozenset(k for k, box in self._boxes.items() if not box.isChecked())

    def show_classes(
        self, names: Mapping[int, str], colors: Mapping[int, Any], hidden: frozenset[int]
    ) -> None:
        """List classes.

        Parameters
        ----------
        names, colors
            Name, and red, green and blue in 0 … 255, of every class by its number.
        hidden
            Numbers of those that are not checked.
        """
        for k in set(self._boxes) - set(names):
            self._column.removeWidget(self._boxes[k])
            self._boxes.pop(k).deleteLater()
        for place, (k, name) in enumerate(names.items()):
            if k not in self._boxes:
                self._boxes[k] = QCheckBox()
                self._boxes[k].toggled.connect(self.changed)
                self._column.insertWidget(place, self._boxes[k])
            box = self._boxes[k]
            with QSignalBlocker(box):
                box.setChecked(k not in hidden)
            box.setText(literal(shorten(name, 24)))
            box.setToolTip(f"Show {name} in the labels (shown)")
            box.setIcon(_icon(colors[k]))

    def _check_all(self, checked: bool) -> None:
        for box in self._boxes.values():
            with QSignalBlocker(box):
                box.setChecked(checked)
        self.changed.emit()


class VisibleClassesController(QObject):
    """Connects the check boxes with the selected Labels layer, or the uppermost one.

    Parameters
    ----------
    context
        Shared state of the panel.
    boxes
        The check boxes.
    section
        Widget around them, which is hidden where there are less than two classes.
    """

    def __init__(self, context: Context, boxes: VisibleClasses, section: QWidget) -> None:
        super().__init__(boxes)
        self._context, self._boxes, self._section = context, boxes, section
        self._layers, self._layer = context.viewer.layers, None
        boxes.changed.connect(self._hide)
        self._show()
        for event in self._events():
            event.connect(self._show)

    def _events(self) -> tuple[Any, ...]:
        events = self._layers.events
        return events.inserted, events.removed, self._layers.selection.events.active

    def _show(self, _: object = None) -> None:
        """List the classes of the layer that is looked at."""
        self._follow(self._find())
        self._list()

    def _list(self, _: object = None) -> None:
        layer = self._layer
        names = class_names(layer)
        self._section.setVisible(len(names) > 1)
        if layer is not None and names:
            colors = {k: class_color(layer, k) for k in names}
            self._boxes.show_classes(names, colors, hidden_classes(layer))

    def _find(self) -> Labels | None:
        """Return the selected layer if it has classes, else the uppermost one that has."""
        for layer in (self._layers.selection.active, *reversed(self._layers)):
            if class_names(layer):
                found: Labels = layer
                return found
        return None

    def _follow(self, layer: Labels | None) -> None:
        """Listen for new colors and classes of a layer."""
        if layer is self._layer:
            return
        for one, connect in ((self._layer, False), (layer, True)):
            for event in () if one is None else (one.events.colormap, one.events.features):
                (event.connect if connect else event.disconnect)(self._list)
        self._layer = layer

    def _hide(self) -> None:
        if self._layer is not None and is_open(self._context.viewer, self._layer):
            hide_classes(self._layer, self._boxes.hidden)

    def release(self) -> None:
        """Disconnect from viewer and layers; the controller is not used again."""
        self._follow(None)
        for event in self._events():
            event.disconnect(self._show)


def _icon(color: tuple[int, int, int]) -> QIcon:
    swatch = QPixmap(_SWATCH, _SWATCH)
    swatch.fill(QColor(*color))
    return QIcon(swatch)
