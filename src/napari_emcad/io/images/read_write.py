"""Images and label files for the command line.

TIFF, PNG, JPEG and NPY are read here, since their files know their axes; every other kind is left
to whatever napari readers are installed.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from napari_emcad.io.atomic_write import resolve_links, write_bytes
from napari_emcad.io.images.opened import ImageFileError, OpenedImage
from napari_emcad.io.images.pixel_size import PIXEL, ome_pixel_size
from napari_emcad.io.images.tiff import CodecError, read_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FOLDERS = (".zarr", ".n5")
"""Endings of folders that are one image."""

_LOSSY = (".jpg", ".jpeg")
_DARK, _MOST_BETWEEN = 32, 0.1
"""How far a JPEG's black and white may be off, and which share of pixels more: those of edges."""

_OME_AXES = set("TZCYX")


def read_image(path: Path) -> OpenedImage:
    """Read an image file.

    Parameters
    ----------
    path
        TIFF (OME and ImageJ too), PNG, JPEG, BMP, NPY, or anything that an installed napari
        reader opens, folders such as ``.zarr`` included.

    Raises
    ------
    ImageFileError
        If there is no such file, it is damaged, or nothing can read it.
    """
    if not path.exists():
        raise ImageFileError(f"{path} does not exist; check the path.")
    if not (path.is_file() or path.is_dir()):
        raise ImageFileError(f"{path} is neither a file nor a folder; name an image file.")
    kind, reader = _READERS.get("" if path.is_dir() else path.suffix.lower(), ("", None))
    if reader is None:
        return _read_with_napari(path)
    try:
        return reader(path)
    except CodecError as error:  # perhaps a napari plugin has it
        with suppress(ImageFileError):
            return _read_with_napari(path)
        raise error from None
    except (ImageFileError, MemoryError):
        raise
    except PermissionError:
        raise ImageFileError(f"{path} cannot be read: you have no permission to.") from None
    except Exception:  # noqa: BLE001  (a decoder may raise anything at damaged bytes)
        raise ImageFileError(f"{path} is damaged, or not a {kind} file; copy it again.") from None


def read_labels(path: Path, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
    """Read a label file: whole numbers, one per pixel; a palette's colors are ignored.

    Parameters
    ----------
    path
        As for `read_image`.
    shape
        Of the image without its channels. A file of this shape has a number for each of its
        pixels, even if it looks like a color image.

    Raises
    ------
    ImageFileError
        If it cannot be read, has colors, or holds anything but whole numbers.
    """
    opened = read_image(path)
    if opened.palette is not None:
        return opened.palette
    labels = np.asarray(opened.pixels)
    if not labels.size:
        raise ImageFileError(f"{path} is empty: it holds {labels.shape} pixels.")
    if path.suffix.lower() in _LOSSY:
        return _mask_of_jpeg(path, labels)
    axes = opened.axes or ""
    if "C" in axes and labels.shape != shape:
        advice = " If it is a stack, say so of its image with --axes." * (axes[0] == "C")
        raise ImageFileError(
            f"{path} is a color image; a label file has one number per pixel.{advice}"
        )
    if labels.dtype.kind == "f" and _are_whole(labels):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "biu":
        raise ImageFileError(f"{path} holds {labels.dtype}; a label file has whole numbers.")
    return labels


def write_array(
    path: Path,
    array: NDArray[Any],
    axes: str,
    scale: Mapping[str, float] | None = None,
    unit: str = PIXEL,
) -> None:
    """Write labels, probabilities or a picture; the file appears whole or not at all.

    Parameters
    ----------
    path
        ``.tif`` or ``.tiff`` (compressed, with the axes), ``.npy``, or ``.png`` for 2-D arrays of
        uint8 or uint16.
    array
        What to write.
    axes
        A letter per axis.
    scale, unit
        Size of a pixel by axis, as an `OpenedImage` has them; a TIFF of axes that OME knows keeps
        it.

    Raises
    ------
    ImageFileError
        If the ending is another one, PNG cannot hold the array, or the disk does not take it.
    """
    content = BytesIO()
    kind = path.suffix.lower()
    if kind in (".tif", ".tiff"):
        sizes = {axis: size for axis, size in (scale or {}).items() if axis in axes}
        known = bool(sizes) and set(axes) <= _OME_AXES
        about = {"axes": axes} | (ome_pixel_size(sizes, unit) if known else {})
        tifffile.imwrite(content, array, metadata=about, ome=known, compression="zlib")
    elif kind == ".npy":
        np.save(content, array)
    elif kind == ".png":
        _check_png(path, array, axes)
        Image.fromarray(array).save(content, "PNG")
    else:
        raise ImageFileError(f"{path.name}: its name must end in .tif, .png or .npy.")
    write_file(path, content.getvalue())


def write_file(path: Path, content: bytes) -> None:
    """Write a file and the folders above it; it appears whole or not at all.

    Raises
    ------
    ImageFileError
        If the disk does not take it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except OSError as error:
        raise ImageFileError(f"{path} cannot be written: {_said(error)}.") from None


def pair_files(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Return each image with the label file of the same stem, sorted by name.

    Raises
    ------
    ImageFileError
        If a folder is missing or empty, both are one, an image has no label file or several, or
        two images have the same stem.
    """
    pairs, problems = match_files(images, labels)
    if problems:
        raise ImageFileError(problems[0])
    return pairs


def match_files(images: Path, labels: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Return each image with its label file as `pair_files` does, and a sentence for each without.

    Raises
    ------
    ImageFileError
        If a folder is missing or empty, or both are one.
    """
    candidates, stems = _by_stem(labels), _by_stem(images)
    if resolve_links(images) == resolve_links(labels):
        raise ImageFileError(f"{images} cannot hold images and labels both; use two folders.")
    pairs, problems = [], []
    for stem, files in stems.items():
        found = candidates.get(stem, [])
        if len(files) > 1:
            names = " and ".join(each.name for each in files)
            problems.append(f"{names} have the same labels by their names; rename or remove one.")
        elif len(found) != 1:
            problems.append(
                f"{files[0].name} has {len(found) or 'no'} label files of its name in {labels}; "
                f"each image needs one, such as {stem}.png."
            )
        else:
            pairs.append((files[0], found[0]))
    return pairs, problems


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    stems: dict[str, list[Path]] = {}
    for each in image_files(folder):
        stems.setdefault(each.stem, []).append(each)
    return stems


def image_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may be images, and Zarr folders, sorted by name.

    Raises
    ------
    ImageFileError
        If it is no folder, or has none.
    """
    if not folder.is_dir():
        raise ImageFileError(f"{folder} is not a folder; check the path.")
    listed = [each for each in folder.iterdir() if each.name[0] != "."]
    files = [each for each in listed if each.is_file() or each.suffix.lower() in FOLDERS]
    images = sorted(each for each in files if each.suffix.lower() not in _NOT_IMAGES)
    if not images:
        raise ImageFileError(f"{folder} has no images in it.")
    return images


_NOT_IMAGES = {".csv", ".json", ".txt", ".md", ".yaml", ".yml", ".xml", ".zip", ".db", ".ini"}


def _read_picture(path: Path) -> OpenedImage:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                picture.load()
                palette = np.asarray(picture) if picture.mode == "P" else None
                several = getattr(picture, "n_frames", 1)
                plain = picture.convert(_PLAIN[picture.mode]) if picture.mode in _PLAIN else picture
                pixels = np.asarray(plain)
    except Image.DecompressionBombError:
        raise ImageFileError(f"{path} is too large for a picture file; make it a TIFF.") from None
    note = f"{path.name} holds {several} pictures; the first is taken." if several > 1 else ""
    return OpenedImage(pixels, {2: "YX", 3: "YXC"}.get(pixels.ndim), palette, note)


_PLAIN = {"P": "RGB", "PA": "RGB", "LA": "L", "La": "L", "CMYK": "RGB", "YCbCr": "RGB"}
"""Modes of pictures that are brought to plain gray or color; alpha says nothing of an object."""


def _read_npy(path: Path) -> OpenedImage:
    return OpenedImage(np.load(path, mmap_mode="r", allow_pickle=False))


_READERS: dict[str, tuple[str, Callable[[Path], OpenedImage]]] = {
    ".tif": ("TIFF", read_tiff),
    ".tiff": ("TIFF", read_tiff),
    ".png": ("PNG", _read_picture),
    ".jpg": ("JPEG", _read_picture),
    ".jpeg": ("JPEG", _read_picture),
    ".bmp": ("BMP", _read_picture),
    ".npy": ("NPY", _read_npy),
}
"""The kind and the reader of each ending."""


def _read_with_napari(path: Path) -> OpenedImage:
    import npe2

    npe2.PluginManager.instance().discover()
    try:
        found = npe2.read([str(path)], stack=False)
    except Exception as error:  # noqa: BLE001  (another plugin's reader may raise anything)
        raise ImageFileError(
            f"{path} cannot be read as an image ({_said(error)}); convert it to TIFF, or install a "
            f"napari plugin that reads it."
        ) from None
    for data, *rest in found:
        kind = rest[1] if len(rest) > 1 else "image"
        if kind == "image" and data is not None:
            return _from_layer(data, rest[0] if rest else {})
    raise ImageFileError(f"{path} has no image in it.")


def _from_layer(data: Any, meta: dict[str, Any]) -> OpenedImage:
    """Return a reader's layer; its finest level if it has several."""
    pixels = data[0] if isinstance(data, (list, tuple)) else data
    channel_axis = meta.get("channel_axis")
    stacked = pixels.ndim - 2 - (channel_axis is not None) - bool(meta.get("rgb"))
    if stacked < 0 or not (meta.get("rgb") or channel_axis is not None):
        return OpenedImage(pixels)
    letters = [*"ABDEFGHIJTZ"[11 - stacked :], "Y", "X", *"C" * bool(meta.get("rgb"))]
    if channel_axis is not None:
        letters.insert(channel_axis % pixels.ndim, "C")
    return OpenedImage(pixels, "".join(letters))


def _mask_of_jpeg(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return a black and white picture as 0 and 255; JPEG has changed every other number."""
    gray = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    if pixels.ndim == 3 and (np.ptp(pixels, axis=2) > _DARK).mean() > _MOST_BETWEEN:
        raise ImageFileError(f"{path} is a color image; a label file has one number per pixel.")
    between = np.count_nonzero((gray > _DARK) & (gray < 255 - _DARK))
    if between > _MOST_BETWEEN * gray.size:
        raise ImageFileError(
            f"{path} is a JPEG, which changes numbers; save labels as PNG or TIFF (of JPEG only "
            f"black and white masks can be read)."
        )
    return np.where(gray > 127, 255, 0).astype(np.uint8)


def _are_whole(labels: NDArray[Any]) -> bool:
    """Whether these are whole numbers that an int64 holds."""
    return bool(np.isfinite(labels).all() and (np.abs(labels) < 2**62).all()) and np.array_equal(
        labels, np.round(labels)
    )


def _check_png(path: Path, array: NDArray[Any], axes: str) -> None:
    if axes.endswith("C"):
        fits = array.ndim == 3 and array.dtype == np.uint8 and array.shape[2] in (3, 4)
    else:
        fits = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    if not fits:
        raise ImageFileError(
            f"{path.name}: PNG holds flat images of up to 65,535 labels; write .tif instead."
        )


def _said(error: Exception) -> str:
    """Return an error's first line without its full stop."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(said).splitlines()[0].strip().rstrip(".")
