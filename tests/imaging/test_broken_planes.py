"""A plane that is not what its array promises is named, instead of failing somewhere else."""

from __future__ import annotations

import dask
import dask.array
import numpy as np
import pytest

from napari_emcad import Scope, bundled_checkpoint, segment, stage_maps
from napari_emcad.imaging.read_plane import BrokenPlaneError
from napari_emcad.imaging.slices import as_slices


def lazy(planes, shape=(40, 50), dtype=np.uint8):
    """Return a dask stack that promises planes of one shape and type."""
    delayed = [dask.delayed(lambda p=plane: p)() for plane in planes]
    return dask.array.stack([dask.array.from_delayed(d, shape, dtype) for d in delayed])


class Promising:
    """An array-like that gives other planes than it promises."""

    def __init__(self, shape, dtype, plane):
        self.shape, self.dtype, self._plane = shape, np.dtype(dtype), plane

    def __getitem__(self, key):
        return self._plane


GOOD = np.zeros((40, 50), np.uint8)


@pytest.mark.parametrize("shape", [(40, 44), (30, 50), (40, 50, 3), (41, 51)])
def test_a_plane_of_another_shape(shape):
    stack = lazy([GOOD, GOOD, np.zeros(shape, np.uint8)])
    slices = as_slices(stack, 1, "ZYX")
    slices.read((1,))
    with pytest.raises(BrokenPlaneError, match=r"The plane Z = 2 has shape .*promises \(40, 50\)"):
        slices.read((2,))


@pytest.mark.parametrize("dtype", [np.float32, bool, complex, object])
def test_a_plane_of_another_type(dtype):
    slices = as_slices(lazy([GOOD, GOOD.astype(dtype)]), 1, "TYX")
    with pytest.raises(BrokenPlaneError, match=r"The plane T = 1 has the type .*promises uint8"):
        slices.read((1,))


def test_a_wider_type_of_the_same_kind_is_read():
    slices = as_slices(lazy([GOOD.astype(np.int64)]), 1, "ZYX")
    assert slices.read((0,)).shape == (1, 40, 50)


def test_any_array_and_any_axes():
    image = Promising((3, 40, 2, 50), np.uint8, np.zeros((40, 1, 49), np.uint8))
    with pytest.raises(BrokenPlaneError, match=r"Z = 1 has shape \(40, 1, 49\).*\(40, 1, 50\)"):
        as_slices(image, 1, "ZYCX", 0).read((1,))
    flat = Promising((40, 50), np.uint8, np.zeros((40, 49), np.uint8))
    with pytest.raises(BrokenPlaneError, match=r"The plane of the image has shape \(40, 49\)"):
        as_slices(flat, 1, "YX").read(())


@pytest.mark.parametrize("run", [segment, lambda *given: stage_maps(*given)[1]])
def test_jobs_end_with_the_name_of_the_plane(run):
    stack = lazy([GOOD, GOOD[:, :44]])
    arguments = (stack, bundled_checkpoint(), "ZYX") if run is segment else (
        stack, bundled_checkpoint(), ["entropy"], "ZYX"
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"Z = 1 has shape \(40, 44\).*\(40, 50\)"):
        run(*arguments)
    assert segment(stack, bundled_checkpoint(), "ZYX", scope=Scope(0)).summary.slices_done == 1
