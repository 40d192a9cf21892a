"""Image and label files: what is read, with which axes, and what is refused."""

from __future__ import annotations

import gc
import os
from contextlib import suppress

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from npe2 import DynamicPlugin
from PIL import Image

from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.read import ImageFileError, read_image
from napari_emcad.io.images.write import write_array

RANDOM = np.random.default_rng(0)


def pixels(*shape: int, kind: str = "u1") -> np.ndarray:
    return (RANDOM.random(shape) * 200).astype(kind)


def sentence(error: pytest.ExceptionInfo[ImageFileError]) -> str:
    message = str(error.value)
    assert message.splitlines() == [message]
    assert message.endswith(".")
    return message


# -- TIFF


@pytest.mark.parametrize(
    ("shape", "kind", "options", "axes"),
    [
        ((20, 30), "u1", {}, "YX"),
        ((20, 30), "u2", {"byteorder": ">"}, "YX"),
        ((20, 30), "f4", {"compression": "zlib"}, "YX"),
        ((20, 30), "f8", {"bigtiff": True}, "YX"),
        ((20, 30), "i2", {"tile": (16, 16)}, "YX"),
        ((6, 20, 30), "u1", {"metadata": {"axes": "ZYX"}}, "ZYX"),
        ((6, 20, 30), "u2", {"metadata": {"axes": "TYX"}, "byteorder": ">"}, "TYX"),
        ((2, 20, 30), "u1", {"metadata": {"axes": "CYX"}, "photometric": "minisblack"}, "CYX"),
        ((20, 30, 3), "u1", {"photometric": "rgb"}, "YXC"),
        ((20, 30, 4), "u1", {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "YXC"),
        ((3, 20, 30), "u1", {"photometric": "rgb", "planarconfig": "separate"}, "CYX"),
        ((5, 20, 30, 3), "u1", {"photometric": "rgb", "metadata": {"axes": "ZYXS"}}, "ZYXC"),
        ((4, 2, 20, 30), "u2", {"imagej": True, "metadata": {"axes": "ZCYX"}}, "ZCYX"),
        ((3, 4, 2, 20, 30), "u2", {"imagej": True, "metadata": {"axes": "TZCYX"}}, "TZCYX"),
        ((6, 20, 30), "u1", {"imagej": True, "metadata": {"axes": "ZYX"}}, "ZYX"),
        ((4, 2, 20, 30), "u2", {"ome": True, "metadata": {"axes": "ZCYX"}}, "ZCYX"),
        ((4, 20, 30), "u2", {"ome": True, "metadata": {"axes": "TYX"}, "byteorder": ">"}, "TYX"),
        ((20, 30, 3), "u1", {"ome": True, "metadata": {"axes": "YXS"}}, "YXC"),
    ],
)
def test_tiffs_are_read_with_their_axes(shape, kind, options, axes, tmp_path):
    array = pixels(*shape, kind=kind)
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    opened = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(opened.pixels, array)
    assert opened.axes == axes
    assert len(axes) == opened.pixels.ndim


def test_a_multi_page_tiff_without_axes_has_unknown_axes(tmp_path):
    pages = [Image.fromarray(pixels(20, 30)) for _ in range(6)]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    opened = read_image(tmp_path / "a.tiff")
    assert opened.axes is None
    np.testing.assert_array_equal(opened.pixels, np.stack([np.asarray(p) for p in pages]))


def test_a_pyramid_tiff_is_read_at_its_finest_level(tmp_path):
    array = pixels(64, 64)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(array, subifds=1)
        file.write(array[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, array)


def test_an_uncompressed_tiff_is_not_copied_into_memory(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(20, 30))
    assert isinstance(read_image(tmp_path / "a.tif").pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        read_image(tmp_path / "a.tif").pixels[0, 0] = 1


# -- PNG, JPEG, BMP, NPY


@pytest.mark.parametrize(
    ("mode", "name", "shape", "kind", "axes"),
    [
        ("L", "a.png", (20, 30), "u1", "YX"),
        ("L", "A.PNG", (20, 30), "u1", "YX"),
        ("I;16", "a.png", (20, 30), "u2", "YX"),
        ("1", "a.png", (20, 30), "?", "YX"),
        ("LA", "a.png", (20, 30), "u1", "YX"),
        ("RGB", "a.png", (20, 30, 3), "u1", "YXC"),
        ("RGBA", "a.png", (20, 30, 4), "u1", "YXC"),
        ("L", "a.jpg", (20, 30), "u1", "YX"),
        ("RGB", "a.jpeg", (20, 30, 3), "u1", "YXC"),
        ("RGB", "a.bmp", (20, 30, 3), "u1", "YXC"),
    ],
)
def test_pictures_are_read_with_their_axes(mode, name, shape, kind, axes, tmp_path):
    picture = Image.fromarray(pixels(20, 30)).convert(mode)
    picture.save(tmp_path / name)
    opened = read_image(tmp_path / name)
    assert (opened.pixels.shape, opened.pixels.dtype, opened.axes) == (shape, np.dtype(kind), axes)
    if name.endswith("png") and mode != "LA":
        np.testing.assert_array_equal(opened.pixels, np.asarray(picture))


def test_gray_with_alpha_loses_its_alpha(tmp_path):
    gray = pixels(20, 30)
    Image.merge("LA", [Image.fromarray(gray), Image.fromarray(255 - gray)]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, gray)


@pytest.mark.parametrize("kind", ["u1", ">u2", "f8", "?"])
def test_arrays_are_read_as_they_are_without_axes(kind, tmp_path):
    array = pixels(5, 20, 30, kind=kind)
    np.save(tmp_path / "a.npy", array)
    opened = read_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(opened.pixels, array)
    assert opened.pixels.dtype == array.dtype
    assert opened.axes is None


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}, None], object), allow_pickle=True)
    with pytest.raises(ImageFileError) as caught:
        read_image(tmp_path / "a.npy")
    assert "a.npy" in sentence(caught)


# -- what cannot be read


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ImageFileError) as caught:
        read_image(tmp_path / "no.tif")
    assert "does not exist" in sentence(caught)


@pytest.fixture
def left_open(monkeypatch):
    """Return a function that lists files that were left open."""
    open_files: list[str] = []
    gc.freeze()  # objects that exist already need not be searched
    monkeypatch.setattr(
        "sys.unraisablehook", lambda message: open_files.append(str(message.exc_value))
    )

    def listed() -> list[str]:
        gc.collect()
        return open_files

    yield listed
    listed()


NOTHING = {"0": b"", "text": b"just a text\n" * 9, "0s": bytes(500)}


@pytest.mark.parametrize("ending", [".tif", ".png", ".jpg", ".bmp", ".npy", ".xyz", ""])
@pytest.mark.parametrize("content", NOTHING.values(), ids=NOTHING)
@pytest.mark.usefixtures("left_open")
def test_files_that_are_not_images_are_refused_with_one_line(ending, content, tmp_path):
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    with pytest.raises(ImageFileError) as caught:
        read_image(path)
    assert str(path) in sentence(caught)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".npy"])
@pytest.mark.parametrize("content", NOTHING.values(), ids=NOTHING)
@pytest.mark.usefixtures("left_open")
def test_the_message_is_for_people(ending, content, tmp_path):
    (tmp_path / f"a{ending}").write_bytes(content)
    with pytest.raises(ImageFileError) as caught:
        read_image(tmp_path / f"a{ending}")
    for jargon in ("`", "backend", "iomode", "allow_pickle"):
        assert jargon not in sentence(caught)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".npy"])
def test_refused_files_are_closed(ending, tmp_path, left_open):
    (tmp_path / f"a{ending}").write_bytes(b"just a text")
    with pytest.raises(ImageFileError):
        read_image(tmp_path / f"a{ending}")
    assert left_open() == []


@pytest.mark.parametrize("ending", [".tif", ".png", ".jpg", ".bmp", ".npy"])
@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
@pytest.mark.usefixtures("left_open")
def test_files_cut_short_are_refused_in_one_sentence(ending, share, tmp_path):
    path = tmp_path / f"a{ending}"
    write = {".npy": np.save, ".tif": tifffile.imwrite}.get(ending, iio.imwrite)
    write(path, pixels(60, 70))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ImageFileError) as caught:
        read_image(path)
    assert str(path) in sentence(caught)


@pytest.mark.usefixtures("left_open")
def test_damaged_compressed_tiffs_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels(60, 70), compression="zlib")
    content = bytearray(path.read_bytes())
    content[-600:-500] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(ImageFileError) as caught:
        read_image(path)
    sentence(caught)


@settings(
    max_examples=80,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    ending=st.sampled_from([".png", ".bmp", ".npy", ".jpg"]),
    changes=st.dictionaries(st.integers(54, 2000), st.integers(0, 255), min_size=1, max_size=4),
)
def test_flipped_bytes_give_an_image_or_an_image_file_error(ending, changes, tmp_path, left_open):
    path = tmp_path / f"a{ending}"
    (np.save if ending == ".npy" else iio.imwrite)(path, pixels(30, 40))
    content = bytearray(path.read_bytes())
    for place, byte in changes.items():
        content[place % len(content)] = byte
    path.write_bytes(content)
    message = "."
    try:
        assert isinstance(read_image(path).pixels, np.ndarray)
    except ImageFileError as error:
        message = str(error)
    assert message.splitlines() == [message]


def test_a_picture_larger_than_pillow_likes_is_read_or_refused(tmp_path, monkeypatch):
    iio.imwrite(tmp_path / "a.png", pixels(60, 70))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 1000)
    with suppress(ImageFileError):
        assert read_image(tmp_path / "a.png").pixels.shape == (60, 70)


# -- napari's readers


@pytest.fixture
def reads_xyz(tmp_path):
    """Return a function: what read_image makes of layers that a napari reader gives for *.xyz."""
    path = tmp_path / "a.xyz"
    path.touch()

    def read(*layers: tuple):
        with DynamicPlugin("reads-xyz") as plugin:

            @plugin.contribute.reader(filename_patterns=["*.xyz"])
            def get_reader(path):
                return lambda path: list(layers)

            return read_image(path)

    return read


@pytest.mark.parametrize(
    ("shape", "meta", "axes"),
    [
        ((20, 30), {}, None),
        ((6, 20, 30), {"name": "stack"}, None),
        ((20, 30, 3), {"rgb": True}, "YXC"),
        ((6, 20, 30, 3), {"rgb": True}, "ZYXC"),
        ((5, 6, 20, 30, 4), {"rgb": True}, "TZYXC"),
        ((2, 20, 30), {"channel_axis": 0}, "CYX"),
        ((6, 2, 20, 30), {"channel_axis": 1}, "ZCYX"),
        ((20, 30, 2), {"channel_axis": -1}, "YXC"),
        ((20, 30, 2), {"channel_axis": 2}, "YXC"),
        ((6, 20, 30), {"rgb": False}, None),
    ],
)
def test_other_files_are_read_by_napari_readers(shape, meta, axes, reads_xyz):
    array = pixels(*shape)
    opened = reads_xyz((array, meta, "image"))
    np.testing.assert_array_equal(opened.pixels, array)
    assert opened.axes == axes


def test_the_finest_level_of_a_multiscale_layer_is_read(reads_xyz):
    array = pixels(64, 64)
    opened = reads_xyz(([array, array[::2, ::2]], {"multiscale": True}, "image"))
    np.testing.assert_array_equal(opened.pixels, array)


def test_the_first_image_layer_counts_and_a_bare_tuple_is_one(reads_xyz):
    array = pixels(20, 30)
    points = (np.zeros((3, 2)), {}, "points")
    np.testing.assert_array_equal(reads_xyz(points, (array, {}, "image")).pixels, array)
    np.testing.assert_array_equal(reads_xyz((array,)).pixels, array)


def test_a_reader_without_an_image_is_an_error(reads_xyz):
    with pytest.raises(ImageFileError, match="no image in it"):
        reads_xyz((np.zeros((3, 2)), {}, "points"))
    with pytest.raises(ImageFileError, match="no image in it"):
        reads_xyz((None,))


def test_a_failing_reader_is_an_error(tmp_path):
    (tmp_path / "a.xyz").touch()
    with DynamicPlugin("fails-on-xyz") as plugin:

        @plugin.contribute.reader(filename_patterns=["*.xyz"])
        def get_reader(path):
            def fail(path):
                raise RuntimeError("the first line\nthe second line")

            return fail

        with pytest.raises(ImageFileError) as caught:
            read_image(tmp_path / "a.xyz")
    assert "the first line" in sentence(caught)


# -- labels


def test_a_palette_holds_labels_not_colors(tmp_path):
    labels = np.arange(600, dtype="u1").reshape(20, 30) % 7
    picture = Image.fromarray(labels).convert("P")
    picture.putdata(labels.ravel().tolist())
    picture.putpalette([value for k in range(256) for value in (255 - k, k // 2, 9)])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), labels)
    assert read_image(tmp_path / "a.png").axes == "YXC"


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i4", "?"])
@pytest.mark.parametrize("ending", [".tif", ".npy"])
def test_whole_numbers_are_labels(kind, ending, tmp_path):
    labels = pixels(20, 30, kind=kind)
    (np.save if ending == ".npy" else tifffile.imwrite)(tmp_path / f"a{ending}", labels)
    read = read_labels(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(read, labels)
    assert read.dtype == labels.dtype


def test_floats_are_labels_if_they_are_whole(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0.0, 3.0], [70000.0, 1.0]]))
    read = read_labels(tmp_path / "a.npy")
    assert read.dtype == np.int64
    assert read.tolist() == [[0, 3], [70000, 1]]


@pytest.mark.parametrize(
    "values", [[0.5, 1.0], [np.nan, 1.0], [np.inf, 1.0], [1e30, 1.0], [1 + 2j, 0]]
)
def test_other_values_are_not_labels(values, tmp_path):
    np.save(tmp_path / "a.npy", np.array([values]))
    with pytest.raises(ImageFileError) as caught:
        read_labels(tmp_path / "a.npy")
    assert "whole numbers" in sentence(caught)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp"])
def test_color_images_are_not_labels(name, tmp_path):
    colors = pixels(20, 30, 3)
    write = tifffile.imwrite if name.endswith("tif") else iio.imwrite
    write(tmp_path / name, colors, **({"photometric": "rgb"} if name.endswith("tif") else {}))
    with pytest.raises(ImageFileError) as caught:
        read_labels(tmp_path / name)
    words = "JPEG with colors" if name.endswith("jpg") else "color image"
    assert words in sentence(caught)


# -- writing


@settings(
    max_examples=80,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    axes=st.sampled_from(["YX", "XY", "ZYX", "TZYX", "CYX", "CZYX", "YXZ", "YXC", "CTZYX", "AYX"]),
    sizes=st.lists(st.integers(1, 6), min_size=5, max_size=5),
    kind=st.sampled_from(["u1", "u2", "u4", "f4"]),
)
def test_tiffs_come_back_with_their_axes(axes, sizes, kind, tmp_path):
    array = pixels(*sizes[: len(axes)], kind=kind)
    write_array(tmp_path / "a.tif", array, axes)
    opened = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(opened.pixels, array)
    assert opened.pixels.dtype == array.dtype
    assert opened.axes == axes


@pytest.mark.parametrize("name", ["a.npy", "A.NPY", "a.TIFF"])
def test_arrays_of_any_rank_come_back(name, tmp_path):
    array = pixels(2, 3, 20, 30, kind="u4")
    write_array(tmp_path / name, array, "TZYX")
    np.testing.assert_array_equal(read_image(tmp_path / name).pixels, array)


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_flat_labels_come_back_from_png(kind, tmp_path):
    array = pixels(20, 30, kind=kind)
    write_array(tmp_path / "a.png", array, "YX")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), array)


def test_color_pictures_come_back_from_png(tmp_path):
    array = pixels(20, 30, 3)
    write_array(tmp_path / "a.png", array, "YXC")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, array)


@pytest.mark.parametrize(
    ("shape", "kind", "axes"),
    [
        ((3, 20, 30), "u1", "ZYX"),
        ((3, 20, 30), "u1", "CYX"),
        ((20, 30), "u4", "YX"),
        ((20, 30), "f4", "YX"),
        ((20, 30, 3), "u2", "YXC"),
        ((20, 30, 7), "u1", "YXC"),
    ],
)
def test_png_refuses_what_it_cannot_hold(shape, kind, axes, tmp_path):
    with pytest.raises(ImageFileError) as caught:
        write_array(tmp_path / "a.png", pixels(*shape, kind=kind), axes)
    assert ".tif" in sentence(caught)
    assert list(tmp_path.iterdir()) == []


def test_other_endings_are_refused(tmp_path):
    for name in ("a.jpg", "a", "a.zarr"):
        with pytest.raises(ImageFileError, match=r"\.tif, \.png or \.npy"):
            write_array(tmp_path / name, pixels(2, 2), "YX")
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_are_created(tmp_path):
    write_array(tmp_path / "new" / "deep" / "a.tif", pixels(2, 2), "YX")
    assert (tmp_path / "new" / "deep" / "a.tif").exists()


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.png"])
def test_a_failing_write_leaves_the_old_file(name, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write_array(tmp_path / name, pixels(20, 30), "YX")
    before = (tmp_path / name).read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ImageFileError) as caught:
        write_array(tmp_path / name, pixels(20, 30), "YX")
    assert "No space left" in sentence(caught)
    assert (tmp_path / name).read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_folder_below_a_file_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ImageFileError, match="cannot be written"):
        write_array(tmp_path / "file" / "a.tif", pixels(2, 2), "YX")


# -- what TIFF files are besides


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "jpeg", "group3", "group4", "packbits", "zstd"]
)
def test_compressed_tiffs_are_read(compression, tmp_path):
    fax = compression.startswith("group")
    array = pixels(20, 30) > 100 if fax else pixels(20, 30)
    picture = Image.fromarray(array)
    picture.save(tmp_path / "a.tif", compression=compression)
    picture.save(
        tmp_path / "b.tif", compression=compression, save_all=True, append_images=[picture]
    )
    for name in "ab":
        read = read_image(tmp_path / f"{name}.tif").pixels
        assert read.dtype == array.dtype
        assert read.shape[-2:] == array.shape
        if compression != "jpeg":
            assert np.array_equal(read, np.broadcast_to(array, read.shape))


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd"])
def test_an_empty_mask_is_read_however_small_its_file(compression, tmp_path):
    empty = np.zeros((6000, 6000), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", empty, compression=compression)
    read = read_image(tmp_path / "a.tif").pixels
    assert read.shape == empty.shape
    assert not read.any()


def test_a_compression_that_cannot_be_decoded_is_named(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels(20, 30), compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["Compression"].overwrite(tifffile.COMPRESSION.NEXT)
    with pytest.raises(ImageFileError) as caught:
        read_image(path)
    assert "compression (NEXT, uint8) is not supported" in sentence(caught)
    assert "save it without compression" in sentence(caught)


def test_of_a_tiff_with_a_palette_the_indices_are_read_with_a_note(tmp_path):
    table = np.random.default_rng(0).integers(0, 2**16, (3, 256)).astype(np.uint16)
    numbers = pixels(20, 30)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="palette", colormap=table)
    found = read_image(tmp_path / "a.tif")
    assert np.array_equal(found.pixels, numbers)
    assert "numbers behind it are used" in found.note


def test_the_first_frame_of_an_animation_is_read_with_a_note(tmp_path):
    one = Image.fromarray(pixels(20, 30))
    one.save(tmp_path / "a.png", save_all=True, append_images=[one.rotate(180), one])
    assert "holds 3 pictures" in read_image(tmp_path / "a.png").note


def test_only_black_and_white_jpegs_are_labels(tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:40] = 255
    Image.fromarray(mask).save(tmp_path / "mask.jpg", quality=70)
    Image.fromarray(np.stack([mask] * 3, 2)).save(tmp_path / "mask3.jpg", quality=70)
    for name in ("mask.jpg", "mask3.jpg"):
        found = read_labels(tmp_path / name)
        assert set(np.unique(found)) == {0, 255}
        assert ((found > 0) == (mask > 0)).mean() > 0.99
    Image.fromarray(pixels(64, 64)).save(tmp_path / "numbers.jpg")
    with pytest.raises(ImageFileError) as caught:
        read_labels(tmp_path / "numbers.jpg")
    assert "PNG or TIFF" in sentence(caught)


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_pipe_is_not_an_image(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageFileError) as caught:
        read_image(tmp_path / "a.png")
    assert "neither a file nor a folder" in sentence(caught)


def test_zarr_folders_are_images_of_a_folder(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "other").mkdir()
    assert [each.name for each in image_files(tmp_path)] == ["a.zarr"]
