"""``napari-emcad stages``: what it writes, says and refuses."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_emcad import bundled_checkpoint, cli, read_checkpoint, stage_maps
from napari_emcad.io.images.read import read_image
from napari_emcad.plugin.contributions import sample_dark

pytestmark = pytest.mark.usefixtures("tiny_bundled")

SOME = "probability,gate:2,channel,decoder:3,entropy"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def image(folder):
    """Return a gray OME-TIFF of 70 x 90 pixels with a scale."""
    pixels = sample_dark()[0][0][:70, :90]
    sizes = {"PhysicalSizeY": 0.5, "PhysicalSizeX": 0.25}
    tifffile.imwrite(folder / "a.ome.tif", pixels, metadata={"axes": "YX", **sizes})
    return folder / "a.ome.tif"


@pytest.fixture
def run(capsys):
    """Return a function: a command line's exit status, standard output and standard error."""

    def run(*arguments):
        status = cli.main(["stages", *map(str, arguments)])
        output = capsys.readouterr()
        return status, output.out, output.err

    return run


@pytest.fixture
def usage_error(run):
    """Return a function: the sentence that a refused command line ends with."""

    def usage_error(*arguments):
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith("napari-emcad: ")
        assert line.endswith(".")
        return line

    return usage_error


def test_each_map_is_a_file_with_its_scale(run, image, folder):
    status, out, err = run(image, "--output", "maps", "--maps", SOME)
    assert (status, err) == (0, "a.ome.tif: 1 of 1\n")
    files = out.splitlines()
    assert sorted(files) == sorted(str(p.relative_to(folder)) for p in (folder / "maps").iterdir())
    assert len(files) == 4 + 1 + 1 + 1 + 1 + 1
    maps = stage_maps(read_image(image).pixels, bundled_checkpoint(), SOME.split(","), "YX")[0]
    for name, each in maps.items():
        if each.factor is None:
            continue
        opened = read_image(folder / "maps" / f"a.ome_{name.replace(':', '_')}.ome.tif")
        assert opened.unit == "µm"
        assert opened.scale["Y"] == pytest.approx(0.5 * each.factor[0], rel=1e-6)
        assert opened.scale["X"] == pytest.approx(0.25 * each.factor[1], rel=1e-6)
        if not each.key.is_rgb:
            np.testing.assert_array_equal(opened.pixels, each.values)
    table = (folder / "maps" / "a.ome_channel_attention.csv").read_text().splitlines()
    assert len(table) == 1 + sum(bundled_checkpoint().config.widths.values())
    sheet = iio.imread(folder / "maps" / "a.ome_stages.png")
    assert sheet.shape[2] == 3


def test_all_maps_are_written_by_default(run, image, folder):
    status, out, _ = run(image)
    assert status == 0
    assert len(out.splitlines()) == 4 * 6 + 3 * 2 + 2 + 2  # channel attention is one file


def test_help_names_the_maps(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["stages", "--help"])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert all(
        word in output
        for word in ("gate:2", "flip_disagreement", "--slice", "--class", "--temperature")
    )


def test_one_slice_of_a_stack_is_computed(run, usage_error, folder):
    stack = np.stack([sample_dark()[0][0][:64, 64 * k : 64 * (k + 1)] for k in range(3)])
    tifffile.imwrite(folder / "s.tif", stack, metadata={"axes": "ZYX"})
    line = usage_error("s.tif", "--maps", "gate:2")
    assert "s.tif is a stack of Z 0 … 2; choose one, as in --slice 0." in line
    assert "Z 0 … 2" in usage_error("s.tif", "--slice", 3)
    assert "Z 0 … 2" in usage_error("s.tif", "--slice", "1,1")
    status, out, _ = run("s.tif", "--slice", 1, "--maps", "gate:2")
    assert (status, out.splitlines()) == (0, ["s_1_gate_2.ome.tif", "s_1_stages.png"])
    alone = stage_maps(stack[1], bundled_checkpoint(), "gate:2", "YX")[0]["gate:2"]
    np.testing.assert_array_equal(tifffile.imread("s_1_gate_2.ome.tif"), alone.values)


def test_a_flat_image_has_no_slices(usage_error, image):
    assert "a.ome.tif has no slices; leave out --slice." in usage_error(image, "--slice", 0)


def test_columns_before_rows_are_written_the_usual_way(run, folder):
    pixels = sample_dark()[0][0][:40, :64]
    np.save(folder / "a.npy", pixels)
    np.save(folder / "b.npy", np.ascontiguousarray(pixels.T))
    assert run("a.npy", "--axes", "YX", "--maps", "gate:1")[0] == 0
    assert run("b.npy", "--axes", "XY", "--maps", "gate:1")[0] == 0
    first, second = (tifffile.imread(f"{n}_gate_1.ome.tif") for n in "ab")
    np.testing.assert_array_equal(first, second)
    sheets = [iio.imread(f"{n}_stages.png")[80:] for n in "ab"]  # below the title
    np.testing.assert_array_equal(*sheets)


def test_a_class_is_chosen_by_name_or_number(run, usage_error, image, two_classes):
    how = (image, "--checkpoint", two_classes, "--maps", "probability:2,sum:1")
    status, out, _ = run(*how)
    assert (status, len(out.splitlines())) == (0, 3)
    every = tifffile.imread("a.ome_probability_2.ome.tif")
    assert every.shape[0] == 3
    status, out, _ = run(*how, "--class", "debris", "--overwrite")
    assert out.splitlines()[0] == "a.ome_probability_2_2.ome.tif"
    np.testing.assert_array_equal(tifffile.imread("a.ome_probability_2_2.ome.tif"), every[2])
    assert run(*how, "--class", 0)[0] == 2  # the sheet is there already
    line = usage_error(*how, "--class", "spam")
    assert line.endswith(
        "There is no class spam; the classes are 0 background, 1 nucleus, 2 debris."
    )


def test_the_temperature_changes_the_entropy(run, usage_error, image):
    run(image, "--maps", "entropy")
    cool = tifffile.imread("a.ome_entropy.ome.tif")
    run(image, "--maps", "entropy", "--temperature", 9, "--overwrite")
    assert tifffile.imread("a.ome_entropy.ome.tif").mean() > cool.mean()
    assert "temperature is 0.0; it must be above 0" in usage_error(image, "--temperature", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--maps", "gate:4"], "gate has stages 3, 2, 1"),
        (["--maps", "decoder:1:32"], "no channel 32"),
        (["--maps", "probability:1:2"], "class 1 alone"),
        (["--maps", "spam"], "no map 'spam'"),
        (["--maps", ","], "No map was requested"),
        (["--class", "2"], "no class 2; the classes are 0 background, 1 nucleus"),
        (["--tile", "8"], "at least 32"),
        (["--axes", "CYX"], "names 3 axes"),
        (["--device", "mps"], "cannot be used here"),
    ],
)
def test_impossible_requests_are_refused_with_a_clear_message(usage_error, image, arguments, words):
    assert words in usage_error(image, *arguments)


def test_existing_files_stay(run, usage_error, image, folder):
    assert run(image, "--maps", "gate:1")[0] == 0
    assert "exists already; add --overwrite" in usage_error(image, "--maps", "gate:1")
    assert run(image, "--maps", "gate:1", "--overwrite")[0] == 0
    (folder / "file").write_text("")
    assert "cannot be written" in usage_error(image, "--maps", "gate:1", "--output", "file")


@pytest.mark.parametrize("name", ["none.tif", "text.png"])
def test_files_that_are_not_images_are_named(usage_error, folder, name):
    (folder / "text.png").write_text("text")
    assert name in usage_error(name)


def test_tiny_images_and_those_without_numbers_have_maps(run, folder):
    np.save(folder / "dot.npy", np.full((1, 1), 7, np.uint8))
    np.save(folder / "nan.npy", np.full((40, 50), np.nan))
    for name in ("dot.npy", "nan.npy"):
        assert run(name, "--axes", "YX", "--maps", "all,flip_disagreement")[0] == 0


def test_large_images_are_cut_into_tiles(run, folder, two_classes):
    tifffile.imwrite(folder / "l.tif", np.tile(sample_dark()[0][0][:100, :200], (2, 2)))
    how = ("--maps", "gate,encoder:1", "--tile", 96, "--checkpoint", two_classes)
    status, _, err = run("l.tif", *how)
    assert status == 0
    assert err == "l.tif: 18 of 18\n"
    assert read_checkpoint(two_classes).preprocessing.zoom == 1
