"""The numbers of a TIFF or picture file are read as they are stored, or refused by their name."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (40, 50), np.uint8)
COLOR = RNG.integers(0, 256, (40, 50, 3), np.uint8)
PACKINGS = [None, "lzw", "zlib", "packbits", "zstd", "lzma"]


@pytest.mark.parametrize("compression", PACKINGS)
@pytest.mark.parametrize("array", [GRAY, GRAY.astype(np.uint16) * 201, GRAY > 128])
def test_white_as_0_is_read_as_stored_with_every_compression(array, compression, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="miniswhite", compression=compression)
    opened = read_image(path)
    np.testing.assert_array_equal(opened.pixels, array)
    assert "stores white as 0" in opened.note


@pytest.mark.parametrize("compression", ["raw", "group3", "group4", "packbits", "tiff_lzw"])
def test_pictures_of_one_bit_are_read_as_pillow_reads_them(compression, tmp_path):
    picture = Image.fromarray(GRAY).convert("1")
    picture.save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, np.asarray(picture))


@pytest.mark.parametrize(("bits", "kind"), [(2, np.uint8), (4, np.uint8), (12, np.uint16)])
def test_numbers_of_few_bits_are_not_scaled(bits, kind, tmp_path):
    array = RNG.integers(0, 2**bits, (40, 50)).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", array, bitspersample=bits)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, array)


@pytest.mark.parametrize("compression", PACKINGS)
def test_planar_and_interleaved_colors_are_the_same(compression, tmp_path):
    options = {"photometric": "rgb", "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", COLOR, planarconfig="contig", **options)
    planes = np.ascontiguousarray(COLOR.transpose(2, 0, 1))
    tifffile.imwrite(tmp_path / "b.tif", planes, planarconfig="separate", **options)
    interleaved, planar = read_image(tmp_path / "a.tif"), read_image(tmp_path / "b.tif")
    assert (interleaved.axes, planar.axes) == ("YXC", "CYX")
    np.testing.assert_array_equal(np.moveaxis(planar.pixels, 0, -1), interleaved.pixels)


@pytest.mark.parametrize(
    ("photometric", "name", "channels"),
    [
        ("separated", "CMYK", 4),
        ("cielab", "CIELab", 3),
        ("icclab", "ICC Lab", 3),
        ("logluv", "LogLuv", 3),
        ("ycbcr", "YCbCr", 3),
    ],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_other_color_spaces_are_refused(photometric, name, channels, compression, tmp_path):
    array = RNG.integers(0, 256, (40, 50, channels), np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric=photometric, compression=compression)
    with pytest.raises(ImageFileError, match=f"{name}.*save it as gray or RGB"):
        read_image(path)


def test_jpeg_tiffs_are_decoded_to_rgb(tmp_path):
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[0:160, 0:200], 90), -1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", smooth, photometric="rgb", compression="jpeg")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages.first.photometric.name == "YCBCR"
    difference = read_image(tmp_path / "a.tif").pixels.astype(int) - smooth
    assert abs(difference).max() < 30


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_an_orientation_is_named_and_rows_stay_as_stored(orientation, compression, tmp_path):
    tag = (274, 3, 1, orientation, True)
    tifffile.imwrite(tmp_path / "a.tif", GRAY, extratags=[tag], compression=compression)
    picture = Image.fromarray(COLOR)
    exif = picture.getexif()
    exif[274] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    for name, array in (("a.tif", GRAY), ("a.png", COLOR)):
        opened = read_image(tmp_path / name)
        np.testing.assert_array_equal(opened.pixels, array)
        assert f"orientation {orientation}" in opened.note


@pytest.mark.parametrize("channels", [3, 4])
def test_color_pngs_keep_their_16_bits(channels, tmp_path):
    array = RNG.integers(0, 65536, (40, 50, channels)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(array))
    opened = read_image(tmp_path / "a.png")
    assert opened.pixels.dtype == np.uint16
    np.testing.assert_array_equal(opened.pixels, array)


def test_webp_and_gif_are_read(tmp_path):
    Image.fromarray(COLOR).save(tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.webp").pixels, COLOR)
    few = (GRAY // 100).astype(np.uint8)
    picture = Image.fromarray(few, "P")
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    picture.save(tmp_path / "a.gif")
    opened = read_image(tmp_path / "a.gif")
    np.testing.assert_array_equal(
        opened.pixels[few == 1], np.broadcast_to([200, 0, 0], ((few == 1).sum(), 3))
    )
    assert opened.pixels.shape == (40, 50, 3)


def test_a_git_lfs_pointer_is_named(tmp_path):
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 132735\n"
    for name in ("a.tif", "a.png", "a.nii.gz", "a.dcm", "a.unknown"):
        (tmp_path / name).write_text(text)
        with pytest.raises(ImageFileError, match=r"Git LFS pointer.*git lfs pull"):
            read_image(tmp_path / name)


def ome_xml(number, count):
    """Return the OME metadata of one of several files with a plane each."""
    uuid = "urn:uuid:0000000{}-0000-0000-0000-000000000000"
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="z{z}.ome.tif">'
        f"{uuid.format(z)}</UUID></TiffData>"
        for z in range(count)
    )
    return (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="{uuid.format(number)}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint8" SizeX="50" SizeY="40" SizeC="1" SizeT="1" '
        f'SizeZ="{count}" PhysicalSizeX="0.5" PhysicalSizeY="0.25">'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
    )


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("present", [(0, 1, 2), (1,)])
def test_a_file_of_an_image_in_several_files_gives_its_plane(present, compression, tmp_path):
    for number in present:
        tifffile.imwrite(
            tmp_path / f"z{number}.ome.tif",
            GRAY // (number + 1),
            description=ome_xml(number, 3),
            metadata=None,
            compression=compression,
        )
    for number in present:
        opened = read_image(tmp_path / f"z{number}.ome.tif")
        np.testing.assert_array_equal(opened.pixels, GRAY // (number + 1))
        assert opened.axes == "YX"
        assert opened.scale == {"Y": 0.25, "X": 0.5}
        assert "one of 3 files" in opened.note


def test_a_sparse_file_is_read(tmp_path):
    """Tiles that were never written take no space, so that ratios are larger than any packing."""
    path, side = tmp_path / "a.tif", 2048
    store = np.zeros((side, side), np.uint16)
    store[:16, :16] = 7
    tifffile.imwrite(path, store, tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        page = file.pages.first
        counts = [count if n == 0 else 0 for n, count in enumerate(page.databytecounts)]
        page.tags["TileByteCounts"].overwrite(counts)
        first = page.dataoffsets[0]
        page.tags["TileOffsets"].overwrite([first if n == 0 else 0 for n in range(len(counts))])
    content = path.read_bytes()
    assert len(content) * 2000 > store.nbytes  # the index alone takes this much
    np.testing.assert_array_equal(read_image(path).pixels[:32, :32], store[:32, :32])
