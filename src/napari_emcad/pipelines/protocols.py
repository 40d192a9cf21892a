"""The papers' protocols: data set, training, and the scores that they report, as frozen values.

Sources of the values, by the letters in `Recipe.source`:

a. EMCAD (arXiv 2405.06880), section 4.1 and supplement: AdamW, rate and decay 1e-4; 200 epochs,
   batch 16, Synapse 300 and 6; 352² at three scales with clip 0.5 for polyps and skin, 256² for
   ultrasound, 224² for CT and MR; 0.3 cross-entropy + 0.7 Dice, or weighted BCE + IoU; splits of
   80 : 10 : 10 for the binary data sets, 18 and 12 scans of Synapse.
b. Preprocessing of the published networks: 0 … 255 with ImageNet's mean and deviation; CT in
   −125 … 275 HU brought to 0 … 1 by the files themselves (TransUNet, datasets/README.md).
c. The replication that this project started from: AdamW 5e-5, batch 8, 80 : 20, four heads with
   0.7 Dice + 0.3 cross-entropy, or with 0.5 Dice + 0.5 focal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_emcad.io.datasets.acdc import HEART
from napari_emcad.io.datasets.synapse import ORGANS
from napari_emcad.training.settings import suggest_names

if TYPE_CHECKING:
    from collections.abc import Mapping

Report = Literal["volumes", "sweep", "confusion", "overlap"]

_GRAY = {"input_channels": 1, "mean": (0.0,), "std": (1.0,), "size": 224}
_RGB = {"intensity": "range", "low": 0.0, "high": 255.0}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training.

    Attributes
    ----------
    preset
        Name of the training configuration, see `napari_emcad.training.presets`.
    model
        Settings of the checkpoint to start from, as for `Checkpoint.override`.
    hold_out
        Share of the images that selects the epoch, if the data set names no part for it.
    source
        Where the values come from, in letters of this module's docstring.
    test_share
        Share of the images that the source keeps for testing.
    """

    preset: str
    model: Mapping[str, Any]
    hold_out: float
    source: str
    test_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Protocol:
    """A data set as a paper trains on it and scores it.

    Attributes
    ----------
    title
        Name of the data.
    report
        Scores: of ``"volumes"`` Dice and HD95 by class; the ``"sweep"`` of thresholds; those of
        the ``"confusion"`` matrix; or the ``"overlap"`` alone.
    classes
        Names of the classes; empty for one class of any name.
    stretch
        Whether the probabilities of an image are stretched to 0 … 1, as published.
    recipes
        Trainings by name; the first is the default.
    """

    title: str
    report: Report
    recipes: Mapping[str, Recipe]
    classes: tuple[str, ...] = ()
    stretch: bool = False


def _binary(preset: str, size: int, seed: bool) -> dict[str, Recipe]:
    """Return the recipes of a data set of color pictures with one class."""
    recipes = {"paper": Recipe(preset, {**_RGB, "size": size}, 0.1, "a, b", test_share=0.1)}
    if seed:
        model = {**_RGB, "size": 256}
        recipes["seed-dice"] = Recipe("seed-dice", model, 0.2, "c")
        recipes["seed-unified"] = Recipe("seed-unified", model, 0.2, "c")
    return recipes


PROTOCOLS: dict[str, Protocol] = {
    "synapse": Protocol(
        "Synapse (abdominal CT)",
        "volumes",
        {
            "paper": Recipe(
                "paper-synapse", {**_GRAY, "intensity": "range", "low": 0, "high": 1}, 0.1, "a, b"
            )
        },
        ORGANS,
    ),
    "acdc": Protocol(
        "ACDC (cardiac MR)",
        "volumes",
        {"paper": Recipe("paper-ct", {**_GRAY, "intensity": "none"}, 0.1, "a, b")},
        HEART,
    ),
    "polyp": Protocol("polyps", "sweep", _binary("paper-polyp", 352, seed=True), stretch=True),
    "isic": Protocol("ISIC (skin lesions)", "confusion", _binary("paper-polyp", 352, seed=False)),
    "busi": Protocol("BUSI (breast ultrasound)", "overlap", _binary("paper-256", 256, seed=True)),
}
"""The protocols by name."""


def find_protocol(name: str) -> Protocol:
    """Return a protocol.

    Raises
    ------
    ValueError
        If there is none of the name.
    """
    if name not in PROTOCOLS:
        raise ValueError(
            f"There is no protocol {name}; choose one of {', '.join(PROTOCOLS)}"
            f"{suggest_names([name], PROTOCOLS)}."
        )
    return PROTOCOLS[name]


def find_recipe(protocol: str, name: str | None = None) -> Recipe:
    """Return a training of a protocol; None is the first.

    Raises
    ------
    ValueError
        If there is none of the name.
    """
    recipes = find_protocol(protocol).recipes
    if name is None:
        return next(iter(recipes.values()))
    if name not in recipes:
        raise ValueError(
            f"The protocol {protocol} has no recipe {name}; choose one of {', '.join(recipes)}."
        )
    return recipes[name]
