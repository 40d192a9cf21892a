"""Maps in files: their pixels have the size and the place that the image gives them."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
from napari_emcad.io.images.read import ImageFileError, read_image
from napari_emcad.io.reports.stage_tiffs import (
    stage_map_file_name,
    write_channel_attention,
    write_stage_map,
)

FACTOR, OFFSET = (64 / 3, 16.0), (10 + (64 / 3 - 1) / 2, 7.5)
VALUES = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)


def a_map(key=None, values=VALUES):
    return StageMap(key or MapKey("gate", 2), values, FACTOR, OFFSET, (0, 1))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "a_gate_2.ome.tif"


def positions(path):
    with tifffile.TiffFile(path) as file:
        planes = ElementTree.fromstring(file.ome_metadata).findall(".//{*}Plane")
    return [(float(p.get("PositionY")), float(p.get("PositionX"))) for p in planes]


@pytest.mark.parametrize("unit", ["µm", "nm", "inch", "m"])
def test_the_pixel_size_of_a_map_is_that_of_the_image_times_the_factor(path, unit):
    write_stage_map(path, a_map(), {"Y": 0.5, "X": 0.25, "Z": 3}, unit)
    opened = read_image(path)
    assert opened.unit == unit
    assert opened.axes == "YX"
    assert opened.scale["Y"] == pytest.approx(0.5 * FACTOR[0], rel=1e-9)
    assert opened.scale["X"] == pytest.approx(0.25 * FACTOR[1], rel=1e-9)
    np.testing.assert_array_equal(opened.pixels, VALUES)
    assert opened.pixels.dtype == np.float32
    assert positions(path) == [(pytest.approx(0.5 * OFFSET[0]), pytest.approx(0.25 * OFFSET[1]))]


def test_without_a_scale_map_pixels_are_measured_in_image_pixels(path):
    write_stage_map(path, a_map(), {})
    with tifffile.TiffFile(path) as file:
        attributes = ElementTree.fromstring(file.ome_metadata).find(".//{*}Pixels").attrib
    assert attributes["PhysicalSizeXUnit"] == "pixel"
    assert float(attributes["PhysicalSizeY"]) == pytest.approx(FACTOR[0])
    assert (dict(read_image(path).scale), read_image(path).unit) == ({}, "pixel")


def test_all_classes_are_channels(path):
    write_stage_map(
        path, a_map(MapKey("logits", 3), np.stack([VALUES] * 4)), {"Y": 1, "X": 1}, "µm"
    )
    opened = read_image(path)
    assert (opened.axes, opened.pixels.shape) == ("CYX", (4, 5, 7))
    assert opened.scale["X"] == pytest.approx(16)
    assert len(positions(path)) == 4


def test_colors_are_written_as_rgb(path):
    values = np.clip(np.stack([VALUES, -VALUES, VALUES / 2]), 0, 1)
    write_stage_map(path, a_map(MapKey("decoder", 1), values), {"Y": 1, "X": 2}, "µm")
    opened = read_image(path)
    assert (opened.axes, opened.pixels.dtype) == ("YXC", np.uint8)
    np.testing.assert_allclose(opened.pixels / 255, values.transpose(1, 2, 0), atol=1 / 255)
    assert opened.scale == pytest.approx({"Y": FACTOR[0], "X": 32})


def test_a_transposed_map_has_transposed_sizes(path):
    write_stage_map(path, a_map().transpose(), {"Y": 2, "X": 3}, "µm")
    opened = read_image(path)
    np.testing.assert_array_equal(opened.pixels, VALUES.T)
    assert opened.scale == pytest.approx({"X": 3 * FACTOR[0], "Y": 2 * FACTOR[1]})
    assert positions(path)[0] == pytest.approx((2 * OFFSET[1], 3 * OFFSET[0]))


def test_file_names_contain_kind_stage_and_part():
    assert stage_map_file_name("cells", MapKey("decoder", 1, 17)) == "cells_decoder_1_17.ome.tif"
    assert stage_map_file_name("cells", MapKey("entropy")) == "cells_entropy.ome.tif"


def test_channel_attention_is_a_table(tmp_path):
    maps = [
        StageMap(MapKey("channel", n), np.full(3, n / 10, np.float32), None, None, (0, 1))
        for n in (4, 1)
    ]
    write_channel_attention(tmp_path / "c.csv", maps)
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[:2] == ["stage,channel,attention", "4,0,0.400000"]
    assert len(lines) == 7
    with pytest.raises(ValueError, match="channel:4 has no place"):
        write_stage_map(tmp_path / "c.tif", maps[0], {})


def test_a_failing_write_is_an_image_file_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImageFileError, match="cannot be written"):
        write_stage_map(tmp_path / "file" / "a.ome.tif", a_map(), {})
