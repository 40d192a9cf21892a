"""Training configuration as frozen data; see `presets` for named configurations."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_emcad.model.checks import check_value
from napari_emcad.training.settings import check_bounds, check_types, suggest_names

if TYPE_CHECKING:
    from collections.abc import Mapping

LossName = Literal["ce_dice", "bce_dice", "unified", "asymmetric_unified", "weighted_bce_iou"]
SupervisionName = Literal["mutation", "deep", "last", "deep_and_sum", "learned"]
TeacherName = Literal["ema", "initial", "probe", "consensus"]
Trainable = Literal["all", "stage2", "stage3", "stage4", "decoder"]

_CHOICES = {
    "loss": LossName,
    "supervision": SupervisionName,
    "train": Trainable,
    "teacher": TeacherName,
}

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


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random changes of a crop before it is trained on; all off by default.

    Parameters
    ----------
    scale
        Least and largest zoom; drawn uniformly over its logarithm.
    rotate
        Largest rotation in degrees to either side, of half of the crops.
    shear
        Largest shear in degrees to either side, of half of the crops.
    flip
        Whether crops are mirrored and rotated by right angles.
    brightness, contrast, saturation
        Largest relative change.
    hue
        Largest shift, in turns of the color circle (at most 0.5).
    gamma
        Largest factor on the exponent, 1 for none.
    stain
        Largest relative change of the amounts of hematoxylin, eosin and DAB.
    blur
        Largest Gaussian sigma, in pixels.
    noise
        Largest standard deviation, where the image's range is 0 … 1.
    invert, gray, permute
        Probabilities that values are inverted, colors dropped, channels shuffled.

    Raises
    ------
    ValueError
        If a value is out of bounds.
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
    stain: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    invert: float = 0.0
    gray: float = 0.0
    permute: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))
        low, high = self.scale
        expected = "two positive numbers, the smaller one first"
        check_value(0 < low <= high, "scale", self.scale, expected)
        check_bounds(self, ("hue",), 0, 0.5)
        check_bounds(self, ("gamma",), 1, None)
        shares = ("invert", "gray", "permute", "brightness", "contrast", "saturation", "stain")
        check_bounds(self, shares, 0, 1)
        check_bounds(self, ("rotate", "shear", "blur", "noise"), 0, None)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides how a network is trained; saved with the result.

    Parameters
    ----------
    loss, supervision
        Loss function, and the maps that it is computed on; see `training.losses` and
        `training.supervision`.
    learning_rate, weight_decay
        Settings of AdamW; norms and biases are not decayed.
    encoder_rate
        Factor on the learning rate of the encoder.
    epochs
        Number of epochs; an epoch draws as many crops as there are slices, or `crops_per_epoch`.
    crops_per_epoch
        Number of crops of an epoch; None takes the number of slices.
    batch
        Number of crops in a batch.
    crop
        Side of a crop in pixels.
    scales
        Sizes that a batch is resized to one after another, relative to `crop`.
    warm_up
        Share of the steps in which the learning rate rises from 0.
    cosine
        Whether the learning rate falls to 0 along a cosine; else it stays constant.
    clip
        Largest norm of the gradient; 0 does not clip.
    ema
        Decay of the exponential moving average (EMA) of the weights, which is validated and saved;
        0 is off.
    drop_path
        Stochastic depth of the encoder.
    train
        Part that is trained: the ``"decoder"`` alone; the encoder's deepest ``"stage4"`` as well;
        from ``"stage3"`` or ``"stage2"`` on; or ``"all"``.
    pool
        Number of different crops; None draws new ones in every step. With a frozen encoder its maps
        of the pool's crops are cached, so that a step costs the decoder alone.
    recent
        Share of crops that are centered on the latest strokes, if there are any.
    pseudo
        Weight of the pseudo-labels of pixels that are not annotated.
    teacher
        Source of the pseudo-labels: ``"ema"``, confident predictions of the EMA network (needs
        `ema`; the weight rises from 0 over the first third of the steps); ``"initial"``,
        predictions of the network as it was before the training; ``"probe"``, a linear classifier
        on its features, fitted to the annotated pixels; ``"consensus"``, the pixels on which the
        last two agree.
    confidence
        Probability above which a prediction of the EMA network becomes a pseudo-label.
    boundary
        Weight of the loss that aligns borders of the prediction with those of the image.
    freeze_norm_below
        Batch size below which the running statistics of batch norms are frozen.
    foreground
        Share of crops that are centered on an object, classes taking turns.
    balance
        Largest ratio of the pixels of a class to those of the rarest class in a batch; 0 does not
        balance. Strokes are drawn where a model is wrong, so their areas mean nothing.
    mixed_precision
        Whether to compute in bfloat16 where the processor has it.
    validate_every
        Number of epochs between two validations.
    seed
        Seed of everything random.
    augmentation
        Random changes of crops.

    Raises
    ------
    ValueError
        If a value is out of bounds.
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
        check_types(self)
        object.__setattr__(self, "scales", tuple(map(float, self.scales)))
        if isinstance(self.augmentation, dict):
            augmentation = Augmentation(**with_current_names(self.augmentation))
            object.__setattr__(self, "augmentation", augmentation)
        is_augmentation = isinstance(self.augmentation, Augmentation)
        self._check("augmentation", is_augmentation, "set by the names of its own settings")
        for name, choices in _CHOICES.items():
            self._check(name, getattr(self, name) in get_args(choices), get_args(choices))
        self._check("crop", self.crop >= 32 and self.crop % 32 == 0, "a multiple of 32")
        self._check("scales", bool(self.scales) and min(self.scales) > 0, "positive")
        self._check("learning_rate", self.learning_rate > 0, "positive")
        ema_is_missing = self.teacher == "ema" and not self.ema
        self._check("pseudo", not (self.pseudo and ema_is_missing), "0 without ema")
        self._check("confidence", 0.5 <= self.confidence < 1, "0.5 to below 1")
        for name in ("warm_up", "ema", "drop_path"):
            self._check(name, 0 <= getattr(self, name) < 1, "0 to below 1")
        for name in ("crops_per_epoch", "pool"):
            if getattr(self, name) is not None:
                check_bounds(self, (name,), 1, None)
        check_bounds(self, ("epochs", "batch", "validate_every"), 1, None)
        check_bounds(self, ("foreground", "recent"), 0, 1)
        weights = ("weight_decay", "clip", "encoder_rate", "pseudo", "boundary", "balance")
        check_bounds(self, ("seed", *weights), 0, None)

    def _check(self, name: str, valid: bool, expected: str | tuple[str, ...]) -> None:
        check_value(valid, name, getattr(self, name), expected)

    def replace(self, **changes: Any) -> TrainingConfig:
        """Return a copy with some fields changed; those of `Augmentation` may be named as well.

        Raises
        ------
        ValueError
            If a name is unknown or a value is out of bounds.
        """
        changes = with_current_names(changes)
        inner = {setting.name for setting in fields(Augmentation)}
        own = {setting.name for setting in fields(TrainingConfig)}
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
