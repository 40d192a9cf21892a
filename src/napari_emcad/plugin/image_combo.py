"""A combo box of the images of a window; maps of a network are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.type_map import get_widget_class
from magicgui.widgets import create_widget
from napari.layers import Image
from qtpy.QtWidgets import QComboBox

from napari_emcad.plugin.look import steady

if TYPE_CHECKING:
    from napari.layers import Layer


def image_combo() -> Any:
    """Return magicgui's combo of the Image layers, which `reset_choices` lists again."""
    _, options = get_widget_class(annotation=Image)
    every = options["choices"]

    def images(widget: Any) -> list[Image]:
        return [each for each in every(widget) if not is_map(each)]

    chosen = {"nullable": False, "choices": images}
    box = create_widget(annotation=Image, options=chosen)
    native = box.native.findChild(QComboBox) or box.native
    steady(native)
    native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return box


def is_map(layer: Layer) -> bool:
    """Whether a layer shows what a network computed inside."""
    ours = layer.metadata.get("napari-emcad")
    return isinstance(ours, dict) and ours.get("kind") == "map"
