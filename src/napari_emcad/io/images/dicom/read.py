"""Reading DICOM files and series as images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.dicom.dataset import check_is_image, quiet, read_dataset
from napari_emcad.io.images.dicom.pixels import check_labels, decoded_frames
from napari_emcad.io.images.dicom.planes import Plane, is_spatial, planes_of
from napari_emcad.io.images.dicom.segmentation import is_segmentation, read_segmentation
from napari_emcad.io.images.dicom.series import choose_series, find_series
from napari_emcad.io.images.dicom.stack import Stack, stack_planes
from napari_emcad.io.images.geometry import acquired_geometry, sliced_geometry
from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.rescale import rescale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.read_options import ReadOptions

_CINE = ("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate")
_CINE_MODALITIES = ("US", "XA", "RF", "ES", "GM", "IVUS", "OCT")


def read_dicom_file(path: Path, options: ReadOptions) -> OpenedImage:
    """Read all frames of one DICOM file, without the other files of its series, or a segmentation.

    Slope and intercept are applied. Frames with positions are sorted by them.

    Raises
    ------
    ImageFileError
        If pydicom is not installed, or the file holds no image that is understood.
    """
    if is_segmentation(read_dataset(path, pixels=False)):
        return read_segmentation(path, options)
    return _read(path, (path,), options)


def read_dicom_folder(folder: Path, options: ReadOptions) -> OpenedImage:
    """Read one series of a folder of DICOM files, sorted by position.

    Raises
    ------
    ImageFileError
        If pydicom is not installed, there is no series or several of which none is chosen, or its
        planes are no volume.
    """
    series, problems = find_series(folder)
    if not series:
        raise ImageFileError(problems[0] if problems else f"{folder} has no images in it.")
    chosen = choose_series(folder, series, options.series)
    return _read(folder, chosen.files, options)


def _read(source: Path, files: Sequence[Path], options: ReadOptions) -> OpenedImage:
    planes: list[Plane] = []
    frames: dict[tuple[Path, int], NDArray[Any]] = {}
    notes: set[str] = set()
    dataset: Any = None
    for path in files:
        with quiet():
            dataset = read_dataset(path)
            check_is_image(path, dataset)
            if options.as_labels:
                check_labels(path, dataset)
            own, decoded = planes_of(path, dataset), _measured(path, dataset)
        if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
            notes.add("its black and white were exchanged (MONOCHROME1)")
        planes += own
        frames |= {(path, number): frame for number, frame in enumerate(decoded)}
    if not is_spatial(dataset):
        return _movie(source, dataset, planes, frames, sorted(notes))
    stack = stack_planes(str(source), planes)
    ordered = [[frames[plane.path, plane.frame] for plane in row] for row in stack.planes]
    pixels = np.stack([np.stack(row) for row in ordered])
    return _volume(source, pixels, stack, options, [*sorted(notes), *stack.notes])


def _measured(path: Path, dataset: Any) -> list[NDArray[Any]]:
    """Return the frames of a data set with slope and intercept, or its table, applied."""
    from pydicom.pixels import apply_modality_lut

    decoded = decoded_frames(path, dataset)
    planes = planes_of(path, dataset)
    if len(decoded) != len(planes):
        raise ImageFileError(
            f"{path} says that it has {len(planes)} frames and holds {len(decoded)}; copy it again."
        )
    if decoded.ndim == 4:
        return list(decoded)
    if dataset.get("ModalityLUTSequence"):
        _check_order(path, dataset)
        return list(apply_modality_lut(decoded, dataset))
    scalings = {(plane.slope, plane.intercept) for plane in planes}
    if len(scalings) == 1:
        return list(rescale(decoded, *scalings.pop()))
    return [rescale(f, p.slope, p.intercept) for f, p in zip(decoded, planes, strict=True)]


def _check_order(path: Path, dataset: Any) -> None:
    """Refuse a table for numbers whose black and white were exchanged before."""
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        raise ImageFileError(
            f"{path} has a table of values (Modality LUT) and inverted gray (MONOCHROME1); convert "
            f"it to NIfTI or TIFF."
        )


def _movie(
    source: Path,
    dataset: Any,
    planes: Sequence[Plane],
    frames: Mapping[tuple[Path, int], NDArray[Any]],
    notes: Sequence[str],
) -> OpenedImage:
    """Return frames without positions, in the order of the file."""
    is_cine = any(name in dataset for name in _CINE) or dataset.get("Modality") in _CINE_MODALITIES
    pixels = np.stack([frames[plane.path, plane.frame] for plane in planes])
    axes = ("T" if is_cine else "Z") + "YX" + "C" * (pixels.ndim == 4)
    scale, unit, note = _plain_scale(planes[0], axes)
    return OpenedImage(pixels, axes, None, _note(source, [*notes, *note]), scale, unit)


def _volume(
    source: Path,
    pixels: NDArray[Any],
    stack: Stack,
    options: ReadOptions,
    notes: Sequence[str],
) -> OpenedImage:
    """Return pixels ``(times, planes, rows, columns, …)`` with their geometry."""
    color = "C" * (pixels.ndim == 5)
    times, count = pixels.shape[:2]
    if stack.affine is None:
        plane = stack.planes[0][0]
        letters = ("ZYX" if count > 1 else "YX") + color
        scale, unit, more = _plain_scale(plane, letters)
        flat = pixels[0] if count > 1 else pixels[0, 0]
        return OpenedImage(flat, letters, None, _note(source, [*notes, *more]), scale, unit)
    shape = (pixels.shape[3], pixels.shape[2], count)
    if options.plane is None:
        geometry = acquired_geometry(stack.affine, shape)
        acquired = f"{count} {geometry.view.plane} planes as they were acquired"
    else:
        geometry = sliced_geometry(stack.affine, shape, options.plane)
        acquired = f"{geometry.view_shape[0]} {geometry.view.plane} slices"
    geometry = replace(geometry, is_even=stack.is_even)
    voxels = np.moveaxis(pixels, (3, 2, 1, 0), (0, 1, 2, 3))
    shown = geometry.to_view(voxels)
    if color:
        shown = np.moveaxis(shown, 0, -1)
    axes = "TZYX" + color
    if times == 1:
        shown, axes = shown[0], axes[1:]
        if count == 1 and options.plane is None:
            shown, axes = shown[0], axes[1:]
    note = _note(source, [acquired, *notes])
    planes = tuple(tuple((plane.path, plane.frame) for plane in row) for row in stack.planes)
    return OpenedImage(
        shown, axes, None, note, geometry.scale, "mm", geometry, source_planes=planes
    )


def _plain_scale(plane: Plane, axes: str) -> tuple[dict[str, float], str, list[str]]:
    """Return the sizes of a pixel of planes without positions, their unit, and a note."""
    if plane.spacing is None:
        return {}, "pixel", []
    scale = {"Y": plane.spacing[0], "X": plane.spacing[1]}
    if "Z" not in axes or plane.depth is None:
        return scale, "mm", []
    note = f"the thickness of the planes, {plane.depth:.3g} mm, is taken as their distance"
    return {"Z": plane.depth, **scale}, "mm", [note] * plane.is_thickness


def _note(source: Path, notes: Sequence[str]) -> str:
    return f"{source.name}: {'; '.join(notes)}." if notes else ""
