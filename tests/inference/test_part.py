"""Parts of an image have the numbers of a segmentation of the whole image, to the bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad import CleanUp, InferenceSettings, segment
from napari_emcad.imaging import slices as slices_module
from napari_emcad.imaging.parts import Part
from napari_emcad.imaging.range_cache import KnownRanges
from napari_emcad.imaging.ranges import intensity_ranges
from napari_emcad.inference import part as part_module
from napari_emcad.inference.part import Planes, finish_planes, segment_part
from napari_emcad.inference.segment import OutOfMemory
from napari_emcad.pipelines.segment import slices_for


@pytest.fixture(scope="module")
def image():
    """Return noise with bright discs, so that labels have borders everywhere."""
    random = np.random.default_rng(0)
    pixels = random.normal(60, 12, (3, 150, 130))
    rows, columns = np.mgrid[:150, :130]
    for _ in range(40):
        n, y, x, r = random.integers((0, 0, 0, 4), (3, 150, 130, 15))
        pixels[n][(rows - y) ** 2 + (columns - x) ** 2 < r * r] += 100
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def network(tiny_checkpoint):
    from napari_emcad.model.fuse import fused_copy

    return fused_copy(tiny_checkpoint.network())


def compute(image, network, checkpoint, part, options):
    slices = slices_for(image, checkpoint, "ZYX")
    return segment_part(network, slices, part, checkpoint.preprocessing, checkpoint.head, options)


@pytest.mark.slow(
    "src/napari_emcad/inference", "src/napari_emcad/imaging", "src/napari_emcad/model"
)
@settings(max_examples=15)
@given(
    cuts=st.sets(st.integers(1, 149), max_size=5),
    batch=st.integers(1, 5),
    overlap=st.sampled_from([0.0, 0.25, 0.6]),
)
def test_bands_of_any_height_have_no_seam(image, network, tiny_checkpoint, cuts, batch, overlap):
    options = InferenceSettings("cpu", 64, overlap, batch, probabilities=True)
    whole = segment(image, tiny_checkpoint, "ZYX", settings=options, device="cpu")
    edges = [0, *sorted(cuts), 150]
    bands = [
        compute(image, network, tiny_checkpoint, Part(1, 2, rows), options)
        for rows in pairwise(edges)
    ]
    labels = np.concatenate([band.labels[0] for band in bands])
    probabilities = np.concatenate([band.probabilities[:, 0] for band in bands], axis=1)
    np.testing.assert_array_equal(labels, whole.labels[1])
    np.testing.assert_array_equal(probabilities, whole.probabilities[:, 1])


@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize(
    "clean_up",
    [CleanUp(), CleanUp(fill_holes=30, smallest_object=20), CleanUp(separate=True)],
    ids=["none", "areas", "objects"],
)
@pytest.mark.parametrize("stretch", [False, True])
def test_slices_are_finished_as_in_the_whole_stack(
    image, network, tiny_checkpoint, batch, clean_up, stretch
):
    options = InferenceSettings(
        "cpu", 64, batch=batch, probabilities=True, clean_up=clean_up, stretch=stretch
    )
    whole = segment(image, tiny_checkpoint, "ZYX", settings=options, device="cpu")
    numbered = 0
    for part in (Part(0, 1), Part(1, 3)):
        raw = compute(image, network, tiny_checkpoint, part, options)
        planes = finish_planes(raw, options)
        expected = whole.labels[part.first : part.stop].astype(np.int64)
        if clean_up.separate:
            expected[expected > 0] -= numbered
            numbered += len(planes.object_classes)
        np.testing.assert_array_equal(planes.labels, expected)
        np.testing.assert_array_equal(
            planes.probabilities, whole.probabilities[:, part.first : part.stop]
        )
    assert numbered == len(whole.summary.object_classes)


def test_bands_read_no_other_rows(image, network, tiny_checkpoint, monkeypatch):
    rows = set()

    class Recorder:
        shape, dtype, ndim = image.shape, image.dtype, 3

        def __getitem__(self, where):
            rows.update(range(*where[1].indices(150)))
            return image[where]

    monkeypatch.setattr(slices_module, "_SAMPLE", 1000)  # a slice that is read in bands
    recorder = Recorder()
    slices = slices_for(recorder, tiny_checkpoint, "ZYX")
    ranges = KnownRanges(intensity_ranges(slices, (1,), tiny_checkpoint.preprocessing))
    rows.clear()
    slices = slices_for(recorder, tiny_checkpoint, "ZYX", ranges=ranges)
    options = InferenceSettings("cpu", 64, batch=1)
    preprocessing, head = tiny_checkpoint.preprocessing, tiny_checkpoint.head
    segment_part(network, slices, Part(1, 2, (0, 40)), preprocessing, head, options)
    assert rows == set(range(75))  # two rows of tiles of 43 pixels, which the zoom makes 64


def test_short_memory_makes_batches_smaller_but_never_tiles(
    image, network, tiny_checkpoint, monkeypatch
):
    sizes = []

    def short(*arguments):
        def predict(batch):
            sizes.append((len(batch), batch[0].pixels.shape[-1]))
            raise MemoryError

        return predict

    monkeypatch.setattr(part_module, "make_predictor", short)
    options = InferenceSettings("cpu", 64, batch=4)
    with pytest.raises(OutOfMemory, match="short even for one tile of 64 pixels"):
        compute(image, network, tiny_checkpoint, Part(0, 1), options)
    assert sizes == [(4, 43), (2, 43), (1, 43)]  # of 64 with the zoom


def test_planes_that_need_no_finish_are_not_copied():
    planes = Planes(np.zeros((1, 4, 4), np.uint8), None)
    assert finish_planes(planes, InferenceSettings()) is planes
