"""Reading images with the readers of installed napari plugins, without a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.io.images.content import extension_by_content
from napari_emcad.io.images.opened_image import ImageFileError, OpenedImage, first_line

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS = ("napari", "napari-emcad")
"""Plugins that are not asked: this one, and napari's own readers.

These take what imageio makes of a file: FITS upside down, numbers stretched to 8 bits, the first
plane of several, the preview of a raw photograph.
"""


_PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z", ".rar", ".ozx")
"""Extensions of packed files."""


_PREVIEWS = (".mrxs", ".vms")
"""Extensions of slides in several files, whose main file may be a small JPEG."""


def read_with_napari(path: Path) -> OpenedImage:
    """Read the first image layer that a napari plugin for this kind of file returns.

    Raises
    ------
    ImageFileError
        If there is no plugin for it, the reader fails, or it returns no image.
    """
    import npe2

    manager = npe2.PluginManager.instance()
    manager.discover()
    readers = manager.iter_compatible_readers([str(path)])
    names = [one.plugin_name for one in readers if one.plugin_name not in _OTHERS]
    if not names or path.suffix.lower() in _PACKED:
        raise ImageFileError(_unknown(path))
    try:
        layers = npe2.read([str(path)], stack=False, plugin_name=names[0])
    except Exception as error:  # noqa: BLE001  (readers of other plugins raise errors of any type)
        raise ImageFileError(
            f"{path} cannot be read as an image ({first_line(error)}); convert it to TIFF, or "
            f"install a napari plugin that reads it."
        ) from None
    for data, *rest in layers:
        kind = rest[1] if len(rest) > 1 else "image"
        if kind == "image" and data is not None:
            return _from_layer(data, rest[0] if rest else {})
    raise ImageFileError(f"{path} has no image in it.")


def _unknown(path: Path) -> str:
    """Return why a file for which there is no reader is refused, and what to do."""
    if path.is_dir():
        return f"{path} is no image; name the image files in it."
    if path.suffix.lower() in _PACKED:
        return f"{path} is packed; unpack it, and name the file or folder that was in it."
    kind = extension_by_content(path)
    if path.suffix.lower() in _PREVIEWS:
        return (
            f"{path} is only the preview of a slide whose pixels lie in the folder beside it; "
            f"convert the slide to OME-TIFF."
        )
    if kind and kind != path.suffix.lower():
        return f"{path} has the content of a {kind} file; rename it to {path.stem}{kind}."
    return (
        f"{path} is of a kind that is not read; convert it to TIFF, or install a napari plugin "
        f"that reads {path.suffix or 'it'}."
    )


def _from_layer(data: Any, attributes: dict[str, Any]) -> OpenedImage:
    """Return a layer as an image; of a multiscale layer the finest level."""
    pixels = data[0] if isinstance(data, (list, tuple)) else data
    channel_axis, rgb = attributes.get("channel_axis"), bool(attributes.get("rgb"))
    stacked = pixels.ndim - 2 - (channel_axis is not None) - rgb
    if stacked < 0 or not (rgb or channel_axis is not None):
        return OpenedImage(pixels)
    letters = [*"ABDEFGHIJTZ"[11 - stacked :], "Y", "X", *"C" * rgb]
    if channel_axis is not None:
        letters.insert(channel_axis % pixels.ndim, "C")
    return OpenedImage(pixels, "".join(letters))
