"""The verbs of the terminal: what they print, write and refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch

from napari_emcad import (
    __version__,
    bundled_checkpoint,
    cli,
    fit_instant,
    initialize_checkpoint,
    read_checkpoint,
    segment,
    write_checkpoint,
    write_instant,
)
from napari_emcad.io.images.pixel_size import read_pixel_size
from napari_emcad.pipelines.scores import METRICS
from napari_emcad.training.metrics import hausdorff95

pytestmark = pytest.mark.usefixtures("tiny_bundled")


@pytest.fixture(scope="session")
def discs() -> np.ndarray:
    """Return a dark image with bright discs, (80, 96) uint8."""
    y, x = np.mgrid[:80, :96]
    image = np.full((80, 96), 12, np.uint8)
    for cy, cx, r in ((20, 22, 9), (45, 60, 11), (64, 20, 8), (20, 78, 10), (45, 77, 9)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = 150
    return image


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return an empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def image(folder, discs) -> Path:
    iio.imwrite(folder / "discs.png", discs)
    return folder / "discs.png"


@pytest.fixture
def run(capsys):
    """Return a function: a command line's exit status, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = cli.main([str(each) for each in arguments])
        messages = capsys.readouterr()
        return status, messages.out, messages.err

    return run


@pytest.fixture
def usage_error(run):
    """Return a function: the one line that a refused command line says on standard error."""

    def usage_error(*arguments: object, names: str = "") -> str:
        status, out, err = run(*arguments)
        assert status == 2
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("napari-emcad: ")
        assert line.endswith(".")
        assert names in line
        return line

    return usage_error


def program(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "napari_emcad.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        timeout=120,
    )


# -- segment


def test_one_image_is_segmented_into_the_current_folder(run, image, discs, folder):
    status, out, err = run("segment", image)
    assert status == 0
    assert out == "discs_labels.tif\n"
    assert err == "discs.png: 1 of 1\n"
    expected = segment(discs, bundled_checkpoint()).labels
    assert 0.1 < (expected > 0).mean() < 0.9
    written = tifffile.imread(folder / "discs_labels.tif")
    np.testing.assert_array_equal(written, expected)
    assert written.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "read"),
    [("o.png", iio.imread), ("o.npy", np.load), ("o.tif", tifffile.imread), ("O.TIFF", None)],
)
def test_the_output_may_be_a_file(name, read, run, image, discs, folder):
    status, out, _ = run("segment", image, "--output", folder / "sub" / name)
    assert (status, out) == (0, f"{folder / 'sub' / name}\n")
    written = (read or tifffile.imread)(folder / "sub" / name)
    np.testing.assert_array_equal(written, segment(discs, bundled_checkpoint()).labels)


def test_several_images_go_into_a_folder(run, image, discs, folder):
    tifffile.imwrite(folder / "half.tif", discs[:40])
    status, out, err = run("segment", image, "half.tif", "--output", "results")
    assert status == 0
    assert out.splitlines() == ["results/discs_labels.tif", "results/half_labels.tif"]
    assert len(err.splitlines()) == 2
    assert tifffile.imread("results/half_labels.tif").shape == (40, 96)


def test_images_of_the_same_stem_keep_their_endings(run, image, discs, folder):
    tifffile.imwrite(folder / "discs.tif", discs)
    status, out, _ = run("segment", "discs.png", "discs.tif")
    assert (status, out) == (0, "discs.png_labels.tif\ndiscs.tif_labels.tif\n")


def test_probabilities_are_written_beside_the_labels(run, image, discs, folder):
    run("segment", image, "--probabilities", "--output", "out.npy")
    with tifffile.TiffFile(folder / "out_probabilities.tif") as file:
        assert file.series[0].axes == "CYX"
        written = file.asarray()
    expected = segment(discs, bundled_checkpoint(), probabilities=True).probabilities
    np.testing.assert_allclose(written.reshape(expected.shape), expected, atol=1e-6)


def test_a_stack_keeps_its_axes(run, discs, folder):
    tifffile.imwrite("z.tif", np.stack([discs, discs[::-1]]), photometric="minisblack")
    status, out, err = run("segment", "z.tif", "--axes", "ZYX")
    assert (status, out) == (0, "z_labels.tif\n")
    assert "2 of 2" in err
    with tifffile.TiffFile("z_labels.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert file.asarray().shape == (2, 80, 96)


def test_channels_choose_what_the_network_sees(run, discs, folder):
    two = np.stack([np.zeros_like(discs), discs])
    tifffile.imwrite("two.tif", two, metadata={"axes": "CYX"}, photometric="minisblack")
    status, _, _ = run("segment", "two.tif", "--channels", "1")
    assert status == 0
    expected = segment(discs, bundled_checkpoint()).labels
    np.testing.assert_array_equal(tifffile.imread("two_labels.tif"), expected)
    run("segment", "two.tif", "--channels", "1,none,0", "--overwrite")
    expected = segment(two, bundled_checkpoint(), "CYX", channels=(1, None, 0)).labels
    np.testing.assert_array_equal(tifffile.imread("two_labels.tif"), expected)


def test_options_reach_the_job(run, image, discs):
    options = ("--separate", "--neck", "3", "--smallest-object", "20", "--fill-holes", "9")
    options += ("--tile", "96", "--overlap", "0.5", "--batch", "2", "--threshold", "0.3")
    status, _, err = run("segment", image, *options, "--device", "cpu", "--full-precision")
    assert status == 0
    assert err == "discs.png: 4 of 4\n"  # the network sees discs 1.5 times as large
    from napari_emcad import CleanUp

    expected = segment(
        discs,
        bundled_checkpoint(),
        device="cpu",
        clean_up=CleanUp(fill_holes=9, smallest_object=20, separate=True, neck=3),
        tile=96,
        overlap=0.5,
        batch=2,
        threshold=0.3,
        full_precision=True,
    ).labels
    assert expected.max() >= 4
    written = tifffile.imread("discs_labels.tif")
    np.testing.assert_array_equal(written, expected)
    assert written.dtype == np.uint16


def test_a_checkpoint_and_settings_can_be_chosen(run, image, discs, two_classes):
    run("segment", image, "--checkpoint", two_classes, "--set", "head=sum")
    expected = segment(discs, read_checkpoint(two_classes, head="sum")).labels
    np.testing.assert_array_equal(tifffile.imread("discs_labels.tif"), expected)


def test_one_bad_image_among_several_spares_the_others(run, image, folder):
    (folder / "bad.npy").write_bytes(b"not an image")
    status, out, err = run("segment", "bad.npy", image, "missing.tif")
    assert status == 2
    assert out.splitlines() == ["discs_labels.tif"]
    assert (folder / "discs_labels.tif").exists()
    messages = [line for line in err.splitlines() if line.startswith("napari-emcad: ")]
    assert len(messages) == 3
    assert "bad.npy" in messages[0]
    assert "missing.tif" in messages[1]
    assert "2 of 3 images were not segmented" in messages[2]


def test_a_failing_write_leaves_the_old_result(run, image, folder, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (folder / "discs_labels.tif").write_bytes(b"before")
    monkeypatch.setattr("os.fsync", full)
    status, out, err = run("segment", image, "--overwrite")
    assert (status, out) == (2, "")
    assert "No space left on device" in err
    assert (folder / "discs_labels.tif").read_bytes() == b"before"
    assert sorted(each.name for each in folder.iterdir()) == ["discs.png", "discs_labels.tif"]


# -- evaluate


@pytest.fixture
def labeled(folder, discs):
    """Return a folder with two images and their instance labels."""
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    truth = (discs > 100).astype(np.uint16) * 7
    truth[:, 48:] *= 100
    for name, part in (("a", np.s_[:]), ("b", np.s_[10:70, 5:])):
        iio.imwrite(folder / "images" / f"{name}.png", discs[part])
        iio.imwrite(folder / "labels" / f"{name}.png", truth[part])
    return folder


def figures(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    both = (predicted & truth).sum()
    return {
        "dice": 2 * both / (predicted.sum() + truth.sum()),
        "iou": both / (predicted | truth).sum(),
        "precision": both / predicted.sum(),
        "recall": both / truth.sum(),
    }


def test_evaluation_as_json_equals_a_count_by_hand(run, labeled):
    status, out, err = run("evaluate", "--images", "images", "--labels", "labels", "--json")
    assert status == 0
    assert err == "2 of 2 images\n"
    content = json.loads(out)
    checkpoint, pairs = bundled_checkpoint(), []
    for name, row in zip(("a.png", "b.png"), content["images"], strict=True):
        predicted = segment(iio.imread(labeled / "images" / name), checkpoint).labels > 0
        truth = iio.imread(labeled / "labels" / name) > 0
        pairs.append((predicted, truth))
        assert row["name"] == name
        assert {k: row[k] for k in METRICS} == pytest.approx(figures(predicted, truth))
        assert row["hd95"] == pytest.approx(hausdorff95(predicted, truth))
    for metric in METRICS:
        mean = np.mean([figures(*pair)[metric] for pair in pairs])
        assert content["mean"][metric] == pytest.approx(mean)
    assert content["mean"]["hd95"] == pytest.approx(np.mean([hausdorff95(*pair) for pair in pairs]))
    together = [
        np.concatenate([each.ravel() for each in side]) for side in zip(*pairs, strict=True)
    ]
    assert content["pooled"] == {"nucleus": pytest.approx(figures(*together))}
    assert content["sha256"] == checkpoint.origin.sha256


def test_evaluation_prints_a_table(run, labeled):
    status, out, _ = run("evaluate", "--images", "images", "--labels", "labels")
    head, *rows = out.splitlines()
    assert status == 0
    assert head.split() == ["Dice", "IoU", "precision", "recall", "HD95"]
    assert [row.split("  ")[0] for row in rows] == [
        "a.png",
        "b.png",
        "mean of 2 images",
        "all pixels, nucleus",
    ]
    for row in rows:
        figures = row.replace(" px", "").split()
        assert all(0 <= float(figure) <= 1 for figure in figures[-5:-1])
        assert row.endswith("px") or row.startswith("all pixels")


def test_evaluation_of_several_classes_scores_each(run, labeled, two_classes, discs):
    truth = (discs > 100).astype(np.uint8)
    truth[:, 48:] *= 2
    (labeled / "images" / "b.png").unlink()
    iio.imwrite(labeled / "labels" / "a.png", truth)
    arguments = ("--images", "images", "--labels", "labels", "--checkpoint", two_classes, "--json")
    _, out, _ = run("evaluate", *arguments)
    content = json.loads(out)
    predicted = segment(discs, read_checkpoint(two_classes)).labels
    assert list(content["pooled"]) == ["nucleus", "debris"]
    for k, name in enumerate(content["pooled"], start=1):
        both = ((predicted == k) & (truth == k)).sum()
        dice = 2 * both / ((predicted == k).sum() + (truth == k).sum())
        assert content["pooled"][name]["dice"] == pytest.approx(dice)
    mean = np.mean([each["dice"] for each in content["pooled"].values()])
    assert content["mean"]["dice"] == pytest.approx(mean)


# -- convert


def test_convert_goes_both_ways(run, folder):
    started = initialize_checkpoint()
    write_checkpoint(started, folder / "a.pth")
    assert run("convert", "a.pth", "b.safetensors", "--set", "activation=relu")[:2] == (
        0,
        "b.safetensors\n",
    )
    assert run("convert", "b.safetensors", "c.pth")[0] == 0
    assert read_checkpoint("b.safetensors").config.activation == "relu"
    before, after = (torch.load(each, weights_only=True) for each in ("a.pth", "c.pth"))
    assert set(before) == set(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_convert_halves(run, folder):
    write_checkpoint(initialize_checkpoint(), folder / "a.pth")
    run("convert", "a.pth", "h.safetensors", "--half")
    assert read_checkpoint("h.safetensors").tensors["heads.stage1.weight"].dtype == np.float16


# -- demo


def test_demo_writes_three_files(run, folder):
    status, out, err = run("demo", "--no-window", "--output", "shown")
    assert status == 0
    assert len(err.splitlines()) == 1
    first, *files = out.splitlines()
    assert "% of the pixels are nuclei." in first
    assert [Path(each).as_posix() for each in files] == [
        "shown/nuclei_dark_labels.tif",
        "shown/nuclei_dark_overlay.png",
    ]
    names = ["nuclei_dark.png", "nuclei_dark_labels.tif", "nuclei_dark_overlay.png"]
    assert sorted(each.name for each in (folder / "shown").iterdir()) == names
    labels = tifffile.imread("shown/nuclei_dark_labels.tif")
    assert labels.shape == (520, 696)
    assert iio.imread("shown/nuclei_dark_overlay.png").shape == (520, 696, 3)
    assert f"{(labels > 0).mean():.1%}" in first


# -- mistakes


def test_a_missing_image(usage_error, folder):
    usage_error("segment", "no.tif", names="no.tif")


@pytest.mark.parametrize("verb", ["info", "convert", "segment"])
def test_a_bad_checkpoint(verb, usage_error, image, folder):
    (folder / "bad.pth").write_text("not a checkpoint")
    arguments = {
        "info": ["info", "bad.pth"],
        "convert": ["convert", "bad.pth", "good.safetensors"],
        "segment": ["segment", image, "--checkpoint", "bad.pth"],
    }[verb]
    assert "text file" in usage_error(*arguments, names="bad.pth")
    assert sorted(each.name for each in folder.iterdir()) == ["bad.pth", "discs.png"]


@pytest.mark.parametrize("setting", ["sise=3", "activation=gelu", "size=3", "num_classes=4"])
def test_invalid_settings(setting, usage_error, folder):
    usage_error("info", "--set", setting, names=setting.split("=")[0])


def test_ambiguous_axes(usage_error, discs, folder):
    tifffile.imwrite("z.tif", np.stack([discs] * 2), metadata=None, photometric="minisblack")
    assert "ambiguous" in usage_error("segment", "z.tif", names="z.tif")


@pytest.mark.parametrize("axes", ["Z", "YYX", "ZYX", "Y1"])
def test_axes_that_do_not_fit(axes, usage_error, image):
    usage_error("segment", image, "--axes", axes, names="discs.png")


def test_channels_that_do_not_fit(usage_error, image):
    usage_error("segment", image, "--channels", "4", names="channel 4")


def test_a_missing_label_file(usage_error, labeled):
    (labeled / "labels" / "b.png").unlink()
    usage_error("evaluate", "--images", "images", "--labels", "labels", names="b.png")


def test_a_label_file_of_another_size(run, labeled):
    iio.imwrite(labeled / "labels" / "b.png", np.zeros((9, 9), np.uint8))
    status, out, err = run("evaluate", "--images", "images", "--labels", "labels", "--json")
    assert (status, out) == (2, "")
    (line,) = [each for each in err.splitlines() if each.startswith("napari-emcad: ")]
    assert "b.png" in line
    assert "(9, 9)" in line


def test_label_values_that_are_not_classes(usage_error, labeled, two_classes):
    arguments = ("evaluate", "--images", "images", "--labels", "labels")
    assert "700" in usage_error(*arguments, "--checkpoint", two_classes, names="a.png")


def test_a_missing_folder(usage_error, labeled):
    usage_error("evaluate", "--images", "no", "--labels", "labels", names="no is not a folder")


def test_several_images_into_one_file(usage_error, image, folder):
    usage_error("segment", image, "other.png", "--output", "one.tif", names="name a folder")
    assert not (folder / "one.tif").exists()


def test_two_images_of_one_name(usage_error, image, folder):
    (folder / "sub").mkdir()
    iio.imwrite(folder / "sub" / "discs.png", np.zeros((40, 40), np.uint8))
    usage_error("segment", image, "sub/discs.png", names="same name")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
def test_a_missing_device(usage_error, image):
    usage_error("segment", image, "--device", "cuda", names="CUDA")


@pytest.mark.parametrize(
    "options",
    [
        ("--tile", "8"),
        ("--overlap", "1"),
        ("--batch", "0"),
        ("--threshold", "1.5"),
        ("--neck", "0"),
        ("--smallest-object", "-1"),
    ],
)
def test_options_out_of_bounds(options, usage_error, image):
    usage_error("segment", image, *options)


def test_options_out_of_bounds_are_reported_once_for_all_images(run, image, folder):
    (folder / "b.png").write_bytes(image.read_bytes())
    status, _, err = run("segment", image, "b.png", "--tile", "0")
    (line,) = err.splitlines()
    assert status == 2
    assert image.name not in line


@pytest.mark.parametrize("loop", ["image", "output", "folder"])
def test_circular_links(loop, run, image, folder):
    (folder / "loop").symlink_to("loop")
    (folder / "loop.png").symlink_to("loop.png")
    options = {
        "image": ["loop.png"],
        "output": [image, "--output", "loop.png"],
        "folder": [image, "--output", "loop"],
    }[loop]
    status, _, err = run("segment", *options)
    assert status == (0 if loop == "output" else 2)
    assert loop == "output" or err.startswith("napari-emcad: ")


# -- what must not be written over


def test_probabilities_replace_neither_images_nor_other_files(usage_error, image, folder):
    other = folder / "discs_probabilities.tif"
    tifffile.imwrite(other, np.ones((40, 40), np.uint8))
    before = other.read_bytes()
    usage_error("segment", image, "--probabilities", names="exists already")
    usage_error("segment", image, other, "--probabilities", "--overwrite", names="that are read")
    assert other.read_bytes() == before
    assert not (folder / "discs_labels.tif").exists()


@pytest.mark.parametrize("verb", ["segment", "stages"])
def test_the_checkpoint_and_the_image_are_not_written_over(verb, usage_error, image, folder):
    model = folder / "discs_stages.png" if verb == "stages" else folder / "m.tif"
    write_checkpoint(bundled_checkpoint(), folder / "m.safetensors")
    (folder / "m.safetensors").rename(model)
    output = ["--output", model] if verb == "segment" else ["--maps", "gate:2"]
    usage_error(verb, image, "--checkpoint", model, *output, "--overwrite", names="that are read")
    if verb == "stages":
        (folder / "discs_gate_2.ome.tif").symlink_to(image)
        usage_error(verb, image, "--maps", "gate:2", "--overwrite", names="that are read")


def test_convert_replaces_nothing_unasked(usage_error, run, folder):
    write_checkpoint(bundled_checkpoint(), folder / "m.safetensors")
    before = (folder / "m.safetensors").read_bytes()
    usage_error("convert", "m.safetensors", "./m.safetensors", "--half", names="that are read")
    usage_error("convert", "m.safetensors", "m.safetensors", "--overwrite", names="that are read")
    (folder / "n.safetensors").write_bytes(b"mine")
    usage_error("convert", "m.safetensors", "n.safetensors", names="exists already")
    assert (folder / "m.safetensors").read_bytes() == before
    assert run("convert", "m.safetensors", "n.safetensors", "--overwrite")[0] == 0


@pytest.mark.parametrize("name", ["x" * 252 + ".tif", "file/b.tif"])
def test_an_impossible_output_name_is_refused_before_any_work(name, usage_error, image, folder):
    (folder / "file").write_text("a file")
    usage_error("segment", image, "--output", name, names="cannot be written")


def test_labels_keep_the_size_of_pixels(run, folder, discs):
    about = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite("um.ome.tif", discs, metadata=about)
    assert run("segment", "um.ome.tif", "--probabilities")[0] == 0
    for name in ("um.ome_labels.tif", "um.ome_probabilities.tif"):
        with tifffile.TiffFile(name) as file:
            scale, unit = read_pixel_size(file)
            assert file.series[0].shape[-2:] == discs.shape
        assert (scale, unit) == ({"Y": 0.25, "X": 0.5}, "µm")


def test_settings_may_be_written_as_the_documentation_shows_them(run, folder):
    for value in ("(224, 320)", "224,320", "[224, 320]"):
        status, out, _ = run("info", "--json", "--set", f"size={value}", "--set", "zoom=1")
        assert status == 0
        assert json.loads(out)["preprocessing"]["size"] == [224, 320]
    assert run("info", "--set", "size=None")[0] == 0


def test_a_stack_into_png(usage_error, run, discs, folder):
    tifffile.imwrite("z.tif", np.stack([discs] * 2), photometric="minisblack")
    status, out, err = run("segment", "z.tif", "--axes", "ZYX", "--output", "z.png")
    assert (status, out) == (2, "")
    assert "write .tif instead" in err.splitlines()[-1]


def test_an_image_without_numbers(usage_error, folder):
    np.save("c.npy", np.zeros((40, 40), np.complex64))
    assert "complex" in usage_error("segment", "c.npy", names="c.npy")
    np.save("e.npy", np.zeros((0, 40)))
    assert "empty" in usage_error("segment", "e.npy", names="e.npy")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["spam"],
        ["segment"],
        ["segment", "a.png", "--device", "tpu"],
        ["segment", "a.png", "--channels", "red"],
        ["info", "--set", "size"],
        ["evaluate", "a", "--worst", "many"],
        ["convert", "a.pth"],
    ],
)
def test_invalid_command_lines_end_with_2_and_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    messages = capsys.readouterr()
    assert messages.out == ""
    assert "usage: napari-emcad" in messages.err


# -- other endings


def test_running_out_of_memory_ends_with_1(run, image, monkeypatch):
    def short(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("napari_emcad.model.network.PvtEmcad.predict", short)
    status, out, err = run("segment", image, "--tile", "64")
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("napari-emcad: ")
    assert "emory" in err.splitlines()[-1]


def test_an_interruption_ends_with_130(run, image, folder, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_emcad.model.network.PvtEmcad.predict", interrupt)
    status, out, err = run("segment", image)
    assert (status, out) == (130, "")
    assert "interrupted" in err
    assert not (folder / "discs_labels.tif").exists()


# -- as a program


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
def test_the_program_prints_only_results_to_stdout(image, folder):
    ended = program("segment", image, "--output", "p.npy")
    assert (ended.returncode, ended.stdout) == (0, "p.npy\n")
    assert ended.stderr == "discs.png: 1 of 1\n"


@pytest.mark.parametrize("ending", [".tif", ".png", ".npy"])
def test_the_program_prints_one_line_about_a_damaged_image(ending, image, discs, folder):
    path = folder / f"cut{ending}"
    write = {".npy": np.save, ".tif": tifffile.imwrite}.get(ending, iio.imwrite)
    write(path, discs)
    path.write_bytes(path.read_bytes()[:300])
    ended = program("segment", path)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert f"cut{ending}" in line


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
def test_a_closed_pipe_does_not_end_the_work(folder, discs):
    for name in "abc":
        iio.imwrite(folder / f"{name}.png", discs)
    command = f'"{sys.executable}" -m napari_emcad.cli segment a.png b.png c.png | head -c 1'
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert all((folder / f"{name}_labels.tif").exists() for name in "abc")
    assert "Broken" not in ended.stderr


@pytest.mark.parametrize("closed", ["1>&-", "2>&-"])
def test_closed_streams_are_no_error(closed, image):
    command = f'"{sys.executable}" -m napari_emcad.cli info {closed}'
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_control_characters_from_files_do_not_reach_the_terminal(capsys):
    cli.console.print_result("a\x1b[31mb\r\x07c\td\udcff")
    cli.console.print_status("a\x1b[31mb\r\n\x07c\td")
    out, err = capsys.readouterr()
    assert out == "a[31mbc\td?\n"
    assert err == "a[31mb\nc\td\n"


def test_a_closed_pipe_is_not_an_error(folder):
    command = f'"{sys.executable}" -m napari_emcad.cli info --json | head -c 10'
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert ended.stderr == ""


HELP = """
import sys
from napari_emcad import cli
try:
    cli.main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code == 0, ended.code
loaded = {"torch", "timm", "numpy", "napari", "qtpy"} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.mark.parametrize("arguments", [["--help"], ["info", "--help"], ["--version"]])
def test_help_is_quick_as_it_loads_nothing_heavy(arguments):
    command = [sys.executable, "-c", HELP, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (__version__ if arguments == ["--version"] else "usage: napari-emcad") in ended.stdout


def test_info_needs_no_torch_for_a_native_file():
    code = "import sys, napari_emcad.cli as c; c.main(['info']); print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.stdout.splitlines()[-1] == "False", ended.stderr


@pytest.fixture
def instant_file(folder, discs):
    scribbles = np.zeros(discs.shape, np.uint8)
    scribbles[43:47, 55:65], scribbles[2:5] = 1, 255
    write_instant(fit_instant([discs], [scribbles]), folder / "instant.safetensors")
    return folder / "instant.safetensors"


def test_segment_takes_an_instant_model(run, image, discs, instant_file):
    status, out, _ = run("segment", image, "--checkpoint", instant_file, "--probabilities")
    assert (status, out) == (0, "discs_labels.tif\n")
    labels = tifffile.imread("discs_labels.tif")
    assert (
        2 * ((labels > 0) & (discs > 100)).sum() / ((labels > 0).sum() + (discs > 100).sum()) > 0.8
    )
    assert tifffile.imread("discs_probabilities.tif").shape == (1, *discs.shape)


def test_settings_are_for_checkpoints(usage_error, image, instant_file):
    message = usage_error("segment", image, "--checkpoint", instant_file, "--set", "zoom=2")
    assert "zoom can be set for checkpoints only" in message


def test_evaluate_takes_an_instant_model(run, image, discs, instant_file):
    (image.parent / "images").mkdir()
    (image.parent / "labels").mkdir()
    image.rename("images/discs.png")
    iio.imwrite("labels/discs.png", np.uint8(discs > 100))
    arguments = (image.parent, "--checkpoint", instant_file)
    status, out, _ = run("evaluate", *arguments, "--json")
    assert status == 0
    assert json.loads(out)["images"][0]["dice"] > 0.8


@pytest.mark.parametrize("verb", [("info",), ("stages", "discs.png", "--checkpoint")])
def test_other_verbs_say_what_an_instant_model_is(usage_error, image, instant_file, verb):
    assert "an instant model" in usage_error(*verb, instant_file)
