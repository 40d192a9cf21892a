"""Result layers are aligned with their images (H9)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels
from placements import placed_images

import napari_emcad
from napari_emcad.plugin.layers.geometry import layer_geometry, levels


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@settings(max_examples=40, deadline=None)
@given(placed_images(), st.sampled_from([0, 1]))
def test_pixel_centers_of_image_and_result_coincide(image, number):
    level = levels(image)[number]
    result = Labels(
        np.zeros(level.array.shape, np.uint8), **layer_geometry(image, (0, 1, 2), level)
    )
    factor = np.asarray(level.downsampling)
    for pixel in ((0, 0, 0), (5, 3, 7), (2, 15, 11)):
        fine = np.asarray(pixel) * factor + (factor - 1) / 2
        np.testing.assert_allclose(
            result.data_to_world(pixel), image.data_to_world(fine), rtol=0, atol=1e-9
        )
    assert [str(unit) for unit in result.units] == [str(unit) for unit in image.units]
    assert tuple(result.axis_labels) == tuple(image.axis_labels)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_dropped_axis_leaves_the_others_in_place(data):
    """The channel axis is dropped; it takes part in no rotation or shear."""
    flat = data.draw(placed_images(ndim=2))
    image = Image(
        np.zeros((4, 32, 48), np.uint8),
        scale=(7, *flat.scale),
        translate=(5, *flat.translate),
        axis_labels=("c", "y", "x"),
        units=("pixel", "um", "um"),
    )
    (level,) = levels(image)
    geometry = layer_geometry(image, (1, 2), level)
    result = Labels(np.zeros((32, 48), np.uint8), **geometry)
    for pixel in ((0, 0), (31, 47)):
        np.testing.assert_allclose(
            result.data_to_world(pixel), image.data_to_world((0, *pixel))[1:], atol=1e-9
        )
    assert tuple(result.axis_labels) == ("y", "x")
    assert [str(unit) for unit in result.units] == ["micrometer", "micrometer"]


def test_scale_and_rotation_are_copied_instead_of_an_affine():
    """The result has the user's scale and rotation instead of an equivalent affine."""
    image = Image(np.zeros((8, 9)), scale=(2, 3), translate=(1, 4), rotate=30, shear=[0.1])
    geometry = layer_geometry(image, (0, 1), levels(image)[0])
    np.testing.assert_allclose(geometry["scale"], image.scale)
    np.testing.assert_allclose(geometry["translate"], image.translate)
    np.testing.assert_allclose(geometry["rotate"], image.rotate)
    np.testing.assert_allclose(geometry["shear"], image.shear)
    np.testing.assert_allclose(geometry["affine"], np.eye(3), atol=1e-12)


@pytest.mark.parametrize("factor", [2, 4, 32])
def test_coarse_levels_are_shifted_by_half_a_pixel(factor):
    fine = np.zeros((64, 64), np.uint8)
    image = Image([fine, fine[::factor, ::factor]], multiscale=True, scale=(0.5, 0.5))
    geometry = layer_geometry(image, (0, 1), levels(image)[1])
    np.testing.assert_allclose(geometry["scale"], 0.5 * factor)
    np.testing.assert_allclose(geometry["translate"], 0.5 * (factor - 1) / 2)


def test_a_result_takes_the_new_transform_of_its_image(panel, finish):
    panel.segment.controller.run()
    finish(panel)
    image = panel.viewer.layers["nuclei"]
    image.scale, image.translate, image.units = (0.3, 0.3), (5, 6), ("um", "um")
    panel.segment.controller.run()
    finish(panel)
    (layer,) = [layer for layer in panel.viewer.layers if isinstance(layer, Labels)]
    np.testing.assert_allclose(layer.scale, (0.3, 0.3))
    np.testing.assert_allclose(layer.translate, (5, 6))
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]


def test_slices_follow_their_slider_with_an_inner_channel_axis(viewer, dock, finish, nuclei):
    """napari aligns axes from the last one; a dropped inner axis would shift the layer."""
    dim = (nuclei * 0.5).astype(np.uint8)
    planes = [np.roll(dim, 25 * z, axis=1) for z in range(3)]
    image = np.stack([np.stack([plane, plane]) for plane in planes])
    viewer.add_image(image, name="cells", axis_labels=("z", "c", "y", "x"), scale=(2, 1, 1, 1))
    panel = dock(viewer)
    for box in panel.segment.panel._axes._channels:
        box.setCurrentIndex(box.findData(0))
    form = panel.segment.panel
    form._axes.changed.emit()
    form._scope.setCurrentIndex(form._scope.findData("layer"))
    form._advanced._probabilities.setChecked(True)
    panel.segment.controller.run()
    finish(panel)
    layer = viewer.layers["cells segmentation"]
    checkpoint = panel.session.checkpoint
    expected = napari_emcad.segment(image, checkpoint, "ZCYX", "cpu", channels=(0, 0, 0)).labels
    assert expected.any(axis=(1, 2)).all()
    for z, c in ((0, 0), (2, 0), (1, 1)):
        viewer.dims.set_current_step((0, 1), (z, c))
        for y, x in np.argwhere(expected[z])[::97]:
            point = viewer.layers["cells"].data_to_world((z, c, y, x))
            assert layer.get_value(point, world=True) == expected[z, y, x]
    layer.paint((1, 0, 5, 5), 1)
    assert layer.data[1, 1, 5, 5] == 1
    probabilities = next(layer for layer in viewer.layers if "probability" in layer.name)
    assert probabilities.data.shape == image.shape
    assert np.array_equal(probabilities.data[:, 0] > 0.5, expected > 0)


def test_a_result_lies_on_an_image_that_was_calibrated_during_the_job(panel, finish):
    panel.segment.controller.run()
    image = panel.viewer.layers["nuclei"]
    image.scale, image.translate, image.units = (0.3, 0.2), (5, 6), ("um", "um")
    image.rotate = 30
    finish(panel)
    (layer,) = [layer for layer in panel.viewer.layers if isinstance(layer, Labels)]
    for pixel in ((0, 0), (95, 127)):
        np.testing.assert_allclose(layer.data_to_world(pixel), image.data_to_world(pixel))
    assert layer.units == image.units
