"""A combo box of the image layers, bound to the chosen image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.type_map import get_widget_class
from magicgui.widgets import create_widget
from napari.layers import Image
from psygnal import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from napari_emcad.plugin.layers.geometry import unwrap
from napari_emcad.plugin.layers.kinds import is_map
from napari_emcad.plugin.widgets.helpers import require_focus_for_wheel

if TYPE_CHECKING:
    from napari_emcad.plugin.layers.image_input import ImageInput


class ImageCombo:
    """magicgui's combo box of Image layers without stage maps, bound to an `ImageInput`.

    Parameters
    ----------
    image_input
        Image input whose layer is shown, and set when the user chooses another one.

    Attributes
    ----------
    chosen
        Emitted with the layer when the user has chosen one in the box, also the same again.
    """

    chosen = Signal(object)

    def __init__(self, image_input: ImageInput) -> None:
        self._input = image_input
        self._box = _layer_box()
        self._box.changed.connect(self._user_chose)
        _qt_box(self._box).activated.connect(self._emit_chosen)
        self._pin = self._new_pin()
        self._row = self._new_row()
        image_input.layer_changed.connect(self._show)
        image_input.pinned_changed.connect(self._show_pinned)

    @property
    def native(self) -> QWidget:
        """The Qt widget: the combo box, and a button that pins the image."""
        return self._row

    def _new_row(self) -> QWidget:
        holder = QWidget()
        layout = QHBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box.native, 1)
        layout.addWidget(self._pin)
        return holder

    def _new_pin(self) -> QPushButton:
        pin = QPushButton("Pin")
        pin.setCheckable(True)
        pin.setToolTip("Keeps this image when another one is selected in the layer list (off)")
        pin.setChecked(self._input.pinned)
        pin.toggled.connect(self._input.set_pinned)
        return pin

    def reset_choices(self) -> None:
        """List the layers again.

        magicgui identifies layers by name: when names change, another layer may take the place of
        the chosen one without a signal. The chosen image stays chosen as long as it is open.
        """
        with self._box.changed.blocked():
            self._box.reset_choices()
            self._show(self._input.layer)
        self._user_chose(self._box.value)

    def _show_pinned(self, pinned: bool) -> None:
        self._pin.setChecked(pinned)

    def _user_chose(self, layer: Any) -> None:
        self._input.set_layer(layer)

    def _emit_chosen(self, _: int) -> None:
        if self._input.layer is not None:
            self.chosen.emit(self._input.layer)

    def _show(self, layer: Image | None) -> None:
        for choice in self._box.choices:
            if unwrap(choice) is layer and self._box.value is not choice:
                with self._box.changed.blocked():
                    self._box.value = choice


def _layer_box() -> Any:
    """Return magicgui's combo box of Image layers, without stage maps."""
    _, options = get_widget_class(annotation=Image)
    all_images = options["choices"]

    def images(widget: Any) -> list[Image]:
        return [layer for layer in all_images(widget) if not is_map(layer)]

    box = create_widget(annotation=Image, options={"nullable": False, "choices": images})
    native = _qt_box(box)
    require_focus_for_wheel(native)
    native.setToolTip("Image layer that all tabs work on; it follows the selected layer")
    native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return box


def _qt_box(box: Any) -> QComboBox:
    """Return the Qt widget of magicgui's combo box."""
    return box.native.findChild(QComboBox) or box.native
