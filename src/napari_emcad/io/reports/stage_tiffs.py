"""Maps of a network's stages as OME-TIFF files with pixel size and position."""

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
    """Return the file name of a map, such as ``cells_gate_2.ome.tif``."""
    return f"{stem}_{str(key).replace(':', '_')}.ome.tif"


def write_stage_map(
    path: Path, stage_map: StageMap, scale: Mapping[str, float], unit: str = PIXEL
) -> None:
    """Write a map atomically as an OME-TIFF with the size and the position of its pixels.

    The size of a map pixel is that of an image pixel times the map's factor; the position of the
    first map pixel's center is relative to that of the image. Colors become 8-bit RGB, all other
    maps are float32.

    Parameters
    ----------
    path
        Path of the file.
    stage_map
        A map with a place on the image, rows before columns.
    scale
        Size of an image pixel along Y and X; 1 where it is unknown.
    unit
        Unit of `scale`; ``"pixel"`` without one.

    Raises
    ------
    ImageFileError
        If writing fails.
    ValueError
        If the map has no place on the image.
    """
    if stage_map.factor is None or stage_map.offset is None:
        raise ValueError(f"{stage_map.key} has no place on the image; write it as a table.")
    colored, values = stage_map.key.is_rgb, stage_map.values
    pixels: NDArray[Any] = _to_rgb(values) if colored else values
    axes = "YXS" if colored else "CYX" if values.ndim == 3 else "YX"
    planes = len(values) if axes == "CYX" else 1
    scales = {axis: scale.get(axis, 1.0) for axis in "XY"}
    factors = dict(zip("YX", stage_map.factor, strict=True))
    offsets = dict(zip("YX", stage_map.offset, strict=True))
    metadata = ome_pixel_size({axis: factors[axis] * scales[axis] for axis in "XY"}, unit)
    plane: dict[str, Any] = {}
    for axis in "XY":
        plane[f"Position{axis}"] = [offsets[axis] * scales[axis]] * planes
        plane[f"Position{axis}Unit"] = [metadata[f"PhysicalSize{axis}Unit"]] * planes
    content = BytesIO()
    tifffile.imwrite(
        content,
        pixels,
        ome=True,
        photometric="rgb" if colored else "minisblack",
        compression="zlib",
        metadata={"axes": axes, **metadata, "Plane": plane, "Name": stage_map.key.title},
    )
    write_file(path, content.getvalue())


def write_channel_attention(path: Path, maps: Iterable[StageMap]) -> None:
    """Write channel attention as a CSV table: stage, channel, attention.

    Raises
    ------
    ImageFileError
        If writing fails.
    """
    table = StringIO()
    table.write("stage,channel,attention\n")
    for stage_map in maps:
        stage = stage_map.key.stage
        table.writelines(f"{stage},{n},{v:.6f}\n" for n, v in enumerate(stage_map.values))
    write_file(path, table.getvalue().encode())


def _to_rgb(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    rgb: NDArray[np.uint8] = (values * 255).round().astype(np.uint8)
    return np.ascontiguousarray(rgb.transpose(1, 2, 0))
