"""A combo box of the images of a window; maps of a network are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.type_map import get_widget_class
from magicgui.widgets import create_widget
from napari.layers import Image
from qtpy.QtWidgets import QComboBox

from napari_emcad.plugin.layers.geometry import unwrapped
from napari_emcad.plugin.widgets.helpers import steady

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


def list_again(box: Any, chosen: Image | None) -> bool:
    """List the layers again; return whether another one than before is chosen now.

    magicgui goes by names: when layers change theirs, another one may get the chosen place, and
    nobody is told. What was chosen stays so, as long as it is there.
    """
    box.reset_choices()
    if chosen is not None and box.value is not chosen and chosen in box.choices:
        box.value = chosen
        return False
    return unwrapped(box.value) is not unwrapped(chosen)


def is_map(layer: Layer) -> bool:
    """Whether a layer shows what a network computed inside."""
    ours = layer.metadata.get("napari-emcad")
    return isinstance(ours, dict) and ours.get("kind") == "map"
