"""Annotation layers as they are saved, and their layers again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_emcad.annotation.label_rules import LabelRule
from napari_emcad.imaging.fingerprint import is_image_of
from napari_emcad.imaging.thumbnail import annotated_thumbnail
from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.plugin.annotations.copies import COPIED_PIXELS
from napari_emcad.plugin.annotations.layer import BACKGROUND_COLOR, corner_of, is_ours, mark
from napari_emcad.plugin.annotations.pair import AnnotationPair
from napari_emcad.plugin.layers.channel_axis import broadcast_channels, layer_axes
from napari_emcad.plugin.layers.geometry import levels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_emcad.interactive.project import AnnotationProject
    from napari_emcad.io.annotation_file import SavedAnnotation
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers

_OPACITY = 0.7


def describe(pair: AnnotationPair, project: AnnotationProject) -> dict[str, Any]:
    """Return what is needed to show an annotation again, besides its pixels, for JSON."""
    labels = pair.labels
    return {
        "name": labels.name,
        "image": pair.image.name,
        "path": pair.image.source.path,
        "reader": pair.image.source.reader_plugin,
        "axes": pair.axes,
        "shape": [int(size) for size in labels.data.shape],
        "channels": pair.channels,
        "ours": is_ours(labels),
        "corner": list(corner_of(labels)),
        "rule": project.entries[pair.key].rule.to_dict(),
        "classes": [(label.name, label.color) for label in project.classes],
        "scale": list(map(float, labels.scale)),
        "translate": list(map(float, labels.translate)),
        "rotate": np.asarray(labels.rotate).tolist(),
        "shear": np.asarray(labels.shear).tolist(),
        "affine": np.asarray(labels.affine.affine_matrix).tolist(),
        "units": [str(unit) for unit in labels.units],
        "axis_labels": list(labels.axis_labels),
    }


def thumbnail_of(values: Any, about: dict[str, Any], image: Any) -> NDArray[np.uint8] | None:
    """Return a small picture of an annotation that `describe` has described; None if it fails.

    Parameters
    ----------
    values
        Pixels of the annotation along the image's axes without channels.
    about
        What `describe` returns.
    image
        Array of the image.
    """
    rule = LabelRule.from_dict(about["rule"])
    classes = [BACKGROUND_COLOR, *(color for _, color in about["classes"])]
    pixels = np.asarray(values)
    colors = {
        int(value): classes[k]
        for value in np.unique(pixels)
        if 0 <= (k := rule.class_of(int(value))) < len(classes) and value != 0
    }
    with suppress(ValueError, OSError, IndexError, KeyError):  # of an image that cannot be read
        return annotated_thumbnail(image, about["axes"], pixels, colors, about["corner"])
    return None


def open_image_file(viewer: ViewerModel, about: dict[str, Any]) -> str:
    """Open the image of an annotation unless it is open; return why that failed, or ""."""
    path = about.get("path")
    if not path or open_image(viewer, about) is not None:
        return ""
    try:
        viewer.open(path, plugin=about.get("reader"))
    except Exception as error:  # noqa: BLE001  (any reader of any plugin)
        return f"{path} cannot be opened: {error}"
    return ""


def restore_annotations(
    viewer: ViewerModel, annotations: AnnotationLayers, saved: Iterable[SavedAnnotation]
) -> list[str]:
    """Add the layers of saved annotations, and return the names of those without an open image."""
    return [str(one.metadata["name"]) for one in saved if not _restore(viewer, annotations, one)]


def _restore(viewer: ViewerModel, annotations: AnnotationLayers, saved: SavedAnnotation) -> bool:
    """Add the layer of a saved annotation; return whether its image is open."""
    about = saved.metadata
    classes = tuple(ClassLabel(name, color) for name, color in about["classes"])
    annotations.project.adopt_classes(classes)
    placement = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    labels = Labels(
        _with_channels(saved),
        name=about["name"],
        opacity=_OPACITY,
        **{name: about[name] for name in placement},
    )
    mark(labels, about["corner"], LabelRule.from_dict(about["rule"]), about["ours"])
    COPIED_PIXELS.restore(labels, saved.copied)
    viewer.add_layer(labels)
    image, channels = open_image(viewer, about), about["channels"]
    if image is None:
        return False
    chosen = None if channels is None else tuple(channels)
    try:
        annotations.add(AnnotationPair(image, labels, about["axes"], chosen))
    except ValueError:  # another image of the same name
        return False
    return True


def open_image(viewer: ViewerModel, about: dict[str, Any]) -> Image | None:
    """Return the open image that was annotated: that with its pixels, also under another name.

    Of several, those with the same file and name come first. Annotations that were saved by release
    0.1 know the name alone.
    """
    images: list[Any] = [one for one in viewer.layers if type(one).__name__ == "Image"]
    known = about["image"], about.get("path")
    images.sort(key=lambda one: (one.source.path != known[1], one.name != known[0]))
    if "fingerprint" not in about:
        return next((one for one in images if one.name == known[0]), None)
    fingerprint = about["fingerprint"]
    same = (one for one in images if is_image_of(fingerprint, levels(one)[0].array))
    return next(same, None)


def _with_channels(saved: SavedAnnotation) -> Any:
    """Return the values of an annotation with the channel axis that its layer had."""
    axes, shape = saved.metadata["axes"], saved.metadata.get("shape", saved.labels.shape)
    if len(shape) == saved.labels.ndim:
        return saved.labels
    sizes = dict(zip(layer_axes(axes), shape, strict=True))
    return broadcast_channels(saved.labels, axes, [sizes.get(axis, 1) for axis in range(len(axes))])
