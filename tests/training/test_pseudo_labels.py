"""Pseudo-labels of unlabeled pixels: by a linear probe, or by the network before training."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.training import loop
from napari_emcad.training.events import Snapshot
from napari_emcad.training.loop import train
from napari_emcad.training.losses import class_probabilities, cross_entropy, kl_divergence
from napari_emcad.training.pseudo_labels import PseudoLabelTeacher
from napari_emcad.training.sampler import Sampler
from napari_emcad.training.trainer import Trainer
from napari_emcad.training.validation import validate

PLAIN = Preprocessing(mean=(0.5,), std=(0.25,))


def strokes(source, every=16):
    """Return a slice of which only a few rows are labeled."""
    target = np.full_like(source.target, UNLABELED)
    target[::every] = source.target[::every]
    return replace(source, target=target)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_divergence_from_hard_labels_is_the_cross_entropy(channels):
    torch.manual_seed(0)
    logits = torch.randn(2, channels, 9, 9)
    target = torch.randint(-1, max(channels, 2), (2, 9, 9))
    hard = F.one_hot(target.clamp_min(0), max(channels, 2)).permute(0, 3, 1, 2).float()
    probabilities = hard * (target != UNLABELED)[:, None]
    torch.testing.assert_close(kl_divergence(logits, probabilities), cross_entropy(logits, target))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_divergence_from_the_prediction_itself_is_0(channels):
    torch.manual_seed(0)
    logits = torch.randn(2, channels, 9, 9)
    met = kl_divergence(logits, class_probabilities(logits))
    torch.testing.assert_close(met, torch.zeros(()), rtol=0, atol=1e-6)
    assert kl_divergence(logits + torch.randn_like(logits), class_probabilities(logits)) > 0.01


@pytest.mark.parametrize("teacher", ["initial", "probe"])
def test_labeled_pixels_get_no_pseudo_label(teacher, fresh, small, discs):
    source = strokes(discs(1))
    config = small.replace(pseudo=1.0, teacher=teacher, balance=1.0)
    batch = Sampler([source], 3, PLAIN, config).batch(0)
    pseudo_labeler = PseudoLabelTeacher(fresh(), "deep_and_sum", teacher)
    pseudo_labeler.fit([source], PLAIN)
    probabilities = pseudo_labeler.probabilities(batch.pixels, batch.unlabeled)
    assert (probabilities.sum(1)[~batch.unlabeled] == 0).all()
    torch.testing.assert_close(
        probabilities.sum(1)[batch.unlabeled], torch.ones(int(batch.unlabeled.sum()))
    )
    assert (batch.target[~batch.unlabeled] == UNLABELED).any()  # labels that balancing leaves out


def test_a_class_without_strokes_is_not_unlearned(small, discs, tiny_encoder):
    from napari_emcad.io.checkpoints.initialize import initialize_checkpoint

    network = initialize_checkpoint(encoder=tiny_encoder, num_classes=3, seed=3).network()
    source = strokes(discs(1))
    pseudo_labeler = PseudoLabelTeacher(network, "deep_and_sum", "probe")
    pseudo_labeler.fit([source], PLAIN)
    with torch.no_grad():
        pseudo_labeler.network.heads["stage1"].bias[2] += (
            50  # the network is certain of the second class
        )
    config = small.replace(pseudo=1.0, teacher="probe")
    batch = Sampler([source], 3, PLAIN, config).batch(0)
    assert (pseudo_labeler.probabilities(batch.pixels, batch.unlabeled) == 0).all()


def test_consensus_is_where_probe_and_network_agree(fresh, small, discs):
    source = strokes(discs(1))
    config = small.replace(pseudo=1.0, teacher="consensus")
    batch = Sampler([source], 3, PLAIN, config).batch(0)
    labels_of = {}
    for teacher in ("initial", "probe", "consensus"):
        pseudo_labeler = PseudoLabelTeacher(fresh(), "deep_and_sum", teacher)
        pseudo_labeler.fit([source], PLAIN)
        labels_of[teacher] = pseudo_labeler.probabilities(batch.pixels, batch.unlabeled)
    same = (labels_of["initial"].argmax(1) == labels_of["probe"].argmax(1)) & batch.unlabeled
    assert same.any()
    assert (~same & batch.unlabeled).any()
    torch.testing.assert_close(labels_of["consensus"], labels_of["probe"] * same[:, None])


@pytest.mark.slow("src/napari_emcad/training", "src/napari_emcad/model")
def test_a_probe_improves_on_strokes_alone(fresh_b0, small, discs):
    source, untouched = strokes(discs(1), every=32), [discs(seed) for seed in range(5, 9)]
    dice = {}
    for pseudo in (0.0, 5.0):
        config = small.replace(
            epochs=1, crops_per_epoch=160, pseudo=pseudo, teacher="probe", drop_path=0.0
        )
        network = fresh_b0()
        job = train(Trainer(network, config), [source], [], PLAIN, "sum", threading.Event())
        for _ in job:
            pass
        scores = validate(network, untouched, PLAIN, threading.Event(), "sum")
        dice[pseudo] = np.mean([each[1].dice for each in scores])
    assert dice[5.0] > dice[0.0] + 0.05


@pytest.mark.parametrize("teacher", ["initial", "probe", "consensus"])
def test_a_resumed_training_has_its_former_teacher(teacher, fresh, small, discs, monkeypatch):
    monkeypatch.setattr(loop, "_SNAPSHOT_S", 0.0)
    config = small.replace(epochs=2, ema=0.9, pseudo=2.0, teacher=teacher)
    slices = [strokes(discs(seed)) for seed in (1, 2)]

    def run(state=None, until=None):
        trainer = Trainer(fresh(), config)
        job = train(trainer, slices, [], PLAIN, "finest", threading.Event(), state)
        while True:
            try:
                event = next(job)
            except StopIteration as ended:
                return ended.value
            if until and isinstance(event, Snapshot) and event.state["step"] == until:
                return event.state

    whole, resumed = run(), run(state=run(until=2))
    for name, value in whole.weights.items():
        torch.testing.assert_close(value, resumed.weights[name], rtol=0, atol=1e-6)
