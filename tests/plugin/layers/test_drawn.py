"""The plane that is segmented is the one that napari draws, whatever places the layer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image
from property_tests import examples

from napari_emcad.inference.events import InferenceSettings
from napari_emcad.plugin.layers.drawn import drawn_position, drawn_slice, world_position
from napari_emcad.plugin.layers.geometry import levels
from napari_emcad.plugin.layers.image_input import SegmentOptions
from napari_emcad.plugin.layers.scope import scope_of, thick_slice_message

NUMBERED = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None], (40, 12, 14))
"""A stack in which every pixel of slice z is z."""

SHEARED = np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
ROTATED = np.array(
    [
        [np.cos(0.3), 0, -np.sin(0.3), 0],
        [0, 1, 0, 0],
        [np.sin(0.3), 0, np.cos(0.3), 0],
        [0, 0, 0, 1],
    ]
)


def options(scope="slice", axes="ZYX"):
    return SegmentOptions(axes, None, 0, scope, InferenceSettings(), False)


def drawn_number(layer):
    (number,) = np.unique(layer._slice.image.raw)
    return int(number)


def viewer_of(*layers):
    viewer = ViewerModel()
    for layer in layers:
        viewer.add_layer(layer)
    return viewer


placements = st.fixed_dictionaries(
    {
        "scale": st.tuples(*[st.sampled_from([0.1, 0.5, 1.0, 2.0, -1.0])] * 3),
        "translate": st.tuples(*[st.sampled_from([0.0, 3.0, -7.5])] * 3),
        "shear": st.sampled_from([(0, 0, 0), (0.4, 0, 0), (0, 0.3, -0.2)]),
        "affine": st.sampled_from([np.eye(4), SHEARED, ROTATED]),
        "units": st.sampled_from([("um",) * 3, ("nm",) * 3, ("mm", "um", "um")]),
    }
)


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@settings(max_examples=examples(40), suppress_health_check=list(HealthCheck))
@given(placement=placements, other=placements, share=st.floats(0.05, 0.95))
def test_the_slice_is_the_one_that_napari_draws(placement, other, share):
    layer = Image(NUMBERED, **placement)
    viewer = viewer_of(Image(NUMBERED, **other), layer)
    first, last, _step = viewer.dims.range[0]
    viewer.dims.set_point(0, first + share * (last - first))
    drawn = drawn_slice(viewer, layer, levels(layer)[0], (0,))
    if layer._slice.empty:
        assert drawn is None
    else:
        assert drawn.index == (drawn_number(layer),)
        assert not drawn.is_projection


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@settings(max_examples=examples(40), suppress_health_check=list(HealthCheck))
@given(placement=placements, ndisplay=st.sampled_from([2, 3]), data=st.data())
def test_a_position_is_found_again_at_its_point(placement, ndisplay, data):
    layer = Image(NUMBERED, **placement)
    viewer = viewer_of(layer, Image(NUMBERED, units=("um", "um", "um")))
    viewer.dims.ndisplay = ndisplay
    position = np.array([data.draw(st.floats(-50, 50)) for _ in range(3)])
    world = world_position(viewer, layer, position)
    np.testing.assert_allclose(drawn_position(viewer, layer, world), position, atol=1e-6)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_a_plane_that_is_not_drawn_is_refused(order):
    layer = Image(NUMBERED)
    viewer = viewer_of(layer)
    viewer.dims.order = order
    for scope in ("slice", "view"):
        with pytest.raises(ValueError, match="roll the axes back"):
            scope_of(viewer, layer, options(scope))
    assert scope_of(viewer, layer, options("layer")).index is None


def test_swapped_rows_and_columns_are_the_same_plane():
    layer = Image(NUMBERED)
    viewer = viewer_of(layer)
    viewer.dims.order = (0, 2, 1)
    viewer.dims.set_point(0, 7)
    assert scope_of(viewer, layer, options()).index == (7,)


def test_a_slider_beyond_the_layer_is_refused():
    layer = Image(NUMBERED)
    viewer = viewer_of(layer, Image(NUMBERED, translate=(100, 0, 0)))
    viewer.dims.set_point(0, 120)
    with pytest.raises(ValueError, match="sliders are outside"):
        scope_of(viewer, layer, options())


def test_a_slider_between_two_slices_is_no_thick_slice():
    layer = Image(NUMBERED, projection_mode="mean")
    viewer = viewer_of(layer, Image(NUMBERED, translate=(0.5, 0, 0)))
    viewer.dims.set_point(0, 20.5)
    assert not thick_slice_message(viewer, layer, options())


@pytest.mark.parametrize(("mode", "says"), [("none", False), ("mean", True), ("max", True)])
def test_a_projected_thick_slice_is_reported(mode, says):
    layer = Image(NUMBERED, projection_mode=mode)
    viewer = viewer_of(layer)
    viewer.dims.set_point(0, 20)
    viewer.dims.margin_left = viewer.dims.margin_right = (3, 0, 0)
    message = thick_slice_message(viewer, layer, options())
    assert bool(message) == says
    if says:
        assert "slice 20 of the slices 17 to 23 along Z" in message
    assert not thick_slice_message(viewer, layer, options("layer"))


def test_a_slice_of_a_coarse_level_has_the_number_that_it_has_there():
    fine = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None], (40, 64, 64))
    layer = Image([fine, fine[::2, ::2, ::2]], multiscale=True)
    viewer = viewer_of(layer)
    viewer.dims.set_point(0, 39)
    coarse = levels(layer)[1]
    drawn = drawn_slice(viewer, layer, coarse, (0,))
    assert 0 <= drawn.index[0] < coarse.array.shape[0]
