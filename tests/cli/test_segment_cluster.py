"""``napari-emcad segment --scheduler`` and ``--workers``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile

pytest.importorskip("distributed")

from napari_emcad import cli
from napari_emcad.cli.time_left import TimeLeft, duration

pytestmark = pytest.mark.usefixtures("tiny_bundled")


@pytest.fixture(scope="module")
def scheduler():
    """Return the address of a scheduler with a worker in this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Return the names of three images in the current folder."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:90, :80]
    for n in range(3):
        image = np.full((90, 80), 12, np.uint8)
        image[(y - 40) ** 2 + (x - 20 - 15 * n) ** 2 < 100] = 150
        np.save(tmp_path / f"{n}.npy", image)
    return ["0.npy", "1.npy", "2.npy"]


def test_files_and_tables_equal_those_without_a_cluster(images, tmp_path, scheduler, capsys):
    options = ["--separate", "--probabilities", "--tile", "64"]
    for folder, more in (("a", []), ("b", ["--scheduler", scheduler])):
        (tmp_path / folder).mkdir()
        arguments = ["segment", *images, "--output", folder, "--measure", f"{folder}.csv"]
        assert cli.main([*arguments, *options, *more]) == 0
    out = capsys.readouterr().out
    assert "b/0_labels.tif" in out
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    rows = [sorted((tmp_path / f"{one}.csv").read_text().splitlines()) for one in "ab"]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "workers is 0; it must be 1 or more"),
        (["--scheduler", "nowhere"], "nowhere is no address of a dask scheduler"),
        (["--workers", "2", "--link"], "--link links single objects; add --separate"),
    ],
)
def test_what_is_impossible_is_refused(images, capsys, arguments, message):
    assert cli.main(["segment", *images, "--output", "out", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_workers_and_scheduler_exclude_one_another(images, capsys):
    with pytest.raises(SystemExit):
        cli.main(["segment", *images, "--workers", "2", "--scheduler", "tcp://a:1"])
    assert "not allowed with" in capsys.readouterr().err


def test_existing_files_are_refused(images, tmp_path, scheduler, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0_labels.tif").write_bytes(b"mine")
    arguments = ["segment", *images, "--output", "out", "--scheduler", scheduler, "--tile", "64"]
    assert cli.main(arguments) == 2
    assert "exists already; add --overwrite" in capsys.readouterr().err
    assert (tmp_path / "out" / "0_labels.tif").read_bytes() == b"mine"
    assert cli.main([*arguments, "--overwrite"]) == 0


def test_ambiguous_axes_get_the_advice(images, tmp_path, scheduler, capsys):
    np.save(tmp_path / "two.npy", np.zeros((2, 80, 90), np.uint8))
    assert cli.main(["segment", "two.npy", *images, "--output", "o", "--scheduler", scheduler]) == 2
    error = capsys.readouterr().err
    assert "Use --axes and --channels." in error
    assert "1 of 4 images were not segmented." in error


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
def test_interrupted_workers_go_on_where_they_stopped(tmp_path):
    """There are far more images than are computed until the first one is noticed."""
    names = [f"{n:02}.tif" for n in range(24)]
    for n, name in enumerate(names):
        pixels = np.random.default_rng(n).integers(0, 200, (300, 300), np.uint8)
        tifffile.imwrite(tmp_path / name, pixels)
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-m", "napari_emcad.cli", "segment", *names, "--workers", "2"]
    command += ["--tile", "256", "--output", "out"]
    options = {"cwd": tmp_path, "stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    manifest = tmp_path / "out" / ".napari-emcad-run" / "manifest.jsonl"
    process = subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells' "&" ignores it
        **options,
    )
    while process.poll() is None and not (manifest.exists() and "part" in manifest.read_text()):
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "start the same command again" in error
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.tif")}
    assert len(written) < len(names)
    assert manifest.read_text().count('"part"') >= 1
    done = subprocess.run(command, check=False, timeout=300, **options)
    assert done.returncode == 0, done.stderr
    outputs = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.tif")}
    assert len(outputs) == len(names)
    assert written.items() <= outputs.items()
    assert not manifest.parent.exists()


def test_the_time_left_follows_from_what_was_done_since_the_start():
    times = iter([100.0, 110.0, 130.0, 140.0])
    left = TimeLeft(lambda: next(times))
    assert left.text(0.5) == ""  # by an earlier start
    assert left.text(0.5) == ""
    assert left.text(0.6) == ", about 2 min left"
    assert left.text(1.0) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_durations_have_their_largest_unit(seconds, text):
    assert duration(seconds) == text
