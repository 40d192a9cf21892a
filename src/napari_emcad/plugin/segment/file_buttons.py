"""Buttons that segment files instead of the pixels of a layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import row

if TYPE_CHECKING:
    from napari_emcad.plugin.layers.image_input import ImageInput


class FileButtons(QWidget):
    """Buttons for all open images, for files that are not open, and for the file of an image.

    Parameters
    ----------
    image_input
        The chosen image.

    Signals
    -------
    open_requested
        The user wants all open images to be segmented.
    files_requested
        Paths of image files to segment, and the folder for their labels.
    background_requested
        Path for the labels of the chosen image's file.
    """

    open_requested = Signal()
    files_requested = Signal(object, object)
    background_requested = Signal(object)

    def __init__(self, image_input: ImageInput) -> None:
        super().__init__()
        self._input = image_input
        opened = QPushButton("Segment open images")
        opened.setToolTip(
            "Segments all open images completely, one after another, with the model and settings "
            "shown here; Stop ends them all"
        )
        opened.clicked.connect(self.open_requested)
        files = QPushButton("Segment files …")
        files.setToolTip(
            "Segments image files that are not open into a folder, with the model and settings "
            "shown here; labels that are there already are kept"
        )
        files.clicked.connect(self._ask_files)
        background = QPushButton("Segment this file …")
        background.setToolTip(
            "Segments the file of the chosen image into OME-Zarr, also if it is larger than memory;"
            " labels appear as they are written, and a stopped run goes on where it was"
        )
        background.clicked.connect(self._ask_background)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(opened)
        column.addWidget(row(files, background))

    def _ask_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Images to segment")
        if names:
            start = str(Path(names[0]).parent)
            folder = QFileDialog.getExistingDirectory(self, "Folder for the labels", start)
            if folder:
                self.files_requested.emit([Path(name) for name in names], Path(folder))

    def _ask_background(self) -> None:
        layer = self._input.layer
        path = Path(str(layer.source.path)) if layer is not None and layer.source.path else None
        start = str(path.with_name(f"{path.stem}_labels.zarr")) if path else ""
        name, _ = QFileDialog.getSaveFileName(self, "Labels", start, "OME-Zarr (*.zarr)")
        if name:
            self.background_requested.emit(Path(name))
