"""Freezing, cached maps, EMA, pseudo-labels and the CRF loss."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.training.crf_loss import crf_loss
from napari_emcad.training.loop import train
from napari_emcad.training.losses import most_likely_class
from napari_emcad.training.sampler import Sampler
from napari_emcad.training.trainer import Trainer

PLAIN = Preprocessing(mean=(0.5,), std=(0.25,))


@pytest.fixture
def scribbled(discs):
    """Return a slice of which a few rows are labeled."""
    source = discs(1)
    target = np.full_like(source.target, UNLABELED)
    target[::8] = source.target[::8]
    return replace(source, target=target)


def batch_of(source, config, step=0):
    return Sampler([source], 3, PLAIN, config).batch(step)


def changed(before, network):
    after = network.state_dict()
    return {
        name
        for name, value in before.items()
        if value.is_floating_point() and not torch.equal(value, after[name])
    }


@pytest.mark.parametrize(
    ("train", "stages"),
    [("decoder", set()), ("stage4", {3}), ("stage3", {2, 3}), ("stage2", {1, 2, 3})],
)
def test_frozen_stages_do_not_change(train, stages, fresh, small, discs):
    network = fresh(0.1)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    config = small.replace(train=train, drop_path=0.1)
    trainer = Trainer(network, config)
    trainer.step(batch_of(discs(1), config))
    names = changed(before, network)
    assert any(name.startswith("decoder.") for name in names)
    encoder = {name.split(".")[1] for name in names if name.startswith("encoder.")}
    assert encoder == {f"stages_{i}" for i in stages}
    assert not any(name.startswith("grey_stem") for name in names)


def test_a_pool_draws_all_crops_once_before_it_repeats(small, discs):
    config = small.replace(pool=5, batch=2)
    sampler = Sampler([discs(1)], 3, PLAIN, config)
    batches = [sampler.batch(step) for step in range(5)]
    numbers = [crop for each in batches for crop in each.crop_ids]
    assert sorted(numbers[:5]) == sorted(numbers[5:]) == list(range(5))
    pixels = {}
    for each in batches:
        for crop, seen in zip(each.crop_ids, each.pixels, strict=True):
            assert torch.equal(pixels.setdefault(crop, seen), seen)


def test_a_frozen_encoder_computes_the_crops_of_a_pool_once(fresh, small, discs, monkeypatch):
    network, sizes = fresh(), []
    real = type(network).encode
    monkeypatch.setattr(
        type(network), "encode", lambda self, x: sizes.append(len(x)) or real(self, x)
    )
    config = small.replace(train="decoder", pool=4, batch=2, epochs=6)
    job = train(Trainer(network, config), [discs(1)], [], PLAIN, "finest", threading.Event())
    steps = sum(1 for _ in job)
    assert steps > 4
    assert sum(sizes) == 4


def test_cached_maps_give_the_same_network_as_computed_ones(fresh, small, discs):
    weights = []
    for keeps in (True, False):
        network = fresh()
        config = small.replace(train="decoder", pool=3, batch=2)
        trainer = Trainer(network, config)
        trainer._caches_maps = keeps
        sampler = Sampler([discs(1)], 3, PLAIN, config)
        for step in range(6):
            trainer.step(sampler.batch(step))
        weights.append({k: v.clone() for k, v in network.state_dict().items()})
    for name, value in weights[0].items():
        assert torch.allclose(value.float(), weights[1][name].float(), rtol=0, atol=1e-5), name


def test_crops_are_centered_on_recent_strokes(small, discs):
    source = discs(1, (256, 256))
    recent = np.zeros((256, 256), bool)
    recent[200:204, 40:44] = True
    marked = replace(source, recent=recent, target=np.where(recent, 1, UNLABELED).astype(np.int16))
    labeled = replace(marked, target=np.where(recent, 1, 0).astype(np.int16))
    config = small.replace(recent=1.0, batch=20)
    found = batch_of(labeled, config).target
    assert all((each == 1).any() for each in found)


def test_background_strokes_take_turns_with_the_classes(small, discs):
    target = np.full((256, 256), UNLABELED, np.int16)
    target[10, 10] = 0
    target[240, 240] = 1
    source = replace(discs(1, (256, 256)), target=target, recent=np.zeros((256, 256), bool))
    found = batch_of(source, small.replace(batch=40, foreground=1.0)).target
    share = np.mean([(each == 0).any().item() for each in found])
    assert 0.25 < share < 0.75


def test_pseudo_labels_are_confident_predictions_of_the_ema_for_unlabeled_pixels(
    fresh, small, scribbled
):
    network = fresh().eval()
    batch = batch_of(scribbled, small)
    size = batch.target.shape[-2:]
    with torch.no_grad():
        logits = network(batch.pixels)
        larger = [torch.nn.functional.interpolate(e, size, mode="bilinear") for e in logits]
    chance = (sum(larger) / 4).sigmoid()[:, 0]
    confidence = torch.maximum(chance, 1 - chance)
    middle = float(confidence.median())
    config = small.replace(ema=0.9, pseudo=0.5, confidence=middle)
    trainer = Trainer(network, config)
    found = trainer._confident_labels(batch.pixels, [], batch.unlabeled)
    assert (found[batch.target != UNLABELED] == UNLABELED).all()
    confident = (confidence >= middle) & (batch.target == UNLABELED)
    assert 0.2 < confident.float().mean() < 0.8
    assert ((found != UNLABELED) == confident).float().mean() > 0.999
    assert (found[confident] == (chance > 0.5).long()[confident]).float().mean() > 0.999


def test_pseudo_labels_add_to_the_loss_after_the_ramp_begins(fresh, small, scribbled):
    losses = []
    for pseudo, ramp in ((0.0, 1.0), (1.0, 0.0), (1.0, 1.0)):
        config = small.replace(ema=0.9, pseudo=pseudo, confidence=0.5)
        losses.append(Trainer(fresh(), config).step(batch_of(scribbled, config), ramp=ramp))
    assert losses[0] == pytest.approx(losses[1])
    assert losses[2] > losses[0] + 1e-3


def test_ema_pseudo_labels_without_ema_are_refused(small):
    with pytest.raises(ValueError, match="pseudo"):
        small.replace(pseudo=0.5, ema=0.0)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_most_likely_class_has_the_largest_probability(classes):
    torch.manual_seed(0)
    logits = torch.randn(2, classes, 4, 5)
    chance, label = most_likely_class(logits)
    both = torch.cat([torch.zeros_like(logits), logits], 1) if classes == 1 else logits
    expected = both.softmax(1)
    assert torch.allclose(chance, expected.max(1)[0], atol=1e-6)
    assert torch.equal(label, expected.argmax(1))


def test_the_crf_loss_is_least_where_borders_agree():
    pixels = torch.zeros(1, 3, 64, 64)
    pixels[..., 32:] = 2.0

    def cost(column):
        logits = torch.full((1, 1, 16, 16), -6.0)
        logits[..., column:] = 6.0
        return float(crf_loss(logits, pixels))

    costs = {column: cost(column) for column in (4, 6, 8, 10, 12)}
    assert min(costs, key=costs.get) == 8
    assert costs[8] < 0.1 * costs[4]


@pytest.mark.parametrize("classes", [1, 3])
def test_the_crf_loss_agrees_with_a_plain_count(classes):
    torch.manual_seed(1)
    logits, pixels = torch.randn(1, classes, 5, 6), torch.randn(1, 3, 20, 24)
    small = torch.nn.functional.avg_pool2d(pixels, 4)[0]
    both = torch.cat([torch.zeros_like(logits), logits], 1) if classes == 1 else logits
    chance = both.softmax(1)[0]
    apart = alike = 0.0
    for y in range(5):
        for x in range(6):
            for v in range(max(y - 3, 0), min(y + 4, 5)):
                for u in range(max(x - 3, 0), min(x + 4, 6)):
                    if (v, u) <= (y, x):
                        continue
                    near = ((small[:, y, x] - small[:, v, u]) ** 2).mean()
                    like = float(torch.exp(-near / (2 * 0.5**2)))
                    apart += like * (1 - float((chance[:, y, x] * chance[:, v, u]).sum()))
                    alike += like
    assert float(crf_loss(logits, pixels)) == pytest.approx(apart / alike, rel=1e-4)


def test_the_crf_loss_of_one_pixel_is_0_and_others_have_a_gradient():
    assert float(crf_loss(torch.randn(1, 1, 1, 1), torch.randn(1, 3, 4, 4))) == 0
    logits = torch.randn(1, 1, 6, 6, requires_grad=True)
    crf_loss(logits, torch.randn(1, 3, 24, 24)).backward()
    assert logits.grad.abs().sum() > 0


def test_the_average_warms_up_and_follows_the_network(fresh, small, discs):
    """The decay of step n is n / (n + 9), up to the configured one; counters are copied."""
    config = small.replace(ema=0.3, freeze_norm_below=1)
    trainer = Trainer(fresh(), config)
    expected = {name: value.clone() for name, value in trainer.averaged.state_dict().items()}
    for step in range(1, 6):
        trainer.step(batch_of(discs(step), config))
        decay = min(0.3, step / (step + 9))
        for name, value in trainer.network.state_dict().items():
            if value.is_floating_point():
                expected[name].lerp_(value, 1 - decay)
            else:
                expected[name].copy_(value)
    assert trainer.averaged is not trainer.network
    for name, value in trainer.averaged.state_dict().items():
        assert torch.equal(value, expected[name]), name
