"""A probe is regularized logistic regression on the features of annotated pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.model.feature_extractor import LEVEL_STRIDES, FeatureExtractor
from napari_emcad.model.feature_probe import FEATURE_STRIDES, feature_maps, feature_widths
from napari_emcad.model.probe_ensemble import ProbeEnsemble
from napari_emcad.training import probe_trainer
from napari_emcad.training.fit_probe import _MOST_PIXELS, _standardized, fit_probe
from napari_emcad.training.losses import class_probabilities
from napari_emcad.training.probe_samples import (
    ProbeSamples,
    find_strokes,
    sample_map,
    sample_strokes,
)
from napari_emcad.training.probe_settings import (
    FINE,
    GENERAL,
    THIN,
    choose_settings,
    choose_views,
    stroke_widths,
)
from napari_emcad.training.probe_trainer import ProbeTrainer, standardized
from napari_emcad.training.samples import LabeledSlice


class Pooled(nn.Module):
    """An encoder whose maps are the averaged image."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, pixels):
        return [self.scale * F.avg_pool2d(pixels, stride) for stride in LEVEL_STRIDES]


@pytest.fixture(scope="module")
def extractor():
    return FeatureExtractor("pooled", (3, 3, 3, 3), (0.5,) * 3, (0.25,) * 3, Pooled().eval())


def random_samples(seed, classes, extractor, per_stroke=12):
    """Return samples of two strokes per class with separated features."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), 2 * per_stroke)
    widths = feature_widths(extractor)
    centers = [rng.standard_normal((classes, width)) for width in widths]
    features = [
        torch.from_numpy(one[labels] + rng.standard_normal((len(labels), one.shape[1]))).float()
        for one in centers
    ]
    background = [torch.from_numpy(rng.standard_normal((64, width))).float() for width in widths]
    strokes = np.repeat(np.arange(2 * classes), per_stroke)
    first = strokes % 2 == 0
    return ProbeSamples(tuple(features), labels, strokes, first, tuple(background))


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(2, 4))
def test_the_coefficients_are_those_of_logistic_regression(seed, classes):
    extractor = FeatureExtractor("pooled", (3,) * 4, (0.5,) * 3, (0.25,) * 3, Pooled().eval())
    samples = replace(
        random_samples(seed, classes, extractor),
        first=np.ones(24 * classes, bool),
    )
    probe = fit_probe([samples], classes, extractor, GENERAL)
    kept = np.arange(len(samples.classes))
    inputs = torch.cat(_standardized([samples], kept, GENERAL.weights)[2], 1)
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], 1).double().numpy()
    strength = 1 / (GENERAL.ridge * len(inputs))
    oracle = LogisticRegression(C=strength, fit_intercept=False, tol=1e-10, max_iter=5000)
    oracle.fit(inputs, samples.classes)
    logits = probe.get_buffer("bias") + sum(
        features @ probe.get_buffer(f"weight{level}").T
        for level, features in enumerate(samples.features)
    )
    ours = logits.softmax(1).numpy()
    np.testing.assert_allclose(ours, oracle.predict_proba(inputs), atol=0.05)
    assert (ours.argmax(1) == oracle.predict(inputs)).mean() > 0.97


def test_one_class_is_not_enough(extractor):
    samples = random_samples(0, 2, extractor)
    only = replace(samples, classes=np.ones_like(samples.classes))
    assert fit_probe([only], 2, extractor, GENERAL) is None
    assert fit_probe([], 2, extractor, GENERAL) is None


def test_a_class_without_strokes_is_never_predicted(extractor):
    samples = random_samples(1, 2, extractor)
    skipped = replace(samples, classes=2 * samples.classes)
    probe = fit_probe([skipped], 4, extractor, GENERAL)
    logits = probe.predict(torch.randn(1, 3, 40, 50))
    assert logits.shape == (1, 4, 40, 50)
    assert torch.isfinite(logits).all()
    assert set(logits.argmax(1).unique().tolist()) <= {0, 2}


def test_a_rare_class_keeps_its_pixels_among_many_others(extractor):
    samples = random_samples(2, 2, extractor, per_stroke=4)
    crowd = random_samples(3, 2, extractor, per_stroke=3000)
    crowd = replace(crowd, classes=np.zeros_like(crowd.classes))
    probe = fit_probe([crowd, samples], 2, extractor, GENERAL)
    assert probe is not None
    assert len(crowd.classes) > _MOST_PIXELS


@pytest.mark.parametrize("zoom", [1.0, 2.0])
def test_a_probe_predicts_where_its_features_were_sampled(extractor, zoom):
    """Logits of the whole image equal those from features sampled at single pixels."""
    torch.manual_seed(0)
    probe = fit_probe([random_samples(4, 3, extractor)], 3, extractor, GENERAL)
    pixels = torch.randn(1, 3, 64, 96)
    logits = probe.predict(pixels)
    maps = [one[0] for one in feature_maps(extractor, pixels)]
    rows, columns = np.array([0, 13, 40, 63]), np.array([95, 7, 50, 0])
    sampled = probe.get_buffer("bias") + sum(
        sample_map(one, stride, rows, columns) @ probe.get_buffer(f"weight{level}").T
        for level, (one, stride) in enumerate(zip(maps, FEATURE_STRIDES, strict=True))
    )
    torch.testing.assert_close(sampled, logits[0, :, rows, columns].T, atol=1e-3, rtol=1e-3)
    assert probe.predict(pixels, zoom=zoom).shape == (1, 3, 64, 96)


def test_strokes_are_connected_areas_of_one_class():
    target = np.full((20, 30), UNLABELED, np.int16)
    target[2:4, 2:10], target[4:6, 2:10], target[15, 20:] = 1, 0, 1
    strokes = sorted(positions.shape[1] for positions in find_strokes(target))
    assert strokes == [10, 16, 16]
    samples = sample_strokes([torch.zeros(1, 20, 30)] * 6, target, None, 1.0)
    assert len(np.unique(samples.strokes)) == 3
    assert samples.first.all()


@pytest.mark.parametrize(("width", "settings"), [(1, THIN), (3, THIN), (5, GENERAL), (9, GENERAL)])
def test_the_width_of_strokes_chooses_the_zoom(width, settings):
    target = np.full((40, 60), UNLABELED, np.int16)
    target[10 : 10 + width, 5:50], target[30:38, :] = 1, 0
    assert stroke_widths(target) == [width]
    assert choose_settings([target]) == settings
    assert choose_settings([np.full((8, 8), UNLABELED)]) == GENERAL


def labeled(seed=0, shape=(70, 90)):
    """Return a slice with a bright square, and strokes in it and beside it."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, int)
    truth[20:50, 30:60] = 1
    planes = (0.3 + 0.4 * truth + 0.05 * rng.standard_normal(shape)).astype(np.float32)[None]
    target = np.full(shape, UNLABELED, np.int16)
    target[30:36, 35:50], target[5:11, 5:40] = 1, 0
    return LabeledSlice("square", planes, target), truth


def test_a_square_is_learned_from_two_strokes(extractor):
    source, truth = labeled()
    probe = ProbeTrainer(extractor, torch.device("cpu")).fit([source], 2, GENERAL)
    logits = probe.predict(standardized(extractor, torch.from_numpy(source.planes)[None]))
    assert logits.shape == (1, 1, *truth.shape)
    assert ((logits[0, 0] > 0).numpy() == truth).mean() > 0.95


def test_features_of_unchanged_slices_are_kept(extractor, monkeypatch):
    computed = []

    def counted(*arguments):
        computed.append(1)
        return feature_maps(*arguments)

    monkeypatch.setattr(probe_trainer, "feature_maps", counted)
    source, _ = labeled()
    trainer = ProbeTrainer(extractor, torch.device("cpu"))
    first = trainer.fit([source], 2, GENERAL)
    again = trainer.fit([source], 2, GENERAL)
    assert len(computed) == 1
    torch.testing.assert_close(first.get_buffer("bias"), again.get_buffer("bias"))
    more = source.target.copy()
    more[60:64, 10:40] = 0
    changed = trainer.fit([replace(source, target=more)], 2, GENERAL)
    assert len(computed) == 1
    assert not torch.equal(first.get_buffer("bias"), changed.get_buffer("bias"))
    trainer.fit([replace(source, planes=source.planes.copy())], 2, GENERAL)
    trainer.fit([source], 2, THIN)
    assert len(computed) == 3


def test_maps_of_the_parts_that_changed_last_are_kept(extractor, monkeypatch):
    monkeypatch.setattr(probe_trainer, "_MOST_MAPS", 2)
    sources = [replace(labeled(seed)[0], name=f"square {seed}") for seed in range(4)]
    trainer = ProbeTrainer(extractor, torch.device("cpu"))
    first = trainer.fit(sources, 2, GENERAL)
    kept = [part.planes for part in trainer._cache.values() if part.maps is not None]
    assert len(kept) == 2
    assert all(one is source.planes for one, source in zip(kept, sources[2:], strict=True))
    again = ProbeTrainer(extractor, torch.device("cpu"))
    more = sources[0].target.copy()
    more[60:64, 10:40] = 0
    changed = [replace(sources[0], target=more), *sources[1:]]
    torch.testing.assert_close(
        trainer.fit(changed, 2, GENERAL).get_buffer("bias"),
        again.fit(changed, 2, GENERAL).get_buffer("bias"),
    )
    assert not torch.equal(first.get_buffer("bias"), again.fit(changed, 2, GENERAL).bias)


def test_an_extractor_on_another_device_is_a_copy(extractor):
    assert extractor.to(torch.device("cpu")) is extractor
    other = extractor.to(torch.device("meta"))
    assert next(other.encoder.parameters()).is_meta
    assert not next(extractor.encoder.parameters()).is_meta


def test_slices_of_one_name_are_learned_both(extractor):
    """The strokes of one class are on one image, those of the other on another of that name."""
    source, truth = labeled()
    strokes = source.target
    inside = replace(source, target=np.where(strokes == 1, 1, UNLABELED))
    outside = replace(labeled(1)[0], target=np.where(strokes == 0, 0, UNLABELED))
    same_planes = replace(source, target=np.where(strokes == 0, 0, UNLABELED))
    for other in (outside, same_planes):
        trainer = ProbeTrainer(extractor, torch.device("cpu"))
        probe = trainer.fit([inside, other], 2, GENERAL)
        logits = probe.predict(standardized(extractor, torch.from_numpy(source.planes)[None]))
        assert ((logits[0, 0] > 0).numpy() == truth).mean() > 0.95


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("zoom", [1.0, 1.5])
def test_an_ensemble_averages_probabilities(extractor, classes, zoom):
    samples = random_samples(2, classes, extractor)
    probes = [fit_probe([samples], classes, extractor, one) for one in (GENERAL, FINE)]
    image = torch.randn(2, 3, 40, 50)
    logits = ProbeEnsemble(probes, [1.0, 2.0]).predict(image, zoom=zoom)
    outputs = [probes[0].predict(image, zoom=zoom), probes[1].predict(image, zoom=2 * zoom)]
    expected = sum(class_probabilities(output) for output in outputs) / 2
    torch.testing.assert_close(class_probabilities(logits), expected, atol=1e-4, rtol=0)
    assert logits.isfinite().all()


def test_thick_strokes_have_two_views_and_thin_ones_one():
    thick, thin = (np.full((20, 20), UNLABELED) for _ in range(2))
    thick[4:10, 4:10], thin[4, 4:10] = 1, 1
    assert choose_views([thick]) == (GENERAL, FINE)
    assert choose_views([thin]) == (THIN,)
