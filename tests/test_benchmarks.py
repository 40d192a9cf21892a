"""Benchmarks run on any folder of images and print their figures as one JSON object."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from safetensors.torch import load_file
from skimage.io import imsave

from napari_emcad.model.encoder import create_encoder
from napari_emcad.plugin.contributions import sample_dark

pytestmark = pytest.mark.slow("benchmarks", "src", ":!src/napari_emcad/plugin")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of three images with rough labels, without an index."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("images", "labels"):
        (folder / name).mkdir()
    image = sample_dark()[0][0]
    for k in range(3):
        part = image[128 * k : 128 * (k + 1), :160]
        imsave(folder / "images" / f"{k}.png", part, check_contrast=False)
        mask = (part > part.mean()).astype("uint8") * 255
        imsave(folder / "labels" / f"{k}.png", mask, check_contrast=False)
    return folder


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Return a folder of gray images and color pictures of several sizes, in any order."""
    folder = tmp_path_factory.mktemp("mixed")
    image = sample_dark()[0][0]
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for k in range(4):
        part = image[96 * k : 96 * k + 128, : 160 - 8 * k]
        picture = np.stack([part, part // 2, part], axis=-1) if k in (0, 3) else part
        imsave(folder / "images" / f"{k}.png", picture, check_contrast=False)
        mask = (part > part.mean()).astype("uint8") * 255
        imsave(folder / "labels" / f"{k}.png", mask, check_contrast=False)
    return folder


def run_benchmark(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), "--quick", "--json", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_script_takes_the_same_options():
    for script in BENCHMARKS.glob("*.py"):
        text = script.read_text(encoding="utf-8")
        assert all(f'"--{name}"' in text for name in ("data", "quick", "json")), script.name


@pytest.mark.parametrize(
    ("script", "more"),
    [
        ("calls.py", ()),
        ("cluster.py", ()),
        ("memory.py", ()),
        ("domains.py", ()),
        ("dsb2018.py", ()),
        ("formats.py", ()),
        ("inside.py", ()),
        ("pretrain.py", ()),
        ("scribbles.py", ()),
        ("speed.py", ()),
        ("suggest.py", ()),
        ("training_speed.py", ("--encoders", "pvt_v2_b0")),
    ],
)
def test_every_script_runs_on_gray_images_beside_color_pictures(script, more, mixed):
    assert run_benchmark(script, "--data", mixed, *more)


def test_every_script_is_run_on_mixed_images():
    windowed = {"fluid.py", "live.py"}
    text = Path(__file__).read_text(encoding="utf-8")
    scripts = {path.name for path in BENCHMARKS.glob("*.py")} - windowed
    assert all(f'("{name}", (' in text for name in scripts), scripts


@pytest.mark.parametrize("folder", ["benchmarks", "examples"])
def test_scripts_import_only_what_the_extra_test_installs(folder):
    """Installed are the requirements of the package and of the extra, and theirs."""
    scripts = sorted((BENCHMARKS.parent / folder).rglob("*.py"))
    own = {path.stem for path in scripts} | {path.parent.name for path in scripts}
    allowed = installed_modules("napari-emcad", {"test"}) | set(sys.stdlib_module_names) | own
    for path in scripts:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            missing = {name.split(".")[0] for name in names} - allowed
            assert not missing, f"{path.name} imports {missing}"


def installed_modules(project, extras):
    """Return the top-level modules of a project with its extras and all requirements."""
    distributions, waiting = set(), [(project, frozenset(extras))]
    while waiting:
        name, wanted = waiting.pop()
        if (canonicalize_name(name), wanted) in distributions:
            continue
        distributions.add((canonicalize_name(name), wanted))
        try:
            requirements = map(Requirement, metadata.requires(name) or [])
        except metadata.PackageNotFoundError:
            continue
        for one in requirements:
            markers = [{"extra": extra} for extra in (*wanted, "")]
            if one.marker is None or any(map(one.marker.evaluate, markers)):
                waiting.append((one.name, frozenset(one.extras)))
    names = {name for name, _ in distributions}
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if names & set(map(canonicalize_name, owners))
    } | {"napari_emcad"}


def test_without_splits_everything_is_test_data(folder):
    figures = run_benchmark("dsb2018.py", "--data", folder)
    assert figures["all"]["images"] == 3
    assert 0 < figures["all"]["dice"] <= 1


def test_a_simulated_annotator_trains_network_and_random_forest(folder):
    figures = run_benchmark("scribbles.py", "--data", folder, "--no-full")
    assert {"scribbles", "forest", "network before"} <= set(figures)
    assert 0 <= figures["forest"]["2"]["mean"] <= 1


def test_suggested_regions_are_compared_with_random_ones(folder):
    figures = run_benchmark("suggest.py", "--data", folder)
    assert {"suggested", "random", "error", "before"} == set(figures)
    assert len({figures[name]["2"]["mean"] for name in ("suggested", "random", "error")}) == 1
    assert 0 <= figures["suggested"]["4"]["mean"] <= 1


def test_step_times_are_compared(folder):
    figures = run_benchmark("training_speed.py", "--data", folder, "--encoders", "pvt_v2_b0")
    assert figures["pvt_v2_b0"]["faster"] > 0
    assert figures["pvt_v2_b0"]["ours_peak_mib"] > 0


def test_stage_maps_are_compared_with_segmenting(folder):
    figures = run_benchmark("inside.py", "--data", folder)
    for case in figures.values():
        assert case["ratio"] == pytest.approx(case["inside_s"] / case["segment_s"])
        assert case["kept_bytes"] == 0


def test_distillation_runs_and_can_be_resumed(folder, tmp_path):
    figures = run_benchmark("pretrain.py", "--data", folder, "--out", tmp_path)
    assert figures["crops"] > 0
    assert set(figures["unexplained"]) == {"4", "8", "16", "32"}
    student = load_file(tmp_path / "student.safetensors")
    assert set(student) == set(create_encoder("pvt_v2_b0").state_dict())
    assert {str(tensor.dtype) for tensor in student.values()} == {"torch.float16"}
    again = run_benchmark("pretrain.py", "--data", folder, "--out", tmp_path, "--resume")
    assert again["crops"] == figures["crops"]  # the time was over
    assert again["unexplained"] == pytest.approx(figures["unexplained"], rel=1e-3)


def test_distillation_runs_on_synthetic_textures():
    assert run_benchmark("pretrain.py")["crops"] > 0


def test_a_folder_without_images_gives_one_message(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "dsb2018.py"), "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"{tmp_path} is no data set" in done.stderr.splitlines()[-1]


def test_the_speed_of_inference_is_compared_with_the_same_result():
    figures = run_benchmark("speed.py")
    (row,) = figures["rows"]
    assert row["difference"] < 1e-4
    assert row["fused"] > 0


def test_every_kind_of_file_is_read_right(folder):
    figures = run_benchmark("formats.py", "--data", folder)
    assert figures["wrong"] == 0
    assert len(figures["files"]) == 6


def test_kinds_of_images_are_learned_from_strokes_by_all_methods(folder):
    methods = ("instant", "train", "nothing", "forest", "eyes-forest", "full")
    figures = run_benchmark("domains.py", "--data", folder, "--methods", *methods)
    assert set(figures) == {folder.name}
    assert set(figures[folder.name]) == set(methods)
    for row in figures[folder.name].values():
        assert set(row) == {"1", "2", "seconds"}
        assert 0 <= row["2"] <= 1
