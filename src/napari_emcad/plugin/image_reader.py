"""The image reader of the napari manifest: medical volumes, DICOM series and HDF5 as layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.sources import ImageSource

LayerData = tuple[Any, ...]


def image_reader(path: str | list[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return a reader of images; None for a folder that is neither Zarr nor has DICOM files."""
    from napari_emcad.io.images.dicom.series import dicom_files
    from napari_emcad.io.images.file_names import is_zarr

    for one in _paths(path):
        if one.is_dir() and not is_zarr(one) and (one.suffix == ".zarr" or not dicom_files(one)):
            return None
    return _read_layers


def _read_layers(path: str | list[str]) -> list[LayerData]:
    """Return a layer per image; of a DICOM folder, one per series.

    Raises
    ------
    ImageFileError
        If an image cannot be read; napari shows the message.
    """
    from napari_emcad.io.images.read import read_image
    from napari_emcad.io.images.read_options import ReadOptions
    from napari_emcad.io.images.sources import find_images

    layers = []
    for one in _paths(path):
        found = find_images(one)
        notes = list(found.notes)
        for source in found.sources:
            opened = read_image(source.path, ReadOptions(series=source.series))
            notes += [opened.remark()] * bool(opened.remark())
            layers.append(_as_layer(source, opened))
        _show("\n".join(notes))
    return layers


def _paths(path: str | list[str]) -> list[Path]:
    return [Path(one) for one in ([path] if isinstance(path, str) else path)]


def _as_layer(source: ImageSource, opened: OpenedImage) -> LayerData:
    """Return data, attributes and type of a layer with scale, units, axis names and metadata."""
    attributes: dict[str, Any] = {"name": source.stem, "metadata": layer_metadata(source, opened)}
    axes, pixels = opened.axes, opened.pixels
    if opened.levels > 1:
        pixels = [pixels, *_coarser_levels(source, opened)]
        attributes["multiscale"] = True
    if axes is None:
        return pixels, attributes, "image"
    if "C" in axes:
        is_rgb = axes.endswith("C") and opened.pixels.shape[-1] in (3, 4)
        attributes |= {"rgb": True} if is_rgb else {"channel_axis": axes.index("C")}
    spatial = axes.replace("C", "")
    attributes["axis_labels"] = tuple(spatial)
    if opened.scale:
        attributes["scale"] = tuple(opened.scale.get(axis, 1.0) for axis in spatial)
        known = dict.fromkeys(opened.scale, opened.unit)
        attributes["units"] = tuple(known.get(axis, "pixel") for axis in spatial)
    if opened.is_labels and "C" not in axes and opened.pixels.dtype.kind in "iu":
        return pixels, attributes, "labels"
    return pixels, attributes, "image"


def _coarser_levels(source: ImageSource, opened: OpenedImage) -> list[Any]:
    """Return the arrays of all levels of an image but the finest."""
    from napari_emcad.io.images.read import read_image
    from napari_emcad.io.images.read_options import ReadOptions

    options = [ReadOptions(level=level) for level in range(1, opened.levels)]
    return [read_image(source.path, one).pixels for one in options]


def layer_metadata(source: ImageSource, opened: OpenedImage) -> dict[str, Any]:
    """Return what writers of other plugins need to save a layer where the image lies.

    *affine* is that of nibabel for the transposed array: from column, row and slice to RAS+
    coordinates. *spacing*, *origin* and *direction* are those of ITK for the array of the layer: x,
    y, z in LPS coordinates. *header* is that of the file's library, *unit* the unit of all of them.
    """
    import numpy as np

    metadata: dict[str, Any] = {"path": str(source.path), "unit": opened.unit}
    if opened.geometry is None:
        return metadata
    affine = opened.geometry.view_affine[:, [2, 1, 0, 3]]
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    matrix = lps[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    return metadata | {
        "affine": affine,
        "spacing": tuple(map(float, spacing)),
        "origin": tuple(map(float, lps[:3, 3])),
        "direction": tuple(map(float, (matrix / spacing).ravel())),
        "header": opened.geometry.header,
    }


def _show(text: str) -> None:
    """Show a text in the corner of the window."""
    if text:
        from napari.utils.notifications import show_info

        show_info(text)
