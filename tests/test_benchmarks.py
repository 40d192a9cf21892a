"""Benchmarks run on any folder of images and print their figures as one JSON object."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from skimage.io import imsave

from napari_emcad.model.encoder import create_encoder
from napari_emcad.plugin.contributions import sample_dark

pytestmark = pytest.mark.slow

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


def run_benchmark(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), "--quick", "--json", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_script_takes_the_same_options():
    for script in BENCHMARKS.glob("*.py"):
        text = script.read_text(encoding="utf-8")
        assert all(f'"--{name}"' in text for name in ("data", "quick", "json")), script.name


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
    assert "has no folder images in it" in done.stderr.splitlines()[-1]
