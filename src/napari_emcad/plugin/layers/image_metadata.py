"""Metadata of an image layer that layers made from it carry on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.plugin.layers.geometry import levels

if TYPE_CHECKING:
    from napari.layers import Image

_OWN = "napari-emcad"
"""Key of this plugin, whose content describes one layer only."""


def image_metadata(image: Image, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the metadata of an image for a layer of labels; nothing for a part of the image.

    Writers of other plugins save a layer by it where the image lies in the patient.

    Parameters
    ----------
    image
        The image layer.
    shape
        Shape of the labels, without channels.
    """
    whole = tuple(levels(image)[0].array.shape)
    without_one = [whole[:axis] + whole[axis + 1 :] for axis in range(len(whole))]
    if tuple(shape) not in (whole, *without_one):
        return {}
    return {key: value for key, value in image.metadata.items() if key != _OWN}
