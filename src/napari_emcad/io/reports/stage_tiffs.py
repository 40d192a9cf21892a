"""Maps of a network's inside as files that know how large their pixels are."""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_emcad.io.images.pixel_size import PIXEL, ome_pixel_size
from napari_emcad.io.images.write import write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.inference.stage_maps.keys import MapKey, StageMap


def stage_map_file_name(stem: str, key: MapKey) -> str:
    """Return the name of a map's file: ``cells_gate_2.ome.tif``."""
    return f"{stem}_{str(key).replace(':', '_')}.ome.tif"


def write_stage_map(
    path: Path, found: StageMap, scale: Mapping[str, float], unit: str = PIXEL
) -> None:
    """Write a map as an OME-TIFF with the size and the place of its pixels.

    A pixel's size is the image's times the map's factor; the position of the first pixel's center
    is counted from that of the image. Colors become 8-bit RGB, everything else stays float32.

    Parameters
    ----------
    path
        Of the file; it appears whole or not at all.
    found
        A map with a place, rows before columns.
    scale
        Size of an image pixel along Y and X; 1 where it is not known.
    unit
        Of `scale`, ``"pixel"`` without one.

    Raises
    ------
    ImageFileError
        If the disk does not take it.
    ValueError
        If the map has no place.
    """
    if found.factor is None or found.offset is None:
        raise ValueError(f"{found.key} has no place on the image; write it as a table.")
    values: NDArray[Any] = found.values
    size = dict(zip("YX", found.factor, strict=True))
    first = dict(zip("YX", found.offset, strict=True))
    described: dict[str, Any] = {"axes": "CYX" if values.ndim == 3 else "YX"}
    planes = 1
    if found.key.colored:
        values, described["axes"] = _as_rgb(values), "YXS"
    elif values.ndim == 3:
        planes = len(values)
    by = {axis: scale.get(axis, 1.0) for axis in "XY"}
    described |= ome_pixel_size({axis: size[axis] * by[axis] for axis in "XY"}, unit)
    plane: dict[str, Any] = {}
    for axis in "XY":
        plane |= {f"Position{axis}": [first[axis] * by[axis]] * planes}
        plane |= {f"Position{axis}Unit": [described[f"PhysicalSize{axis}Unit"]] * planes}
    content = BytesIO()
    tifffile.imwrite(
        content,
        values,
        ome=True,
        photometric="rgb" if found.key.colored else "minisblack",
        compression="zlib",
        metadata=described | {"Plane": plane, "Name": found.key.title},
    )
    write_file(path, content.getvalue())


def write_channel_attention(path: Path, maps: Iterable[StageMap]) -> None:
    """Write channel attention as a table: stage, channel, attention.

    Raises
    ------
    ImageFileError
        If the disk does not take it.
    """
    table = StringIO()
    table.write("stage,channel,attention\n")
    for each in maps:
        rows = (f"{each.key.stage},{n},{v:.6f}\n" for n, v in enumerate(each.values))
        table.writelines(rows)
    write_file(path, table.getvalue().encode())


def _as_rgb(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    rgb: NDArray[np.uint8] = (values * 255).round().astype(np.uint8)
    return np.ascontiguousarray(rgb.transpose(1, 2, 0))
