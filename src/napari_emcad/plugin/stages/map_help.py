"""What a map shows, in a picture and two sentences, behind a "?"."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from napari_emcad.io.images.samples import read_help_picture
from napari_emcad.plugin.widgets.helpers import text
from napari_emcad.plugin.widgets.pictures import picture_pixels

MAP_HELP = {
    "gate": (
        "A gate decides how much of the encoder's map enters a stage of the decoder: much where it "
        "is bright, little where it is dark. Useful gates mark your objects or their borders."
    ),
    "spatial": (
        "Spatial attention multiplies all channels of a map by one weight per position, from 0 to "
        "1. Dark positions are weakened; in many models it is close to 1 almost everywhere."
    ),
    "entropy": (
        "Entropy is bright where the model is undecided between the classes, and dark where it is "
        "sure. Borders are always bright; a bright area is a good place for a stroke."
    ),
}
"""Two sentences by kind of map."""

_CAPTION = "Left: nuclei in fluorescence. Right: the map, from low (blue) to high (yellow)."
_MARGIN = 12


def with_help(box: QWidget, kind: str) -> QWidget:
    """Return a check box with a "?" beside it, if there is a picture of its kind of map."""
    if kind not in MAP_HELP:
        return box
    button = QToolButton()
    button.setText("?")
    button.setAccessibleName(f"What {kind} shows")
    button.setToolTip(f"Shows what “{kind}” means, with a picture")
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    button.clicked.connect(partial(_open, button, kind))
    holder = QWidget()
    line = QHBoxLayout(holder)
    line.setContentsMargins(0, 0, 0, 0)
    line.addWidget(box)
    line.addWidget(button)
    line.addStretch()
    return holder


class MapHelp(QDialog):
    """A small window with a picture of a map and what it shows; Esc or a click beside closes it.

    Parameters
    ----------
    parent
        Widget below which it opens.
    kind
        Key of `MAP_HELP`.
    """

    def __init__(self, parent: QWidget, kind: str) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAccessibleName(f"What {kind} shows")
        self.setStyleSheet("MapHelp { border: 1px solid gray; }")
        picture, pixels = QLabel(), picture_pixels(read_help_picture(kind))
        picture.setPixmap(pixels)
        picture.setAccessibleName(_CAPTION)
        column = QVBoxLayout(self)
        column.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        for widget in (picture, text(_CAPTION), text(MAP_HELP[kind])):
            widget.setFixedWidth(pixels.width())
            column.addWidget(widget)


def _open(button: QToolButton, kind: str, _: bool = False) -> None:
    """Open the window so that it ends where the button ends."""
    window = MapHelp(button, kind)
    size = window.sizeHint()
    corner = button.mapToGlobal(button.rect().bottomRight())
    lowest = button.screen().availableGeometry().bottom() - size.height()
    window.move(corner.x() - size.width(), min(corner.y(), lowest))
    window.show()
