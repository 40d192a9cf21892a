"""Write OME-Zarr images with zarr, as each version of NGFF specifies them."""

from __future__ import annotations

import pytest

zarr = pytest.importorskip("zarr")

AXES = (
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
)


def write_group(
    folder, arrays, version="0.5", axes=AXES, sizes=(1.0, 2.0, 0.5, 0.25), **attributes
):
    """Write a pyramid of arrays, whose levels halve rows and columns, as a version of NGFF."""
    group = zarr.open_group(folder, mode="w", zarr_format=3 if version == "0.5" else 2)
    datasets = []
    for level, array in enumerate(arrays):
        group.create_array(str(level), data=array, chunks=array.shape)
        scale = [*sizes[:-2], *(size * 2**level for size in sizes[-2:])]
        transforms = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    multiscale = {"datasets": datasets, "name": "image"}
    if version not in ("0.1", "0.2"):
        multiscale["axes"] = [axis["name"] for axis in axes] if version == "0.3" else list(axes)
    if version in ("0.1", "0.2", "0.3"):
        for dataset in datasets:
            del dataset["coordinateTransformations"]
    metadata = {"multiscales": [multiscale]}
    group.attrs.update({"ome": metadata | {"version": "0.5"}} if version == "0.5" else metadata)
    return group


def halved(array, count=3):
    return [array[..., :: 2**n, :: 2**n] for n in range(count)]
