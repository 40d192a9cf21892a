"""How a network is trained, as frozen data, and the presets."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

LossName = Literal["ce_dice", "bce_dice", "unified", "asymmetric_unified", "weighted_bce_iou"]
SupervisionName = Literal["mutation", "deep", "last", "deep_and_sum", "learned"]
TeacherName = Literal["ema", "initial", "probe", "consensus"]
Trainable = Literal["all", "stage2", "stage3", "stage4", "decoder"]


_RENAMED = {"sure": "confidence", "grey": "gray"}
_RENAMED_TEACHERS = {"mean": "ema", "start": "initial", "agreed": "consensus"}
"""Names of settings and teachers in releases before 0.2, still read from files and commands."""


def with_current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as saved or typed, with names of earlier releases replaced.

    Parameters
    ----------
    settings
        Values by field name of `TrainingConfig` or `Augmentation`, nested or not.
    """
    current = {_RENAMED.get(name, name): value for name, value in settings.items()}
    if current.get("teacher") in _RENAMED_TEACHERS:
        current["teacher"] = _RENAMED_TEACHERS[current["teacher"]]
    if isinstance(current.get("augmentation"), dict):
        current["augmentation"] = with_current_names(current["augmentation"])
    return current


def suggest_names(names: Iterable[str], possible: Collection[str]) -> str:
    """Return in brackets whether others were meant by these names; "" where none is near."""
    near = [each for name in sorted(names) for each in get_close_matches(name, possible, n=1)]
    return f" (did you mean {', '.join(near)}?)" if near else ""


def _check(right: bool, name: str, value: object, expected: object) -> None:
    if not right:
        expected = " or ".join(expected) if isinstance(expected, tuple) else expected
        raise ValueError(f"{name} is {value!r}; it must be {expected}.")


_KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "tuple[float, float]": "two numbers, such as [0.5, 2]",
    "tuple[float, ...]": "numbers, such as [0.75, 1, 1.25]",
}


def _check_kinds(config: Augmentation | TrainingConfig) -> None:
    """Refuse values of another type than their field's, before they are compared with bounds."""
    for each in fields(config):
        kind, value = str(each.type).removesuffix(" | None"), getattr(config, each.name)
        if kind in _KINDS and not (value is None and kind != each.type):
            _check(_is_of(kind, value), each.name, value, _KINDS[kind])


def _is_of(kind: str, value: object) -> bool:
    if kind.startswith("tuple"):
        several = isinstance(value, (tuple, list)) and all(_is_of("float", v) for v in value)
        return several and (kind.endswith("...]") or len(value) == 2)  # type: ignore[arg-type]
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    return isinstance(value, int if kind == "int" else (int, float)) and isfinite(value)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What happens to a crop before it is trained on; all off by default.

    Parameters
    ----------
    scale
        Least and largest zoom; drawn evenly over its logarithm.
    rotate
        Degrees to either side; half of the crops are turned.
    shear
        Degrees to either side.
    flip
        Whether crops are mirrored and turned by right angles.
    brightness, contrast, saturation
        Largest relative change.
    hue
        Largest shift, in turns of the color circle (at most 0.5).
    gamma
        Largest factor on the exponent, 1 for none.
    blur
        Largest Gaussian sigma, in pixels.
    noise
        Largest standard deviation, where the image's range is 0 … 1.
    invert, gray, permute
        Chances that values are inverted, colors dropped, channels shuffled.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    rotate: float = 0.0
    shear: float = 0.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    gamma: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    invert: float = 0.0
    gray: float = 0.0
    permute: float = 0.0

    def __post_init__(self) -> None:
        _check_kinds(self)
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))
        low, high = self.scale
        _check(0 < low <= high, "scale", self.scale, "two positive numbers, the smaller one first")
        _check(0 <= self.hue <= 0.5, "hue", self.hue, "0 to 0.5")
        _check(self.gamma >= 1, "gamma", self.gamma, "at least 1")
        for name in ("invert", "gray", "permute", "brightness", "contrast", "saturation"):
            _check(0 <= getattr(self, name) <= 1, name, getattr(self, name), "0 to 1")
        for name in ("rotate", "shear", "blur", "noise"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides how a network is trained; saved with the result.

    Parameters
    ----------
    loss, supervision
        What is minimized, and on which maps; see `training.losses` and `training.supervision`.
    learning_rate, weight_decay
        Of AdamW; norms and biases are not decayed.
    encoder_rate
        Factor on the encoder's learning rate.
    epochs
        Passes; in one as many crops are drawn as there are slices, or `crops_per_epoch`.
    crops_per_epoch
        None takes the number of slices.
    batch
        Crops at once.
    crop
        Side of a crop in pixels.
    scales
        Sizes that each batch is brought to one after another, relative to `crop`.
    warm_up
        Share of the steps in which the rate rises from 0.
    cosine
        Whether the rate falls to 0 along a cosine; else it stays.
    clip
        Largest norm of the gradient; 0 does not clip.
    ema
        Decay of the running mean of the weights, which is what is validated and kept; 0 is off.
    drop_path
        Stochastic depth of the encoder.
    train
        ``"decoder"`` alone; with it the encoder's ``"stage4"`` (the deepest), that and
        ``"stage3"``, those and ``"stage2"``; or ``"all"``.
    pool
        How many different crops there are; None draws anew in each step. With a frozen encoder
        its maps of a pool's crops are kept, so that a step costs the decoder alone.
    recent
        Share of crops that are centered on what was painted last, as long as there is such.
    pseudo
        Weight of what is taught where nothing is painted.
    teacher
        Source of the pseudo-labels: ``"ema"``, confident predictions of the running mean of the
        weights (needs `ema`; the weight rises from 0 over the first third of the steps);
        ``"initial"``, predictions of the network as it was before the training; ``"probe"``, a
        linear classifier on its features, fitted to the annotated pixels; ``"consensus"``, the
        pixels on which the last two agree.
    confidence
        Probability above which a prediction of the running mean becomes a pseudo-label.
    boundary
        Weight of the term that pulls borders of the prediction to those of the image.
    freeze_norm_below
        Batches smaller than this leave the statistics of batch norms alone.
    foreground
        Share of crops that are centered on an object, classes taking turns.
    balance
        How many times the pixels of the rarest class others have at most in a batch; 0 leaves
        them. Strokes are drawn where something is wrong, so their areas say nothing.
    mixed_precision
        Whether to compute in bfloat16 where the processor has it.
    validate_every
        Epochs between two validations.
    seed
        Of everything random.
    augmentation
        What happens to crops.
    """

    loss: LossName = "bce_dice"
    supervision: SupervisionName = "deep_and_sum"
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    encoder_rate: float = 1.0
    epochs: int = 100
    crops_per_epoch: int | None = None
    batch: int = 8
    crop: int = 256
    scales: tuple[float, ...] = (1.0,)
    warm_up: float = 0.05
    cosine: bool = True
    clip: float = 0.0
    ema: float = 0.0
    drop_path: float = 0.1
    train: Trainable = "all"
    pool: int | None = None
    recent: float = 0.5
    pseudo: float = 0.0
    teacher: TeacherName = "ema"
    confidence: float = 0.9
    boundary: float = 0.0
    freeze_norm_below: int = 4
    foreground: float = 0.5
    balance: float = 0.0
    mixed_precision: bool = True
    validate_every: int = 1
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        _check_kinds(self)
        object.__setattr__(self, "scales", tuple(map(float, self.scales)))
        if isinstance(self.augmentation, dict):
            augmentation = Augmentation(**with_current_names(self.augmentation))
            object.__setattr__(self, "augmentation", augmentation)
        augmented = isinstance(self.augmentation, Augmentation)
        _check(augmented, "augmentation", self.augmentation, "set by the names of its own settings")
        _check(self.seed >= 0, "seed", self.seed, "at least 0")
        for name, kind in (
            ("loss", LossName),
            ("supervision", SupervisionName),
            ("train", Trainable),
            ("teacher", TeacherName),
        ):
            _check(getattr(self, name) in get_args(kind), name, getattr(self, name), get_args(kind))
        _check(self.crop >= 32 and self.crop % 32 == 0, "crop", self.crop, "a multiple of 32")
        _check(bool(self.scales) and min(self.scales) > 0, "scales", self.scales, "positive")
        for name in ("epochs", "batch", "validate_every"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        crops = self.crops_per_epoch
        _check(crops is None or crops >= 1, "crops_per_epoch", crops, "at least 1")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "positive")
        _check(self.pool is None or self.pool >= 1, "pool", self.pool, "at least 1")
        meanless = self.teacher == "ema" and not self.ema
        _check(not (self.pseudo and meanless), "pseudo", self.pseudo, "0 without ema")
        _check(0.5 <= self.confidence < 1, "confidence", self.confidence, "0.5 to below 1")
        for name in ("warm_up", "ema", "drop_path"):
            _check(0 <= getattr(self, name) < 1, name, getattr(self, name), "0 to below 1")
        for name in ("foreground", "recent"):
            _check(0 <= getattr(self, name) <= 1, name, getattr(self, name), "0 to 1")
        for name in ("weight_decay", "clip", "encoder_rate", "pseudo", "boundary", "balance"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")

    def replace(self, **changes: Any) -> TrainingConfig:
        """Return this with some fields changed; those of `Augmentation` may be named as well.

        Raises
        ------
        ValueError
            If a name is unknown or a value is out of bounds.
        """
        changes = with_current_names(changes)
        inner = {each.name for each in fields(Augmentation)}
        own = {each.name for each in fields(TrainingConfig)}
        unknown = sorted(set(changes) - inner - own)
        if unknown:
            possible = ", ".join(sorted(own | inner))
            raise ValueError(
                f"{', '.join(unknown)} is no setting; possible are {possible}"
                f"{suggest_names(unknown, own | inner)}."
            )
        augmentation = replace(
            self.augmentation, **{k: v for k, v in changes.items() if k in inner}
        )
        outer = {k: v for k, v in changes.items() if k in own}
        return replace(self, **{"augmentation": augmentation, **outer})


def parse_settings(text: str) -> dict[str, Any]:
    """Return settings out of a text such as ``flip=false, scale=[0.5, 2]``.

    Raises
    ------
    ValueError
        If a part is not of the form name=value.
    """
    settings = {}
    for part in re.split(r",(?![^\[]*\])", text):
        name, found, value = (each.strip() for each in part.partition("="))
        if found and name:
            settings[name] = parse_value(value)
        elif part.strip():
            raise ValueError(f"{part.strip()!r} is not of the form name=value.")
    return settings


_NOT_PYTHON = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


def parse_value(text: str) -> Any:
    """Return a setting's value: JSON or Python if it is, else the text; lists become tuples."""
    for parse, refusals in ((json.loads, (ValueError,)), (ast.literal_eval, _NOT_PYTHON)):
        try:
            value = parse(text)
        except refusals:
            continue
        return tuple(value) if isinstance(value, list) else value
    return text


_MICROSCOPY = Augmentation(
    scale=(0.5, 2.0),
    rotate=180,
    shear=8,
    flip=True,
    brightness=0.25,
    contrast=0.3,
    saturation=0.4,
    hue=0.1,
    gamma=2.0,
    blur=1.5,
    noise=0.06,
    invert=0.12,
    gray=0.2,
    permute=0.1,
)
_FLIPS = Augmentation(flip=True, rotate=20)
_SCRIBBLES = TrainingConfig(
    loss="ce_dice",
    supervision="deep_and_sum",
    learning_rate=3e-4,
    encoder_rate=0.1,
    epochs=1,
    crops_per_epoch=160,
    batch=2,
    warm_up=0.1,
    clip=1.0,
    ema=0.97,
    drop_path=0.0,
    pseudo=5.0,
    teacher="probe",
    freeze_norm_below=10**6,
    foreground=1.0,
    balance=2.0,
    augmentation=Augmentation(flip=True, brightness=0.1, contrast=0.1),
)

PRESETS: dict[str, TrainingConfig] = {
    "paper-polyp": TrainingConfig(
        loss="weighted_bce_iou",
        supervision="deep_and_sum",
        epochs=200,
        batch=16,
        crop=352,
        scales=(0.75, 1.0, 1.25),
        warm_up=0.0,
        clip=0.5,
        foreground=0.0,
        augmentation=_FLIPS,
    ),
    "paper-ct": TrainingConfig(
        loss="ce_dice",
        supervision="mutation",
        epochs=200,
        batch=16,
        crop=224,
        warm_up=0.0,
        foreground=0.0,
        augmentation=_FLIPS,
    ),
    "seed-dice": TrainingConfig(
        loss="ce_dice", supervision="deep", learning_rate=5e-5, foreground=0.0, augmentation=_FLIPS
    ),
    "seed-unified": TrainingConfig(
        loss="unified", supervision="deep", learning_rate=5e-5, foreground=0.0, augmentation=_FLIPS
    ),
    "scribbles": _SCRIBBLES,
    "scribbles-from-nothing": _SCRIBBLES.replace(
        learning_rate=1e-3, encoder_rate=1.0, crops_per_epoch=320
    ),
    "from-scratch": TrainingConfig(
        loss="bce_dice",
        supervision="deep_and_sum",
        learning_rate=1e-3,
        weight_decay=0.02,
        epochs=200,
        warm_up=0.05,
        clip=1.0,
        ema=0.998,
        drop_path=0.05,
        validate_every=5,
        augmentation=_MICROSCOPY,
    ),
}
"""By name; the papers' protocols, this project's, and the ones in between."""
