"""OME-Zarr, slides and other images in several resolutions: axes, sizes, levels, laziness."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from ngff import AXES, halved, write_group

from napari_emcad import bundled_checkpoint, segment
from napari_emcad.cli import main
from napari_emcad.io.images import pyramid
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import ReadOptions
from napari_emcad.io.images.sources import find_images

zarr = pytest.importorskip("zarr")

VOLUME = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 64), np.uint8)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("level", [None, 0, 1, 2])
def test_axes_scale_and_level_come_from_the_metadata(version, level, tmp_path):
    write_group(tmp_path / "a.zarr", halved(VOLUME), version)
    opened = read_image(tmp_path / "a.zarr", ReadOptions(level=level))
    factor = 2 ** (level or 0)
    assert opened.axes == "CZYX"
    assert opened.unit == "µm"
    assert opened.scale == {"Z": 2.0, "Y": 0.5 * factor, "X": 0.25 * factor}
    np.testing.assert_array_equal(np.asarray(opened.pixels), VOLUME[..., ::factor, ::factor])
    assert isinstance(opened.pixels, zarr.Array)  # nothing is read before it is needed


@pytest.mark.parametrize("version", ["0.1", "0.3"])
def test_older_versions_have_axes_and_no_sizes(version, tmp_path):
    array = VOLUME[None] if version == "0.1" else VOLUME
    write_group(tmp_path / "a.zarr", [array], version)
    opened = read_image(tmp_path / "a.zarr")
    assert opened.axes == ("TCZYX" if version == "0.1" else "CZYX")
    assert opened.scale == {}
    assert opened.unit == "pixel"


def test_units_are_converted_and_the_scale_of_the_image_counts(tmp_path):
    axes = ({"name": "y", "type": "space", "unit": "millimeter"}, AXES[3])
    group = write_group(tmp_path / "a.zarr", [VOLUME[0, 0]], axes=axes, sizes=(0.002, 0.5))
    metadata = group.attrs["ome"]
    whole = [{"type": "scale", "scale": [2, 4]}, {"type": "translation", "translation": [1, 1]}]
    metadata["multiscales"][0]["coordinateTransformations"] = whole
    group.attrs["ome"] = metadata
    opened = read_image(tmp_path / "a.zarr")
    assert opened.unit == "µm"
    assert opened.scale == pytest.approx({"Y": 4.0, "X": 2.0})


def test_labels_are_read_where_labels_are_wanted(tmp_path):
    group = write_group(tmp_path / "a.zarr", halved(VOLUME))
    labels = (VOLUME[0] > 99).astype(np.uint16)
    for name in ("cells", "nuclei"):
        write_group(tmp_path / "a.zarr" / "labels" / name, [labels], axes=AXES[1:], sizes=(2, 1, 1))
    zarr.open_group(tmp_path / "a.zarr" / "labels").attrs["ome"] = {"labels": ["cells", "nuclei"]}
    assert "labels" in group
    with pytest.raises(ImageFileError, match=r"2 labels \(cells, nuclei\).*--label-key"):
        read_image(tmp_path / "a.zarr", ReadOptions(as_labels=True))
    chosen = read_image(tmp_path / "a.zarr", ReadOptions(as_labels=True, label_key="nuclei"))
    assert chosen.is_labels
    np.testing.assert_array_equal(np.asarray(chosen.pixels), labels)
    with pytest.raises(ImageFileError, match="no labels dogs; it has cells, nuclei"):
        read_image(tmp_path / "a.zarr", ReadOptions(as_labels=True, label_key="dogs"))
    itself = read_image(tmp_path / "a.zarr" / "labels" / "cells")
    np.testing.assert_array_equal(np.asarray(itself.pixels), labels)


def test_the_first_image_of_a_converted_file_is_read(tmp_path):
    zarr.open_group(tmp_path / "a.zarr", mode="w").attrs["ome"] = {"bioformats2raw.layout": 3}
    for number in ("0", "1", "10"):
        write_group(tmp_path / "a.zarr" / number, [VOLUME * (number == "0")])
    opened = read_image(tmp_path / "a.zarr")
    assert "3 images; the first is used" in opened.note
    np.testing.assert_array_equal(np.asarray(opened.pixels), VOLUME)
    assert not np.asarray(read_image(tmp_path / "a.zarr" / "10").pixels).any()


def test_what_is_no_image_is_refused_by_name(tmp_path):
    plate = {"plate": {"wells": [{"path": "B/3"}, {"path": "B/4"}]}}
    zarr.open_group(tmp_path / "p.zarr", mode="w").attrs["ome"] = plate
    with pytest.raises(ImageFileError, match=r"plate of 2 wells; name an image: .*p.zarr/B/3/0"):
        read_image(tmp_path / "p.zarr")
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    with pytest.raises(ImageFileError, match="no OME-Zarr image and has 0 arrays"):
        read_image(tmp_path / "g.zarr")
    group.create_array("b", data=VOLUME[0, 0])
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "g.zarr").pixels), VOLUME[0, 0])
    group.create_array("c", data=VOLUME[0])
    with pytest.raises(ImageFileError, match=r"2 arrays \(b \(40, 64\), c \(3, 40, 64\)\)"):
        read_image(tmp_path / "g.zarr")
    write_group(tmp_path / "l.zarr", halved(VOLUME, 2))
    with pytest.raises(ImageFileError, match=r"its levels are 0 \(the finest\) to 1"):
        read_image(tmp_path / "l.zarr", ReadOptions(level=2))
    (tmp_path / "d.zarr").mkdir()
    (tmp_path / "d.zarr" / "zarr.json").write_text("{")
    with pytest.raises(ImageFileError, match="damaged"):
        read_image(tmp_path / "d.zarr")


def test_a_zarr_folder_without_its_extension_is_one_image(tmp_path):
    write_group(tmp_path / "data" / "0", [VOLUME])
    assert [source.path.name for source in find_images(tmp_path / "data" / "0").sources] == ["0"]
    assert [source.path.name for source in find_images(tmp_path / "data").sources] == ["0"]


def test_a_level_of_a_flat_file_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", VOLUME)
    tifffile.imwrite(tmp_path / "a.tif", VOLUME[0, 0])
    for name in ("a.npy", "a.tif"):
        with pytest.raises(ImageFileError, match="one resolution; leave out --level 1"):
            read_image(tmp_path / name, ReadOptions(level=1))


def write_slide(path, array, **options):
    """Write a tiled pyramid as slide scanners do, as levels in subIFDs."""
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        options = {"tile": (64, 64), "photometric": "rgb"} | options
        file.write(array, subifds=2, resolution=(4e4, 4e4), resolutionunit=3, **options)
        for n in (1, 2):
            file.write(array[:: 2**n, :: 2**n], subfiletype=1, **options)


@pytest.mark.parametrize("compression", [None, "zlib", "jpeg"])
def test_levels_of_a_tiled_pyramid(compression, tmp_path):
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[0:256, 0:256], 90), -1).astype(np.uint8)
    write_slide(tmp_path / "a.tif", smooth, compression=compression)
    for level in (0, 1, 2):
        opened = read_image(tmp_path / "a.tif", ReadOptions(level=level))
        factor = 2**level
        assert opened.pixels.shape == (256 // factor, 256 // factor, 3)
        assert opened.scale == pytest.approx({"Y": 0.25 * factor, "X": 0.25 * factor})
        difference = np.asarray(opened.pixels).astype(int) - smooth[::factor, ::factor]
        assert abs(difference).max() <= (8 if compression == "jpeg" else 0)


def test_a_large_slide_is_decoded_where_it_is_needed(tmp_path, monkeypatch):
    image = np.random.default_rng(1).integers(0, 256, (192, 256, 3), np.uint8)
    write_slide(tmp_path / "a.svs", image, compression="zlib", description="Aperio v1|MPP = 0.5")
    whole = read_image(tmp_path / "a.svs")
    monkeypatch.setattr("napari_emcad.io.images.tiff.LAZY_BYTES", 1000)
    lazy = read_image(tmp_path / "a.svs")
    assert isinstance(whole.pixels, np.ndarray)
    assert isinstance(lazy.pixels, zarr.Array)
    np.testing.assert_array_equal(lazy.pixels[30:100, 70:80], whole.pixels[30:100, 70:80])
    model = bundled_checkpoint()
    expected = segment(whole.pixels, model, whole.axes, device="cpu")
    found = segment(lazy.pixels, model, lazy.axes, device="cpu")
    np.testing.assert_array_equal(found.labels, expected.labels)
    level = read_image(tmp_path / "a.svs", ReadOptions(level=1))
    np.testing.assert_array_equal(np.asarray(level.pixels), image[::2, ::2])


def test_slides_of_aperio_have_their_micrometers_per_pixel(tmp_path):
    image = np.zeros((64, 64, 3), np.uint8)
    text = "Aperio Image Library v10.0.51|AppMag = 20|MPP = 0.4990"
    tifffile.imwrite(tmp_path / "a.svs", image, tile=(64, 64), photometric="rgb", description=text)
    opened = read_image(tmp_path / "a.svs")
    assert opened.scale == {"Y": 0.499, "X": 0.499}
    assert opened.unit == "µm"


def test_a_missing_zarr_is_one_sentence(tmp_path, monkeypatch):
    write_group(tmp_path / "a.zarr", [VOLUME])
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(ImageFileError, match=r'run python -m pip install "napari-emcad\[zarr\]"'):
        read_image(tmp_path / "a.zarr")


def test_a_level_is_segmented_from_the_terminal(tmp_path):
    plane = np.where(VOLUME[0, 0] > 128, 200, 10).astype(np.uint8)
    axes = AXES[2:]
    write_group(tmp_path / "a.zarr", halved(plane), axes=axes, sizes=(0.5, 0.25))
    output = tmp_path / "out.tif"
    main(["segment", str(tmp_path / "a.zarr"), "--level", "1", "--output", str(output)])
    with tifffile.TiffFile(output) as file:
        assert file.asarray().shape == (20, 32)
        assert 'PhysicalSizeX="0.5"' in file.ome_metadata
    assert pyramid.check_level(output, None, 1) == 0
