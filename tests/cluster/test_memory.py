"""Neither workers nor the submitting process keep more than a part of an image in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from napari_emcad import InferenceSettings
from napari_emcad.cluster.assemble import Assembly
from napari_emcad.cluster.layout import Layout, choose_layout
from napari_emcad.imaging.link_objects import LinkSettings
from napari_emcad.imaging.parts import Part
from napari_emcad.imaging.range_cache import KnownRanges
from napari_emcad.imaging.slices import as_slices
from napari_emcad.inference.part import segment_part
from napari_emcad.io.images.write import write_array
from napari_emcad.io.segment_run import write_part


class Lazy:
    """An image that exists nowhere: noise that is made when it is read."""

    dtype = np.dtype(np.uint8)

    def __init__(self, *shape):
        self.shape, self.ndim = shape, len(shape)

    def __getitem__(self, where):
        pairs = zip(where, self.shape, strict=True)
        sizes = [len(range(*at.indices(size))) for at, size in pairs if isinstance(at, slice)]
        return np.random.default_rng(0).integers(0, 200, sizes, np.uint8)


def peak(function, *arguments):
    """Return the most bytes that NumPy and Python had at once while a function ran."""
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("link", [None, LinkSettings()], ids=["numbered", "linked"])
def test_assembly_and_writing_keep_a_few_slices(tmp_path, link):
    side, count = 256, 60
    slices = as_slices(Lazy(count, side, side), 1, "ZYX")
    parts = [Part(n, n + 1) for n in range(count)]
    labels = np.zeros((1, side, side), np.uint16)
    labels[0, 10:90, 10:90], labels[0, 100:200, 100:250] = 1, 2
    for part in parts:
        write_part(tmp_path / f"{part.key}.npy", labels)
        write_part(tmp_path / f"{part.key}.classes.npy", np.array([1, 1]))
    assembly = Assembly(tmp_path, slices, parts, separate=True, link=link)

    def write():
        result = assembly.segmentation((), ())
        assert result.labels.max() == (2 if link else 2 * count)
        write_array(tmp_path / "labels.tif", result.labels, "ZYX")

    plane = side * side * np.dtype(np.int64).itemsize
    assert peak(write) < 12 * plane  # a result of uint16 alone is 15, the parts as many


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
def test_a_band_needs_no_more_memory_in_a_higher_slice(tiny_checkpoint):
    from napari_emcad.model.fuse import fused_copy

    network = fused_copy(tiny_checkpoint.network())
    settings = InferenceSettings("cpu", 256, batch=1)
    preprocessing = tiny_checkpoint.preprocessing

    def compute(height):
        inputs, ranges = tiny_checkpoint.config.input_channels, KnownRanges(((0.0, 200.0),))
        slices = as_slices(Lazy(height, 2048), inputs, "YX", ranges=ranges)
        part = Part(0, 1, (1024, 1280))
        segment_part(network, slices, part, preprocessing, "finest", settings)

    compute(20_000)  # imports and caches
    assert peak(compute, 2_000_000) < 1.1 * peak(compute, 20_000) < 2**26


@pytest.mark.parametrize("workers", [1, 2, 100])
@pytest.mark.parametrize(
    "shape",
    [(40_000, 40_000), (2000, 512, 512), (100_000, 100_000), (300, 9000, 9000), (5, 64, 64)],
)
@pytest.mark.parametrize("probabilities", [False, True])
def test_labels_of_a_part_are_small(tiny_checkpoint, shape, workers, probabilities):
    slices = as_slices(Lazy(*shape), 3, "ZYX"[-len(shape) :])
    settings = InferenceSettings("cpu", probabilities=probabilities)
    preprocessing = tiny_checkpoint.preprocessing
    layout = choose_layout(slices, preprocessing, settings, 1, workers)
    parts = layout.parts(len(slices.indices))
    bands = [band for part in parts[:3] for band in layout.bands(part, slices.height)]
    rows = [band.rows[1] - band.rows[0] for band in bands] or [slices.height]
    pixel = 5 if probabilities else 1
    most = max(rows) * slices.width * max(part.stop - part.first for part in parts) * pixel
    assert most <= max(2**28, 1024 * slices.width * pixel)


def test_parts_cover_an_image_once():
    layout = Layout(1, 1024)
    bands = layout.bands(Part(3, 4), 2500)
    assert [band.rows for band in bands] == [(0, 1024), (1024, 2048), (2048, 2500)]
    assert [(part.first, part.stop) for part in Layout(3).parts(7)] == [(0, 3), (3, 6), (6, 7)]
    assert Layout(3).bands(Part(0, 3), 2500) == []
