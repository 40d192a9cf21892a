"""The checkpoint that ``napari-emcad train`` starts from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import UsageError, as_usage_error, show_progress
from napari_emcad.cli.options import load_checkpoint

if TYPE_CHECKING:
    import argparse

    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

NOTHING, GENERAL, IMAGENET = "nothing", "general", "imagenet"
"""Values of ``--start`` besides file names."""

_DEFAULT_ENCODER = "pvt_v2_b0"


def start_checkpoint(args: argparse.Namespace) -> Checkpoint:
    """Return the checkpoint that ``--start`` names, with the settings of ``--model``.

    Raises
    ------
    UsageError
        If it cannot be opened or downloaded, or a setting is invalid.
    """
    settings = dict(args.model)
    return as_usage_error(_unchanged_start(args.start, settings).override, **settings)


def _unchanged_start(start: str, settings: dict[str, Any]) -> Checkpoint:
    """Return the checkpoint that ``--start`` names; take the encoder out of `settings` if used."""
    from napari_emcad.io.checkpoints.general import general_checkpoint
    from napari_emcad.io.checkpoints.sniff import EncoderOnlyError

    word, _, encoder = start.partition(":")
    if start == NOTHING:
        return _untrained(encoder=settings.pop("encoder", _DEFAULT_ENCODER))
    if start == GENERAL:
        return general_checkpoint().override(zoom=1.0)
    if word == IMAGENET:
        return _untrained(_download(encoder or settings.pop("encoder", _DEFAULT_ENCODER)))
    try:
        return load_checkpoint(Path(start) if start else None, [])
    except UsageError as error:
        if not isinstance(error.__cause__, EncoderOnlyError):
            raise
        return _untrained(start)


def _untrained(encoder_file: Path | str | None = None, **config: Any) -> Checkpoint:
    """Return an untrained network for images of any size and any range of intensities."""
    from napari_emcad.io.checkpoints.initialize import initialize_checkpoint

    checkpoint = as_usage_error(initialize_checkpoint, encoder_file, **config)
    return checkpoint.override(intensity="percentile", low=0.5, high=99.5, size=None)


def _download(encoder: str) -> Path:
    """Return the file of an encoder with ImageNet weights, with progress on the terminal."""
    from napari_emcad.io.checkpoints.hub import hub_encoder

    def progress(done: int, total: int) -> None:
        show_progress(f"{encoder}: {done / 1e6:.1f} of {total / 1e6:.1f} MB", last=done == total)

    return as_usage_error(hub_encoder, encoder, progress)
