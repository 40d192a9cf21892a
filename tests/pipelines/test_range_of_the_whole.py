"""What a model says of a pixel does not depend on how much around it was asked for."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tifffile

from napari_emcad import Scope, bundled_checkpoint, segment, stage_maps
from napari_emcad.imaging.intensity import standardize
from napari_emcad.inference.events import InferenceSettings
from napari_emcad.inference.patches import Preprocessor
from napari_emcad.interactive.preview import predict_visible
from napari_emcad.interactive.visible_region import VisibleRegion
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import read_dataset
from napari_emcad.pipelines.segment import slices_for

pytestmark = pytest.mark.usefixtures("tiny_bundled")


def bright_and_dim():
    """Return an image with bright nuclei in its left half, and dim ones in its right half."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :192]
    image = rng.normal(100, 3, y.shape)
    for cx, height in ((30, 2000), (70, 2000), (120, 40), (160, 40)):
        image += height * np.exp(-((y - 48) ** 2 + (x - cx) ** 2) / 200)
    return image.clip(0).astype(np.uint16)


IMAGE = bright_and_dim()
STACK = np.stack([IMAGE, IMAGE // 8 + 90, IMAGE // 3])
RIGHT = Scope(columns=(96, 192))


@pytest.fixture(scope="module")
def bundled():
    return bundled_checkpoint()


def test_a_part_is_segmented_like_the_whole(bundled):
    whole, part = segment(IMAGE, bundled, "YX"), segment(IMAGE, bundled, "YX", scope=RIGHT)
    # Only the surroundings differ, which the network sees and the range does not.
    differ = np.count_nonzero((whole.labels != part.labels)[:, 112:])
    assert differ <= 20


def test_a_slice_is_segmented_like_the_stack(bundled):
    over_stack = bundled.override(over="stack")
    whole = segment(STACK, over_stack, "ZYX").labels
    for z in range(3):
        alone = segment(STACK, over_stack, "ZYX", scope=Scope(z)).labels
        np.testing.assert_array_equal(alone[z], whole[z])


def test_stage_maps_of_a_slice_see_the_stack(bundled):
    over_stack = bundled.override(over="stack")
    maps = stage_maps(STACK, over_stack, ["probability:1"], "ZYX")[1]["probability:1"].values
    probability = segment(STACK, over_stack, "ZYX", probabilities=True).probabilities[0, 1]
    assert abs(float(maps.mean()) - float(probability.mean())) < 0.02


def test_a_preview_sees_the_whole_slice(bundled):
    slices = slices_for(IMAGE, bundled, "YX", scope=RIGHT)
    regions = predict_visible(
        bundled.network(),
        VisibleRegion(slices),
        bundled.preprocessing,
        bundled.head,
        "cpu",
        threading.Event(),
    )
    labels = np.zeros(IMAGE.shape, np.uint8)
    for region in regions:
        labels[region.where] = region.labels
    expected = segment(IMAGE, bundled, "YX", scope=RIGHT, settings=InferenceSettings()).labels
    assert np.count_nonzero(labels != expected) <= 40


def test_a_folder_is_trained_on_as_its_stacks_are_segmented(tmp_path, bundled):
    for name, array in (("images", STACK), ("labels", (STACK > 300).astype(np.uint8))):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", array, metadata={"axes": "ZYX"}, imagej=True)
    how = bundled.override(over="stack").preprocessing
    data = read_dataset(find_files(tmp_path).pairs, 3, how, None)
    segmented = Preprocessor(slices_for(STACK, bundled, "ZYX"), how)
    for z, labeled in enumerate(data.slices):
        (band,) = segmented.bands(z, [(0, 96)])
        planes = standardize(np.broadcast_to(labeled.planes, band.shape), how)
        np.testing.assert_array_equal(planes, band)
