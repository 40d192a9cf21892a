"""The settings of ``napari-emcad train --protocol``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.cli.console import UsageError, as_usage_error
from napari_emcad.cli.training_start import IMAGENET

if TYPE_CHECKING:
    import argparse

    from napari_emcad.cli.labeled_files import TrainingFiles
    from napari_emcad.pipelines.protocols import Recipe
    from napari_emcad.training.config import TrainingConfig


def apply_protocol(args: argparse.Namespace) -> Recipe | None:
    """Fill in what ``--protocol`` and ``--recipe`` choose; other options on the line win.

    Raises
    ------
    UsageError
        If there is no such protocol or recipe.
    """
    from napari_emcad.pipelines.protocols import find_recipe

    if args.protocol is None:
        if args.recipe is not None:
            raise UsageError("--recipe is of a protocol; name it with --protocol, such as polyp.")
        return None
    recipe = as_usage_error(find_recipe, args.protocol, args.recipe)
    args.preset = args.preset or recipe.preset
    args.model = [*recipe.model.items(), *args.model]
    return recipe


def describe_recipe(
    args: argparse.Namespace,
    recipe: Recipe | None,
    config: TrainingConfig,
    files: TrainingFiles,
) -> list[str]:
    """Return the settings of a protocol, and what is left to the user, as text."""
    if recipe is None:
        return []
    model = ", ".join(f"{name} {value}" for name, value in dict(args.model).items())
    remarks = [
        f"protocol {args.protocol}: preset {args.preset}, {config.epochs} epochs, batch "
        f"{config.batch}, crop {config.crop}, rate {config.learning_rate:g}; {model}."
    ]
    if not args.start.startswith(IMAGENET):
        remarks.append(
            f"The paper starts from an encoder with ImageNet weights, such as --start "
            f"{IMAGENET}:pvt_v2_b2; this training does not unless --start names such a file."
        )
    if recipe.test_share and "test" not in files.found.splits:
        remarks.append(
            f"The paper keeps {recipe.test_share:.0%} of the images for testing; this data set "
            f"names no such part, so keep them elsewhere, or list all parts in train.txt, "
            f"val.txt and test.txt."
        )
    return remarks


def default_share(args: argparse.Namespace, otherwise: float) -> float:
    """Return the share of images to hold out: of the command line, the protocol, or `otherwise`."""
    from napari_emcad.pipelines.protocols import find_recipe

    if args.hold_out is not None:
        return float(args.hold_out)
    if args.protocol is None:
        return otherwise
    return as_usage_error(find_recipe, args.protocol, args.recipe).hold_out


def protocol_classes(args: argparse.Namespace) -> tuple[str, ...] | None:
    """Return the names of the classes of the protocol; None if it has none of several."""
    from napari_emcad.pipelines.protocols import find_protocol

    if args.protocol is None:
        return None
    return as_usage_error(find_protocol, args.protocol).classes or None
