"""Images and label files for the command line.

TIFF, PNG, JPEG and NPY are read here, since their files know their axes; every other kind is left
to whatever napari readers are installed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import tifffile

from napari_emcad.io.atomic import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

_READ_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    EOFError,
    struct.error,
    tifffile.TiffFileError,
)
_NOT_KNOWN = set("QI")
"""What tifffile calls axes of which the file does not say what they are."""


class ImageFileError(ValueError):
    """An image file cannot be read or written; one sentence says why."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenedImage:
    """What an image file holds.

    Attributes
    ----------
    pixels
        The array, perhaps memory-mapped or lazy.
    axes
        A letter per axis as `napari_emcad.segment` takes them; None where the file does not say.
    """

    pixels: Any
    axes: str | None = None


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
    reader = None if path.is_dir() else _READERS.get(path.suffix.lower())
    if reader is None:
        return _read_with_napari(path)
    try:
        return reader(path)
    except _READ_ERRORS as error:
        if path.suffix.lower() in (".tif", ".tiff"):  # perhaps a compression tifffile lacks
            return _read_with_napari(path, str(error))
        raise ImageFileError(f"{path} cannot be read as an image: {_said(error)}.") from None


def read_labels(path: Path) -> NDArray[Any]:
    """Read a label file: whole numbers, one per pixel; a palette's colours are ignored.

    Raises
    ------
    ImageFileError
        If it cannot be read, has colours, or holds anything but whole numbers.
    """
    if path.suffix.lower() == ".png" and _has_palette(path):
        return np.asarray(iio.imread(path, mode="P"))
    opened = read_image(path)
    labels = np.asarray(opened.pixels)
    if "C" in (opened.axes or ""):
        raise ImageFileError(f"{path} is a colour image; a label file has one number per pixel.")
    if labels.dtype.kind == "f" and np.array_equal(labels, np.round(labels)):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "biu":
        raise ImageFileError(f"{path} holds {labels.dtype}; a label file has whole numbers.")
    return labels


def write_array(path: Path, array: NDArray[Any], axes: str) -> None:
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

    Raises
    ------
    ImageFileError
        If the ending is another one, PNG cannot hold the array, or the disk does not take it.
    """
    content = BytesIO()
    kind = path.suffix.lower()
    if kind in (".tif", ".tiff"):
        tifffile.imwrite(content, array, metadata={"axes": axes}, compression="zlib")
    elif kind == ".npy":
        np.save(content, array)
    elif kind == ".png":
        if array.ndim - axes.endswith("C") != 2 or array.dtype not in (np.uint8, np.uint16):
            raise ImageFileError(
                f"{path.name}: PNG holds flat images of up to 65,535 labels; write .tif instead."
            )
        iio.imwrite(content, array, extension=".png")
    else:
        raise ImageFileError(f"{path.name}: its name must end in .tif, .png or .npy.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content.getvalue())
    except OSError as error:
        raise ImageFileError(f"{path} cannot be written: {_said(error)}.") from None


def paired(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Return each image with the label file of the same stem, sorted by name.

    Raises
    ------
    ImageFileError
        If a folder is missing or empty, or an image has no label file or several.
    """
    stems: dict[str, list[Path]] = {}
    for each in _files(labels):
        stems.setdefault(each.stem, []).append(each)
    pairs = []
    for image in _files(images):
        found = stems.get(image.stem, [])
        if len(found) != 1:
            raise ImageFileError(
                f"{image.name} has {len(found) or 'no'} label files of its name in {labels}; "
                f"each image needs one, such as {image.stem}.png."
            )
        pairs.append((image, found[0]))
    return pairs


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ImageFileError(f"{folder} is not a folder; check the path.")
    files = [each for each in folder.iterdir() if each.is_file() and each.name[0] != "."]
    images = sorted(each for each in files if each.suffix.lower() not in _NOT_IMAGES)
    if not images:
        raise ImageFileError(f"{folder} has no images in it.")
    return images


_NOT_IMAGES = {".csv", ".json", ".txt", ".md", ".yaml", ".yml", ".xml", ".zip", ".db", ".ini"}


def _read_tiff(path: Path) -> OpenedImage:
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        axes = _axes_of_tiff(series.axes)
        mapped = series.dataoffset is not None and series.levels[0] is series
        pixels = None if mapped else series.asarray()
    if pixels is None:
        pixels = tifffile.memmap(path, series=0, mode="r")
        pixels = pixels.reshape(series.shape)
    return OpenedImage(pixels, axes)


def _axes_of_tiff(axes: str) -> str | None:
    """Return tifffile's letters as ours: S are the samples of a pixel, channels to us."""
    if _NOT_KNOWN & set(axes) or not set("YX") <= set(axes):
        return None
    if "S" in axes and "C" in axes:
        axes = axes.replace("C", "A")
    return axes.replace("S", "C")


def _read_picture(path: Path) -> OpenedImage:
    pixels = iio.imread(path)
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # grey with alpha
        pixels = pixels[:, :, 0]
    return OpenedImage(pixels, {2: "YX", 3: "YXC"}.get(pixels.ndim))


def _read_npy(path: Path) -> OpenedImage:
    return OpenedImage(np.load(path, mmap_mode="r", allow_pickle=False))


_READERS: dict[str, Callable[[Path], OpenedImage]] = {
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".png": _read_picture,
    ".jpg": _read_picture,
    ".jpeg": _read_picture,
    ".bmp": _read_picture,
    ".npy": _read_npy,
}


def _read_with_napari(path: Path, why: str = "") -> OpenedImage:
    import npe2

    npe2.PluginManager.instance().discover()
    try:
        found = npe2.read([str(path)], stack=False)
    except Exception as error:  # noqa: BLE001  (another plugin's reader may raise anything)
        raise ImageFileError(
            f"{path} cannot be read as an image: {why or _said(error)}. Convert it to TIFF, or "
            f"install a napari plugin that reads it."
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


def _has_palette(path: Path) -> bool:
    try:
        return bool(iio.immeta(path).get("mode") == "P")
    except _READ_ERRORS:
        return False


def _said(error: Exception) -> str:
    """Return an error's first line without its full stop."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(said).splitlines()[0].strip().rstrip(".")
