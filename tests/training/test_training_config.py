"""Settings are frozen data with bounds; presets are what the papers say."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict

import pytest

from napari_emcad.training.config import TrainingConfig
from napari_emcad.training.presets import PRESETS


def test_presets_are_those_of_their_sources():
    polyp, ct = PRESETS["paper-polyp"], PRESETS["paper-ct"]
    assert (polyp.learning_rate, polyp.weight_decay, polyp.epochs, polyp.batch) == (
        1e-4,
        1e-4,
        200,
        16,
    )
    assert (polyp.crop, polyp.scales, polyp.clip) == (352, (0.75, 1.0, 1.25), 0.5)
    assert (polyp.loss, polyp.supervision) == ("weighted_bce_iou", "deep_and_sum")
    assert (ct.loss, ct.supervision, ct.crop) == ("ce_dice", "mutation", 224)
    for name in ("seed-dice", "seed-unified"):
        assert (PRESETS[name].learning_rate, PRESETS[name].batch) == (5e-5, 8)
    assert PRESETS["seed-unified"].loss == "unified"
    assert set(PRESETS) >= {"scribbles", "from-scratch"}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json_like_values(name):
    assert TrainingConfig(**asdict(PRESETS[name])) == PRESETS[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "mse"),
        ("supervision", "none"),
        ("learning_rate", 0),
        ("epochs", 0),
        ("batch", 0),
        ("crop", 100),
        ("crop", 0),
        ("scales", ()),
        ("scales", (0,)),
        ("ema", 1),
        ("warm_up", -0.1),
        ("foreground", 2),
        ("clip", -1),
        ("train", "head"),
        ("crops_per_epoch", 0),
        ("scale", (2, 1)),
        ("hue", 0.7),
        ("gamma", 0.5),
        ("invert", 1.5),
        ("noise", -1),
        ("drop_path", 1),
    ],
)
def test_values_out_of_bounds_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        TrainingConfig().replace(**{name: value})


def test_changes_reach_the_augmentation_and_unknown_names_are_refused():
    changed = TrainingConfig().replace(epochs=3, flip=True, scale=(0.5, 1))
    assert (changed.epochs, changed.augmentation.flip, changed.augmentation.scale) == (
        3,
        True,
        (0.5, 1),
    )
    with pytest.raises(ValueError, match="epoch is no setting; possible are"):
        TrainingConfig().replace(epoch=3)


def test_a_configuration_is_frozen():
    with pytest.raises(FrozenInstanceError):
        PRESETS["paper-ct"].epochs = 1


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("flip", "maybe", "true or false"),
        ("flip", 1, "true or false"),
        ("cosine", "no", "true or false"),
        ("epochs", 1.5, "a whole number"),
        ("epochs", True, "a whole number"),
        ("epochs", None, "a whole number"),
        ("crops_per_epoch", "many", "a whole number"),
        ("pool", 2.5, "a whole number"),
        ("learning_rate", "abc", "a number"),
        ("learning_rate", float("nan"), "a number"),
        ("blur", "strong", "a number"),
        ("scale", 3, "two numbers"),
        ("scale", (1, 2, 3), "two numbers"),
        ("scale", "12", "two numbers"),
        ("scales", 1.25, "numbers, such as"),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_expected_one(name, value, expected):
    with pytest.raises(ValueError, match=f"^{name} is .*must be {expected}"):
        TrainingConfig().replace(**{name: value})


def test_optional_settings_take_none():
    assert TrainingConfig(pool=4).replace(pool=None, crops_per_epoch=None).pool is None


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("augmentation", 5)])
def test_what_would_fail_later_is_refused_at_once(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}"):
        TrainingConfig().replace(**{name: value})
