"""Reading label files: one whole number per pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.colors import color_codes, list_colors
from napari_emcad.io.images.dicom.dataset import is_dicom
from napari_emcad.io.images.lossy import lossy_kind
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.pixel_size import in_mm
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import ReadOptions
from napari_emcad.io.images.turned_labels import as_image_is_stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.geometry import Geometry
    from napari_emcad.io.images.opened_image import OpenedImage

    ColorDecoder = Callable[[NDArray[Any], str], NDArray[Any]]

_LARGEST = 2**62
"""Largest label, above which whole numbers turn around or are rounded."""

_JPEG_TOLERANCE, _JPEG_EDGE_SHARE = 32, 0.1
"""How much JPEG may change black and white, and the share of pixels (edges) it may change more."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelPixels:
    """The labels of a file, and a remark on how they were read, or ""."""

    pixels: NDArray[Any]
    note: str = ""


def read_labels(
    path: Path,
    shape: tuple[int, ...] | None = None,
    image: OpenedImage | None = None,
    options: ReadOptions | None = None,
    colors: ColorDecoder | None = None,
) -> NDArray[Any]:
    """Return the labels of `open_labels` without its remark."""
    return open_labels(path, shape, image, options, colors).pixels


def open_labels(
    path: Path,
    shape: tuple[int, ...] | None = None,
    image: OpenedImage | None = None,
    options: ReadOptions | None = None,
    colors: ColorDecoder | None = None,
) -> LabelPixels:
    """Read a label file; of a picture with a color palette, the palette indices.

    Parameters
    ----------
    path
        As for `read_image`.
    shape
        Shape of the image without its channels. A file of this shape has a label for every pixel,
        even if its last axis looks like color channels.
    image
        The image; labels of a volume must lie where it lies.
    options
        As for `read_image`.
    colors
        Classes of the colors of a picture; None refuses color images with a list of their colors.

    Raises
    ------
    ImageFileError
        If it cannot be read, is a color image without `colors`, has values that are not whole
        numbers or that its compression changes, or lies elsewhere than the image or perhaps
        turned to it.
    """
    opened = read_image(path, replace(options or ReadOptions(), as_labels=True, series=None))
    if image is not None:
        opened = _fill_sparse(path, opened, image)
        _check_place(path, opened, image)
        opened = as_image_is_stored(path, opened, image)
    labels = np.asarray(opened.pixels)
    if shape is not None and "C" not in (opened.axes or "") and _same_but_single(labels, shape):
        labels = labels.reshape(shape)
    if colors is not None:
        return LabelPixels(_decoded(path, labels, shape, colors), opened.remark())
    if opened.palette is not None:
        _check_palette(path, opened.palette, opened.pixels)
        return LabelPixels(opened.palette, opened.remark())
    if not labels.size:
        raise ImageFileError(f"{path} is empty: it holds {labels.shape} pixels.")
    if kind := lossy_kind(path):
        note = f"{path.name} is a {kind} mask; above 127 is 255, else 0."
        return LabelPixels(_mask_from_jpeg(path, labels, kind), f"{opened.remark()} {note}".strip())
    return LabelPixels(_numbers(path, labels, opened.axes or "", shape), opened.remark())


def _same_but_single(labels: NDArray[Any], shape: tuple[int, ...]) -> bool:
    """Return whether shapes differ in axes of one entry alone, which formats drop or add."""
    return [size for size in labels.shape if size > 1] == [size for size in shape if size > 1]


def _numbers(
    path: Path, labels: NDArray[Any], axes: str, shape: tuple[int, ...] | None
) -> NDArray[Any]:
    """Return whole numbers, one per pixel; refuse colors and fractions."""
    if "C" in axes and labels.shape != shape and _is_gray(labels, axes):
        gray: NDArray[Any] = np.take(labels, 0, axes.index("C"))
        if labels.shape[-1] != 3 and np.ptp(labels[..., -1]) and _is_in_opacity(labels, gray):
            raise ImageFileError(
                f"{path} has two numbers per pixel that differ, or its mask is in the opacity; "
                f"save the labels as a gray image without opacity."
            )
        labels, axes = gray, axes.replace("C", "")
    if "C" in axes and labels.shape != shape:
        raise ImageFileError(f"{path} is a color image; {_color_advice(labels, axes)}")
    if labels.dtype.kind == "f" and _are_whole_numbers(labels):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "biu":
        raise ImageFileError(f"{path} holds {labels.dtype}; a label file has whole numbers.")
    if labels.dtype == np.uint64 and labels.max() > _LARGEST:
        raise ImageFileError(f"{path} holds {labels.max()}; labels go up to {_LARGEST}.")
    return labels


def _decoded(
    path: Path, labels: NDArray[Any], shape: tuple[int, ...] | None, colors: ColorDecoder
) -> NDArray[Any]:
    """Return the classes of the colors of a mask; refuse masks without colors."""
    if kind := lossy_kind(path):
        raise ImageFileError(
            f"{path} is a {kind}, which changes colors; save labels as PNG or TIFF."
        )
    if not _is_picture(labels, shape):
        raise ImageFileError(
            f"{path} is no picture with red, green and blue, but a table of colors is given; "
            f"save it with colors like the other masks, or remove the table."
        )
    return colors(labels, path.name)


def _is_picture(labels: NDArray[Any], shape: tuple[int, ...] | None) -> bool:
    """Return whether an array is a picture of red, green and blue (and opacity) bytes."""
    is_color = labels.ndim == 3 and labels.shape[-1] in (3, 4) and labels.dtype == np.uint8
    return is_color and labels.shape != shape


def _color_advice(labels: NDArray[Any], axes: str) -> str:
    """Return what to do about a label file with colors."""
    if axes[0] == "C" or not _is_picture(labels, None):
        advice = " If it is a stack, give the axes of its image with --axes." * (axes[0] == "C")
        return f"a label file has one number per pixel.{advice}"
    return (
        f"its colors are {list_colors(np.unique(color_codes(labels)).tolist())}. List the classes "
        f"as lines name,r,g,b in a file class_dict.csv in the folder of the data set, or name "
        f"such a file with --colors."
    )


def _fill_sparse(path: Path, labels: OpenedImage, image: OpenedImage) -> OpenedImage:
    """Return a DICOM segmentation, which leaves out planes without labels, on all of its image."""
    own, whole = labels.geometry, image.geometry
    if not labels.is_labels or own is None or whole is None or not is_dicom(path):
        return labels
    if not whole.is_even:
        raise ImageFileError(
            f"{path} cannot be placed on its image, whose planes have unequal distances or gaps; "
            f"save the labels as NIfTI with the affine of the image."
        )
    filled = own.place_on(labels.pixels, whole)
    if filled is None:
        raise ImageFileError(
            f"{path} lies elsewhere than its image; choose the segmentation of this series."
        )
    return replace(labels, pixels=filled, geometry=whole)


def _check_place(path: Path, labels: OpenedImage, image: OpenedImage) -> None:
    """Refuse labels whose voxels are not those of the image, whatever their number."""
    own, other = labels.geometry, image.geometry
    if own is not None and other is not None:
        places = (own, other), (_in_mm(own, labels.unit), _in_mm(other, image.unit))
        is_elsewhere = not any(one.lies_on(whole) for one, whole in places)
        if own.view_shape == other.view_shape and is_elsewhere:
            raise ImageFileError(
                f"{path} lies elsewhere than its image by the affines of both; save the labels "
                f"with the affine of the image."
            )
    elif own is not None and own.is_turned:
        raise ImageFileError(
            f"{path} contains an orientation, but its image does not, so that sides may be "
            f"exchanged; save the labels in the format of the image."
        )
    elif other is not None and (other.is_turned or min(other.shape) > 1):
        raise ImageFileError(
            f"{path} contains no orientation, but its image does, so that sides may be exchanged; "
            f"save the labels as NIfTI with the affine of the image."
        )


def _in_mm(geometry: Geometry, unit: str) -> Geometry:
    """Return a geometry in mm; programs that drop the unit of NIfTI keep the numbers."""
    factor = np.array([[in_mm(unit)]] * 3 + [[1.0]])
    return replace(geometry, affine=geometry.affine * factor)


def _mask_from_jpeg(path: Path, pixels: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return a black and white picture as 0 and 255; lossy compressions change all other labels."""
    if pixels.dtype != np.uint8:
        raise ImageFileError(f"{path} is a {kind}, which changes numbers; save labels as PNG.")
    gray = pixels if pixels.ndim == 2 else pixels[..., :3].mean(axis=2)
    colors = pixels[..., :3] if pixels.ndim == 3 else pixels[..., None]
    if _share(np.ptp(colors, axis=2) > _JPEG_TOLERANCE) > _JPEG_EDGE_SHARE:
        raise ImageFileError(
            f"{path} is a {kind} with colors, which it changes; save labels as PNG or TIFF."
        )
    is_dark = 0 < gray.max() <= 127  # small numbers that are classes: an empty mask is all 0
    is_gray = (gray > _JPEG_TOLERANCE) & (gray < 255 - _JPEG_TOLERANCE)
    if is_dark or _share(is_gray) > _JPEG_EDGE_SHARE:
        raise ImageFileError(
            f"{path} is a {kind}, which changes numbers; save labels as PNG or TIFF (it works for "
            f"black and white masks only)."
        )
    return np.where(gray > 127, 255, 0).astype(np.uint8)


def _is_gray(labels: NDArray[Any], axes: str) -> bool:
    """Return whether the colors of a picture are equal; the last of 2 or 4 channels is opacity."""
    if axes[-1] != "C":
        return False
    channels = np.moveaxis(labels, -1, 0)
    colors = channels[:3] if len(channels) > 2 else channels[:1]
    return len(channels) in (2, 3, 4) and all(np.array_equal(colors[0], one) for one in colors[1:])


def _check_palette(path: Path, indices: NDArray[Any], pixels: NDArray[Any]) -> None:
    """Refuse a black and white palette in which white is the background by its number."""
    values, first = np.unique(indices, return_index=True)
    if pixels.ndim == 3 and len(values) == 2:
        background, other = pixels.reshape(-1, pixels.shape[2])[first, :3]
        if background.min() == 255 and not other.any():
            raise ImageFileError(
                f"{path} has a palette in which white is {values[0]} and black {values[1]}, so it "
                f"is not clear which is the object; save it as gray."
            )


def _is_in_opacity(labels: NDArray[Any], gray: NDArray[Any]) -> bool:
    """Return whether the last channel, which is not constant, shows what the first does not."""
    last = labels[..., -1] > 0
    return not np.ptp(gray) or (labels.shape[-1] == 2 and not np.array_equal(last, gray > 0))


def _share(pixels: NDArray[np.bool_]) -> float:
    return float(pixels.mean())


def _are_whole_numbers(labels: NDArray[Any]) -> bool:
    """Return whether all labels are whole numbers that fit into int64."""
    return bool(np.isfinite(labels).all() and (np.abs(labels) < _LARGEST).all()) and np.array_equal(
        labels, np.round(labels)
    )
