"""Opens the images of the review queue one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.errors import MultipleReaderError
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_emcad.interactive.review_queue import ReviewItem
from napari_emcad.interactive.session import wait_message
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.opened_image import ImageFileError, first_line
from napari_emcad.plugin.layers.attention import show_layer
from napari_emcad.plugin.layers.geometry import unwrap
from napari_emcad.plugin.layers.kinds import is_image
from napari_emcad.plugin.layers.show_alone import show_alone

if TYPE_CHECKING:
    from napari.layers import Labels, Layer

    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.review.box import ReviewBox
    from napari_emcad.plugin.runner.context import Context


class ReviewController(QObject):
    """Opens the images of the session's `ReviewQueue`, and closes those that nothing was done on.

    An image with an annotation or with a corrected result stays open, hidden: its strokes are
    learned, and nothing that a user has made is closed.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    box
        Fields of the queue.
    """

    def __init__(self, context: Context, annotations: AnnotationLayers, box: ReviewBox) -> None:
        super().__init__(box)
        self._context, self._annotations, self._box = context, annotations, box
        self._viewer, self._queue = context.viewer, context.session.review
        self._opening = False
        box.folder_requested.connect(self.add_folder)
        box.layers_requested.connect(self.add_layers)
        box.clear_requested.connect(self._queue.clear)
        box.row_requested.connect(self.open)
        box.next_requested.connect(self.open_next)
        box.previous_requested.connect(self.open_previous)
        box.done_requested.connect(self.set_done)
        self._queue.changed.connect(self._show)
        self._show()

    # -- the queue

    def add_folder(self, folder: Path) -> None:
        """Add the images of a folder, which are not opened yet."""
        try:
            paths = image_files(folder)
        except (ImageFileError, OSError) as error:
            self._context.show_message(str(error), error=True)
            return
        self._queue.add(ReviewItem(path.name, str(path.absolute())) for path in paths)
        if self._queue.current is None:
            self.open_next()

    def add_layers(self) -> None:
        """Add the images that are open."""
        images = [layer for layer in self._viewer.layers if is_image(layer)]
        self._queue.add(
            ReviewItem(Path(path).name if (path := one.source.path) else one.name, path or "")
            for one in images
        )

    def set_done(self, done: bool) -> None:
        """Mark the current image; after one that is done the next one is opened."""
        if self._queue.current is None:
            return
        self._queue.change(self._queue.current, done=done)
        if done:
            self.open_next()

    def set_score(self, predicted: Labels, dice: float) -> None:
        """Keep the score of a result, if the current image is the one it belongs to."""
        number = self._queue.current
        image = None if number is None else self._image_of(self._queue.items[number])
        if number is None or image is None:
            return
        if self._context.results.source_of(predicted) is image:
            self._queue.change(number, dice=dice)

    # -- opening

    def open_next(self) -> None:
        """Open the next image that is not done; files that cannot be opened are passed over."""
        while (number := self._queue.next_to_do()) is not None:
            self.open(number)
            if not self._queue.items[number].failed:
                return
        if self._queue.items and not self._queue.remaining:
            self._context.show_message("All images are done.")

    def open_previous(self) -> None:
        """Open the image before the current one."""
        if (number := self._queue.previous()) is not None:
            self.open(number)

    def open(self, number: int) -> None:
        """Open an image, and close or hide the one before; if that fails, the one before stays."""
        running, before = self._context.session.running, self._queue.current
        if self._opening or (number == before and self._image_of(self._queue.items[number])):
            return
        if running is not None and not running.preemptible:
            self._context.show_message(wait_message(running), error=True)
            self._show()
            return
        self._opening = True  # napari handles events, such as another key, while it opens a file
        try:
            self._change_image(before, number)
        finally:
            self._opening = False

    def _change_image(self, before: int | None, number: int) -> None:
        """Show another image than the one before, which stays if the other cannot be opened."""
        # Removing a Labels and an Image layer before the next drawing crashes Mesa's OpenGL. So
        # results go first, opening a file draws the canvas, and the image before goes last.
        left = None if before is None else self._queue.items[before]
        if left is not None and (image := self._image_of(left)) is not None:
            self._context.results.remove_unedited(image)
        shown = self._show_image(self._queue.items[number])
        self._queue.change(number, failed=shown is None)
        if shown is None:
            return
        if left is not None:
            self._leave(left, shown)
        item = self._queue.items[number]
        show_alone(self._viewer, {*self._from_file(item), *self._layers_of(shown)})
        self._queue.go_to(number)

    def _show_image(self, item: ReviewItem) -> Image | None:
        """Show an image, from its file if it is not open; return it, or None if that fails."""
        image = self._image_of(item) or self._read(item)
        if image is None:
            return None
        self._viewer.layers.selection.active = image
        self._context.image_input.set_layer(image)
        return image

    def _read(self, item: ReviewItem) -> Image | None:
        """Return a new layer of a file; None, with a message, if it cannot be opened."""
        if not item.path:
            self._context.show_message(f"“{item.name}” was closed, and is in no file.", error=True)
            return None
        try:
            try:
                opened = self._viewer.open(item.path)
            except MultipleReaderError:
                opened = self._viewer.open(item.path, plugin="napari")
        except Exception as error:  # noqa: BLE001  (any reader of any plugin)
            self._context.show_message(
                f"{item.name} cannot be opened: {first_line(error)}", error=True
            )
            return None
        images = [layer for layer in opened if isinstance(layer, Image)]
        if not images:
            self._context.show_message(f"{item.name} is not an image.", error=True)
        return images[0] if images else None

    def _leave(self, item: ReviewItem, shown: Image) -> None:
        """Close the layers of an image, or hide them if the user has worked on them.

        Parameters
        ----------
        item
            The image that is left.
        shown
            The image that is shown instead.
        """
        image = self._image_of(item)
        if image is None or image is shown:
            return
        layers = [image, *(one for one in self._from_file(item) if one is not image)]
        edited = self._context.results.layers_of(image)
        if edited or not item.path or any(self._may_hold_work(layer) for layer in layers):
            for layer in {*layers, *self._layers_of(image)}:
                show_layer(layer, False)
            return
        for layer in layers:
            self._viewer.layers.remove(layer)

    def _from_file(self, item: ReviewItem) -> list[Layer]:
        """Return all layers of a file, of which some have several."""
        layers = [unwrap(layer) for layer in self._viewer.layers]
        return [one for one in layers if item.path and one.source.path == item.path]

    def _may_hold_work(self, layer: Layer) -> bool:
        """Return whether a layer has an annotation, or is no image and may be painted on."""
        return not isinstance(layer, Image) or self._annotations.of_image(layer) is not None

    def _image_of(self, item: ReviewItem) -> Image | None:
        """Return the open layer of an image."""
        for layer in self._viewer.layers:
            path = layer.source.path or ""
            if is_image(layer) and (path == item.path if item.path else layer.name == item.name):
                found: Image = unwrap(layer)
                return found
        return None

    def _layers_of(self, image: Image) -> list[Layer]:
        """Return an image with its annotation and its results."""
        pair = self._annotations.of_image(image)
        layers = [] if pair is None else [pair.labels]
        return [image, *layers, *self._context.results.layers_of(image)]

    def _show(self) -> None:
        queue = self._queue
        self._box.show_items(queue.items, queue.current, queue.remaining)

    def release(self) -> None:
        """Disconnect from the session; the controller is not used again."""
        self._queue.changed.disconnect(self._show)
