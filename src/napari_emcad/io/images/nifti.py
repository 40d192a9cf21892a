"""Reading NIfTI, MGH and Analyze volumes with nibabel."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.file_names import extension_of, stem_of
from napari_emcad.io.images.geometry import sliced_geometry
from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage
from napari_emcad.io.images.optional_libraries import optional_library
from napari_emcad.io.images.rescale import rescale

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.images.geometry import Geometry
    from napari_emcad.io.images.read_options import ReadOptions

_UNITS = {"mm": "mm", "micron": "µm", "meter": "m", "unknown": "mm"}
"""Units of NIfTI; a file that does not say is in mm, as all programs take it."""

_KINDS = (
    "Nifti1Image",
    "Nifti1Pair",
    "Nifti2Image",
    "Nifti2Pair",
    "MGHImage",
    "AnalyzeImage",
    "Spm99AnalyzeImage",
    "Spm2AnalyzeImage",
)
"""nibabel's classes of the volumes that are read."""

_GZIP = b"\x1f\x8b"
_PART = 2**22
_SIZE_OF_SECOND = (540).to_bytes(4, "little")
"""First bytes of a packed file, bytes to read at once, and the first bytes of NIfTI-2."""

_LABEL_INTENT = 1002
_VECTOR_INTENTS = {1003: "tensors", 1004: "matrices", 1005: "matrices", 1006: "displacements"}
_VECTOR_INTENTS |= {1007: "vectors", 1008: "points", 1009: "triangles", 1010: "quaternions"}


def read_nifti(path: Path, options: ReadOptions) -> OpenedImage:
    """Read a volume as slices of a plane of the patient, with slope and intercept applied.

    Slices, rows and columns count towards the head, the back and the left of the patient (see
    `napari_emcad.io.images.geometry`), whatever the order of the voxels in the file. A fourth axis
    is T, a fifth one C.

    Raises
    ------
    ImageFileError
        If nibabel is not installed, or the file holds no volume of numbers.
    Exception
        Of any type, raised by nibabel for damaged files.
    """
    volume = _load(path)
    kind = type(volume).__name__
    if kind not in _KINDS:
        raise ImageFileError(f"{path} is a {kind} of nibabel, not a volume; convert it to NIfTI.")
    _check_intent(path, volume.header)
    voxels, color = _voxels(path, volume)
    file_shape = voxels.shape
    voxels = voxels.reshape(_volume_shape(path, file_shape))
    shape = voxels.shape[:3]
    geometry = sliced_geometry(volume.affine, shape, options.plane, volume.header, file_shape)
    pixels = geometry.to_view(voxels)
    axes = "CTZYX"[5 - pixels.ndim :]
    if len(file_shape) == 2 and options.plane is None:
        pixels, axes = pixels[0], "YX"
    if color:
        pixels = np.stack([pixels[name] for name in color], axis=-1)
        axes += "C"
    return OpenedImage(
        pixels,
        axes,
        note=_note(path, volume, geometry),
        axes_note=_axes_note(path, axes),
        scale=geometry.scale,
        unit=_unit(volume.header),
        geometry=geometry,
        is_labels=_intent(volume.header) == _LABEL_INTENT,
    )


def _load(path: Path) -> Any:
    """Return the volume of nibabel, also if the file is packed although its name says not."""
    nibabel = optional_library("nibabel", path)
    extension = extension_of(path)
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
    for part in _packed_files(path):
        _check_sum(part)
    if extension not in (".nii", ".nii.gz") or is_packed == extension.endswith(".gz"):
        return nibabel.load(path)
    content = gzip.decompress(path.read_bytes()) if is_packed else path.read_bytes()
    is_second = {content[:4], content[3::-1]} & {_SIZE_OF_SECOND}
    return (nibabel.Nifti2Image if is_second else nibabel.Nifti1Image).from_bytes(content)


def _packed_files(path: Path) -> list[Path]:
    """Return the packed files of a volume: itself, and the pixels or the header beside it."""
    others = [path.with_name(f"{stem_of(path)}{end}") for end in (".img.gz", ".hdr.gz")]
    beside = others if extension_of(path) in (".hdr.gz", ".img.gz") else []
    names = {path.name: path} | {other.name: other for other in beside if other.is_file()}
    return [part for name, part in names.items() if name.lower().endswith((".gz", ".mgz"))]


def _check_sum(path: Path) -> None:
    """Read a packed file to its end, where its checksum is; nibabel stops before it."""
    with path.open("rb") as file:
        if file.read(len(_GZIP)) != _GZIP:
            return
    with gzip.open(path) as file:
        while file.read(_PART):
            pass


def _voxels(path: Path, volume: Any) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return voxels in the order of the file, and the names of the colors of RGB voxels."""
    proxy = volume.dataobj
    stored = np.asanyarray(proxy.get_unscaled())
    colors = stored.dtype.names or ()
    if not colors and stored.dtype.kind not in "biuf":
        raise ImageFileError(f"{path} holds {stored.dtype} numbers; save its magnitude instead.")
    if colors:
        return stored, colors[:3]
    if stored.dtype.itemsize > 8:
        stored = stored.astype(np.float64)
    return rescale(stored, float(proxy.slope), float(proxy.inter)), ()


def _volume_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of three to five axes without axes of one entry behind the third."""
    if len(shape) < 2 or not all(shape):
        raise ImageFileError(f"{path} holds no image: its shape is {shape}.")
    inner = (*shape, 1)[:3]
    outer = list(shape[3:])
    if len(outer) > 2 and any(size > 1 for size in outer[2:]):
        raise ImageFileError(
            f"{path} has the shape {shape}; at most five axes are read, split the file."
        )
    outer = outer[:2]
    while outer and outer[-1] == 1:
        outer.pop()
    return (*inner, *outer)


def _intent(header: Any) -> int:
    return int(header["intent_code"]) if "intent_code" in header else 0


def _check_intent(path: Path, header: Any) -> None:
    content = _VECTOR_INTENTS.get(_intent(header))
    if content:
        raise ImageFileError(f"{path} holds {content}, not intensities; choose another file.")


def _unit(header: Any) -> str:
    units = header.get_xyzt_units() if hasattr(header, "get_xyzt_units") else ("mm",)
    return _UNITS[units[0]]


def _axes_note(path: Path, axes: str) -> str:
    """Return that the fourth axis is taken as time; "" without one."""
    if "T" not in axes:
        return ""
    other = axes.replace("T", "C", 1) if "C" not in axes else ""
    advice = f" (--axes {other} takes it as channels)" if other else ""
    return f"The fourth axis of {path.name} is time{advice}."


def _note(path: Path, volume: Any, geometry: Geometry) -> str:
    """Return which axis is sliced, and what the file does not say."""
    notes = [f"{path.name}: {geometry.note}"]
    header = volume.header
    if "sform_code" in header:
        codes = int(header["sform_code"]), int(header["qform_code"])
        if codes == (0, 0):
            notes.append("it contains no orientation, so left and right are not certain")
        elif all(codes) and _forms_differ(header, geometry):
            notes.append("its qform and sform differ in orientation, and the sform is used")
    elif type(volume).__name__ != "MGHImage":
        notes.append("Analyze files contain no orientation, so left and right are not certain")
    return "; ".join(notes) + "."


def _forms_differ(header: Any, geometry: Geometry) -> bool:
    try:
        other = sliced_geometry(header.get_qform(), geometry.shape, geometry.view.plane)
    except (ImageFileError, ValueError):
        return True
    return other.view != geometry.view
