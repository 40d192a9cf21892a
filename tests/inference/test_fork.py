"""A forked process computes after its parent has; it must not wait for the parent's threads."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
import multiprocessing, os, threading
import numpy as np
import torch
import napari_emcad as ne

torch.set_num_threads(2)
y, x = np.mgrid[:96, :96]
image = np.where((y - 48) ** 2 + (x - 48) ** 2 < 400, 150, 12).astype(np.uint8)
labels = (image > 100).astype(np.uint8)
checkpoint = ne.bundled_checkpoint()

def segment(_=None):
    return int(ne.segment(image, checkpoint, "YX").labels.sum())

def train(_=None):
    small = dict(epochs=1, crops_per_epoch=2, batch=1, crop=64)
    result = ne.train([image], [labels], checkpoint, "YX", **small)
    return float(sum(np.abs(t.astype(float)).sum() for t in result.checkpoint.tensors.values()))

def create(_=None):
    return sum(p.numel() for p in ne.create_model("pvt_v2_b0").parameters())

def stages(_=None):
    return float(ne.stage_maps(image, checkpoint, ["entropy"], "YX")[0]["entropy"].values.sum())

def in_a_thread(_=None):
    results = []
    thread = threading.Thread(target=lambda: results.append(segment()))
    thread.start()
    thread.join()
    return results[0]

for work in (segment, train, create, stages, in_a_thread):
    expected = work()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.map_async(work, [0]).get(timeout=100)[0]
    assert abs(found - expected) <= 1e-3 * abs(expected), (work.__name__, expected, found)
    assert torch.get_num_threads() == 2
print("done")
"""


# The main module of a spawned process is read from a file.
START_METHODS = """
import multiprocessing, sys
import numpy as np
import torch
import napari_emcad as ne

y, x = np.mgrid[:96, :96]
IMAGE = np.where((y - 48) ** 2 + (x - 48) ** 2 < 400, 150, 12).astype(np.uint8)

def segment(checkpoint):
    return ne.segment(IMAGE, checkpoint, "YX").labels

if __name__ == "__main__":
    torch.set_num_threads(2)
    checkpoint = ne.bundled_checkpoint()
    expected = segment(checkpoint)
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        found = pool.map_async(segment, [checkpoint] * 2).get(timeout=200)
    assert expected.any()
    assert all((labels == expected).all() for labels in found)
    print("done")
"""


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_segment_after_their_parent_however_they_start(method, tmp_path):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not start processes by {method}")
    script = tmp_path / "start.py"
    script.write_text(START_METHODS, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(script), method],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert run.stdout.strip() == "done", run.stderr[-2000:]


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_processes_compute_after_their_parent():
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert run.stdout.strip() == "done", run.stderr[-2000:]
