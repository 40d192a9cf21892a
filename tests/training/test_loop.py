"""The training loop: it learns, stops, resumes, and never loses a good network."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.training import loop
from napari_emcad.training.config import Augmentation
from napari_emcad.training.events import EpochEnd, Snapshot, StepEnd
from napari_emcad.training.loop import train
from napari_emcad.training.trainer import Trainer
from napari_emcad.training.validation import validate

PREPROCESSING = Preprocessing(mean=(0.5,), std=(0.25,))


def run(network, slices, config, held_out=(), state=None, until=None, stop=None):
    """Train, perhaps until a condition on an event; return the events and the result."""
    stop = stop or threading.Event()
    job = train(Trainer(network, config), slices, held_out, PREPROCESSING, "finest", stop, state)
    events = []
    while True:
        try:
            events.append(next(job))
        except StopIteration as ended:
            return events, ended.value
        if until is not None and until(events[-1]):
            return events, None


def same(one, other, tolerance=0.0):
    return all(torch.allclose(one[k], other[k], rtol=0, atol=tolerance) for k in one)


@pytest.mark.slow("src/napari_emcad/training", "src/napari_emcad/model")
def test_a_hundred_steps_learn_to_segment_bright_discs(slices, fresh_b0, small):
    config = small.replace(
        epochs=12, crops_per_epoch=32, batch=4, learning_rate=2e-3, validate_every=12, drop_path=0.0
    )
    events, trained = run(fresh_b0(), slices, config, held_out=slices[:2])
    assert trained.ending == "finished"
    assert trained.epochs[-1].loss < 0.5 * trained.epochs[0].loss
    assert trained.epochs[-1].dice > 0.8
    steps = [each for each in events if isinstance(each, StepEnd)]
    assert [each.step for each in steps] == list(range(1, 97))


def test_a_killed_training_resumes_to_the_same_network(slices, fresh, small, monkeypatch):
    monkeypatch.setattr(loop, "_SNAPSHOT_S", 0.0)
    config = small.replace(
        epochs=3,
        ema=0.9,
        drop_path=0.2,
        supervision="learned",
        augmentation=Augmentation(flip=True, rotate=90, noise=0.1),
    )
    _, uninterrupted = run(fresh(0.2), slices, config, slices[:1])
    events, _ = run(
        fresh(0.2),
        slices,
        config,
        slices[:1],
        until=lambda e: isinstance(e, Snapshot) and e.state["step"] == 3,
    )
    state = events[-1].state
    torch.manual_seed(12345)
    _, resumed = run(fresh(0.2), slices, config, slices[:1], state=state)
    assert same(uninterrupted.weights, resumed.weights, 1e-6)
    epochs = [replace(each, seconds=0) for each in uninterrupted.epochs]
    assert epochs == [replace(each, seconds=0) for each in resumed.epochs]


def test_a_snapshot_does_not_change_afterwards(slices, fresh, small, monkeypatch):
    monkeypatch.setattr(loop, "_SNAPSHOT_S", 0.0)
    events, _ = run(fresh(), slices, small.replace(ema=0.9))
    states = [each.state for each in events if isinstance(each, Snapshot)]
    assert [state["step"] for state in states] == [1, 2, 3, 4]
    assert not same(states[0]["network"], states[1]["network"])
    counts = [
        {int(each["step"]) for each in state["optimizer"]["state"].values()} for state in states
    ]
    assert counts == [{1}, {2}, {3}, {4}]


def test_stop_ends_within_a_step_and_keeps_the_best(slices, fresh, small):
    stop = threading.Event()

    def stop_after_an_epoch(event):
        if isinstance(event, EpochEnd):
            stop.set()

    config = small.replace(epochs=50)
    events, trained = run(fresh(), slices, config, slices[:1], until=stop_after_an_epoch, stop=stop)
    assert len([each for each in events if isinstance(each, StepEnd)]) == 3
    assert trained.ending == "stopped"
    assert len(trained.epochs) == 1


def test_a_loss_that_is_not_finite_ends_a_training_with_the_last_finite_weights(
    slices, fresh, small
):
    broken = replace(slices[0], name="broken", planes=np.full((1, 64, 64), np.nan, np.float32))
    network = fresh()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    events, trained = run(network, [broken], small)
    assert trained.ending == "diverged"
    assert "broken" in trained.remark
    assert "step 1" in trained.remark
    assert not events
    names = [name for name, _ in network.named_parameters()]
    assert same({k: trained.weights[k] for k in names}, {k: before[k] for k in names})
    assert all(torch.isfinite(value).all() for value in trained.weights.values())


def test_the_best_epoch_is_selected_not_the_last(slices, fresh, small, monkeypatch):
    dice = iter([0.4, 0.9, 0.6])
    monkeypatch.setattr(loop, "mean_dice", lambda scores: next(dice))
    seen = []
    job = train(
        Trainer(network := fresh(), small.replace(epochs=3)),
        slices,
        slices[:1],
        PREPROCESSING,
        "finest",
        threading.Event(),
    )
    while True:
        try:
            event = next(job)
        except StopIteration as ended:
            trained = ended.value
            break
        if isinstance(event, EpochEnd):
            seen.append({k: v.clone() for k, v in network.state_dict().items()})
    assert [each.best for each in trained.epochs] == [True, True, False]
    assert same(trained.weights, seen[1])


def test_training_continues_in_training_mode_after_validation(slices, fresh, small):
    """Published code stays in eval mode for all later epochs."""
    network = fresh(0.1).train()
    frozen = network.decoder.stage4.mscam.convolutions.expand[1].eval()
    validate(network, slices[:1], PREPROCESSING, threading.Event())
    assert network.training
    assert not frozen.training
    assert network.encoder.training


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (1, 4), (3, 8)])
def test_fewer_images_than_a_batch_can_be_trained_on(slices, fresh, small, count, batch):
    config = small.replace(epochs=1, batch=batch, crops_per_epoch=None)
    _, trained = run(fresh(), slices[:count], config)
    assert trained.ending == "finished"


def test_a_frozen_encoder_and_its_statistics_do_not_change(slices, fresh, small):
    network = fresh()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    _, trained = run(network, slices, small.replace(train="decoder", freeze_norm_below=1))
    for name, value in trained.weights.items():
        still = name.startswith(("encoder.", "grey_stem."))
        assert torch.equal(value, before[name]) == still, name


def test_small_batches_do_not_change_norm_statistics(slices, fresh, small):
    network = fresh()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    _, frozen = run(network, slices, small.replace(freeze_norm_below=4), held_out=slices[:1])
    _, moved = run(fresh(), slices, small.replace(freeze_norm_below=1))
    name = "decoder.stage1.mscam.convolutions.expand.1.running_mean"
    assert torch.equal(frozen.weights[name], before[name])
    assert not torch.equal(moved.weights[name], before[name])


def test_all_scales_are_trained_on_and_the_batch_is_not_changed(slices, fresh, small, monkeypatch):
    """Published code overwrites the batch, so that scales multiply."""
    sizes = []
    network = fresh()
    network.encoder.register_forward_pre_hook(
        lambda module, given: sizes.append(given[0].shape[-1])
    )
    run(
        network,
        slices,
        small.replace(epochs=1, crops_per_epoch=2, crop=128, scales=(0.75, 1, 1.25)),
    )
    assert sizes == [96, 128, 160]


def test_the_learning_rate_rises_then_falls_to_0(small):
    config = small.replace(warm_up=0.1)
    shares = [loop.schedule(step, 100, config) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == shares[10] == 1
    assert np.all(np.diff(shares[:10]) > 0)
    assert np.all(np.diff(shares[10:]) < 0)
    assert shares[-1] < 0.001


def test_norms_and_biases_are_not_decayed_and_the_encoder_has_its_own_rate(fresh, small):
    going = Trainer(fresh(), small.replace(encoder_rate=0.1, weight_decay=0.5))
    for group in going._optimizer.param_groups:
        for parameter in group["params"]:
            assert (group["weight_decay"] > 0) == (parameter.ndim > 1)
    rates = {id(p): group["lr"] for group in going._optimizer.param_groups for p in group["params"]}
    for name, parameter in going.network.named_parameters():
        factor = 0.1 if name.startswith("encoder.") else 1
        assert rates[id(parameter)] == pytest.approx(1e-3 * factor)


def test_two_trainings_give_the_same_network_and_share_nothing(slices, fresh, small):
    """H16."""
    results = [run(fresh(), slices, small)[1].weights for _ in range(2)]
    assert same(*results)


def test_clipping_bounds_the_gradient(slices, fresh, small, monkeypatch):
    norms = []
    real = nn.utils.clip_grad_norm_

    def watched(parameters, largest):
        parameters = list(parameters)
        real(parameters, largest)
        norms.append(
            float(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm())
        )

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", watched)
    run(fresh(), slices, small.replace(clip=0.5))
    assert norms
    assert max(norms) <= 0.5 + 1e-4


def test_validation_enlarges_slices_by_the_zoom(fresh, slices, monkeypatch):
    zooms = []
    network = fresh()
    real = type(network).predict

    def predict(self, x, head="finest", zoom=1.0):
        zooms.append(zoom)
        return real(self, x, head, zoom)

    monkeypatch.setattr(type(network), "predict", predict)
    validate(network, slices[:1], replace(PREPROCESSING, zoom=1.5), threading.Event())
    assert zooms == [1.5]


@pytest.mark.parametrize("rate", [1e20, 1e6])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_destructive_learning_rate_leaves_a_finite_network(rate, ema, slices, fresh, small):
    config = small.replace(learning_rate=rate, ema=ema, epochs=6, warm_up=0.0)
    _, trained = run(fresh(), slices, config)
    assert all(each.isfinite().all() for each in trained.weights.values())


def test_a_stopped_training_can_be_resumed(slices, fresh, small):
    stop = threading.Event()
    stop.set()
    events, trained = run(fresh(), slices, small, stop=stop)
    assert trained.ending == "stopped"
    assert isinstance(events[-1], Snapshot)
    uninterrupted = run(fresh(), slices, small)[1]
    rest = run(fresh(), slices, small, state=events[-1].state)[1]
    assert same(uninterrupted.weights, rest.weights)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_stop_near_the_end_of_an_epoch_loses_no_epoch(last, slices, fresh, small, monkeypatch):
    """Stopped before, at, and after the second step of two; at it, while slices are scored."""
    stop = threading.Event()
    job = train(Trainer(fresh(), small), slices[:4], slices[4:], PREPROCESSING, "finest", stop)
    events = [next(job)]
    while sum(isinstance(each, StepEnd) for each in events) <= last:
        events.append(next(job))
    stop.set()
    events += list(job)
    snapshot = [each for each in events if isinstance(each, Snapshot)][-1]
    uninterrupted = run(fresh(), slices[:4], small, slices[4:])[1]
    rest = run(fresh(), slices[:4], small, slices[4:], state=snapshot.state)[1]
    assert same(uninterrupted.weights, rest.weights)
    scores = [each.dice for each in uninterrupted.epochs]
    assert [each.dice for each in rest.epochs] == scores
    assert None not in scores


def test_a_divergence_after_resuming_falls_back_to_the_resumed_weights(slices, fresh, small):
    events, _ = run(fresh(), slices, small.replace(learning_rate=1e-3))
    state = [each for each in events if isinstance(each, Snapshot)][-1].state
    broken = [replace(each, planes=np.full_like(each.planes, np.nan)) for each in slices]
    _, trained = run(fresh(), broken, small.replace(epochs=4), state=state)
    assert trained.ending == "diverged"
    assert same(trained.weights, state["network"])
