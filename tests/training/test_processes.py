"""Two processes train like one with the doubled batch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from golden.tiny import discs
from PIL import Image

import napari_emcad as ne

SCRIPT = """
import json, sys, threading
from dataclasses import replace
import numpy as np
import torch
from tiny import discs
from tiny_encoder import TINY
import napari_emcad as ne
from napari_emcad.model.encoders import ENCODERS
from napari_emcad.training.config import TrainingConfig
from napari_emcad.training.loop import train
from napari_emcad.training.processes import process_rank, torchrun_processes
from napari_emcad.training.samples import LabeledSlice
from napari_emcad.training.trainer import Trainer

ENCODERS[TINY.name] = TINY
torch.set_num_threads(1)
config = TrainingConfig(**json.loads(sys.argv[1]))
checkpoint = ne.initialize_checkpoint(encoder=TINY.name, num_classes=1, seed=1)
slices = []
for seed in range(6):
    image, mask = discs(seed)
    planes = image[None].astype(np.float32) / 255
    slices.append(LabeledSlice(str(seed), planes, mask.astype(np.int16)))
with torchrun_processes("cpu"):
    trainer = Trainer(checkpoint.network(config.drop_path), config)
    job = train(trainer, slices, slices[:1], checkpoint.preprocessing, "finest", threading.Event())
    losses, ends = [], []
    while True:
        try:
            event = next(job)
        except StopIteration as end:
            weights = end.value.weights
            break
        losses += [event.loss] if type(event).__name__ == "StepEnd" else []
        ends += [event.dice] if type(event).__name__ == "EpochEnd" else []
    if process_rank() == 0:
        total = float(sum(w.double().abs().sum() for w in weights.values()))
        print(json.dumps([losses, ends, total]))
"""

SETTINGS = {
    "epochs": 2,
    "crops_per_epoch": 16,
    "crop": 64,
    "drop_path": 0.0,
    "mixed_precision": False,
    "pseudo": 0.0,
    "boundary": 0.0,
    "balance": 0.0,
    "learning_rate": 1e-3,
}


def run(script, processes, **settings):
    """Train in a number of processes; return losses by step, Dice by epoch, the sum of weights."""
    root = Path(__file__).parents[1]
    paths = [root, root / "golden", *sys.path]
    command = [sys.executable, str(script), json.dumps(SETTINGS | settings)]
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        command[1:1] = launcher
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    environment |= {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    # losses near 20 have roundings of their size
    [({}, {"atol": 1e-5, "rtol": 0}), ({"supervision": "learned", "clip": 0.5}, {"rtol": 1e-5})],
)
def test_two_processes_train_like_one_with_the_doubled_batch(tmp_path, settings, tolerance):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    losses, dice, weights = run(script, 1, batch=4, **settings)
    shared_losses, shared_dice, shared_weights = run(script, 2, batch=2, **settings)
    assert len(losses) == 8
    np.testing.assert_allclose(shared_losses, losses, **tolerance)
    np.testing.assert_allclose(shared_dice, dice, rtol=0, atol=1e-3)
    assert shared_weights == pytest.approx(weights, rel=1e-5)


@pytest.fixture
def command(tmp_path):
    """Return a function from an output and options to a training on two processes."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for seed in range(4):
        image, mask = discs(seed)
        Image.fromarray(image).save(tmp_path / "images" / f"{seed}.png")
        Image.fromarray(mask).save(tmp_path / "labels" / f"{seed}.png")

    def command(output, *options, epochs=1):
        settings = [f"epochs={epochs}", "crops_per_epoch=4", "batch=1", "crop=64"]
        settings += ["mixed_precision=false", "drop_path=0"]
        words = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        words += ["--nproc_per_node=2", "-m", "napari_emcad.cli", "train", ".", "--device", "cpu"]
        words += ["--output", output, *options]
        return words + [word for setting in settings for word in ("--set", setting)]

    return command


@pytest.fixture
def process_options(tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)}
    return {"cwd": tmp_path, "env": environment, "text": True}


def complete(words, options):
    result = subprocess.run(words, capture_output=True, timeout=400, check=False, **options)
    assert result.returncode == 0, result.stderr[-3000:]
    return result


@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
def test_the_command_line_trains_on_two_processes(tmp_path, command, process_options):
    result = complete(command("run"), process_options)
    assert result.stdout.splitlines() == ["run/model.safetensors"]  # of the first alone
    assert result.stderr.count("epoch 1 of 1") == 1
    assert ne.read_checkpoint(tmp_path / "run" / "model.safetensors").history


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
def test_ctrl_c_ends_both_processes_and_resume_gives_the_same_network(
    tmp_path, command, process_options
):
    complete(command("whole", epochs=3), process_options)
    with subprocess.Popen(
        command("stopped", epochs=3),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a terminal sends Ctrl-C to all processes of a command
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **process_options,
    ) as process:
        next(line for line in process.stderr if "epoch 1 of 3" in line)
        os.killpg(process.pid, signal.SIGINT)
        messages = process.stderr.read()
    assert "continue with --resume" in messages
    assert "epoch 3 of 3" not in messages
    resumed = complete(command("stopped", "--resume", epochs=3), process_options)
    assert "epoch 3 of 3" in resumed.stderr
    whole, stopped = (
        ne.read_checkpoint(tmp_path / name / "model.safetensors").tensors
        for name in ("whole", "stopped")
    )
    for name, tensor in whole.items():
        np.testing.assert_array_equal(stopped[name], tensor, err_msg=name)
