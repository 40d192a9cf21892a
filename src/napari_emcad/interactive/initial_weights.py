"""The weights that a training starts from, as the training form names them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_emcad.inference.events import Notice
from napari_emcad.interactive.familiarity import task_familiarity, unfamiliar_message
from napari_emcad.interactive.samples import read_planes
from napari_emcad.io.checkpoints.files import is_bundled
from napari_emcad.io.checkpoints.general import general_checkpoint
from napari_emcad.io.checkpoints.heads import with_class_labels
from napari_emcad.io.checkpoints.hub import hub_encoder
from napari_emcad.io.checkpoints.initialize import initialize_checkpoint
from napari_emcad.training.presets import PRESETS

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari_emcad.interactive.familiarity import Familiarity
    from napari_emcad.interactive.plane_cache import PlaneCache
    from napari_emcad.interactive.task import TrainingSettings, TrainingTask
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint


def initial_checkpoint(
    checkpoint: Checkpoint, settings: TrainingSettings, stop: threading.Event
) -> Generator[Notice, None, Checkpoint]:
    """Return the checkpoint to start from; an encoder is downloaded or read if it is needed.

    Parameters
    ----------
    checkpoint
        The open model. The new one has its classes and its preprocessing, with one exception: the
        general network standardizes channels as it was trained to.
    settings
        Values of the training form.
    stop
        Ends a download.
    """
    if settings.start in ("automatic", "model"):
        return checkpoint
    if settings.start == "general":
        return general_like(checkpoint)
    encoder, channels = checkpoint.config.encoder, checkpoint.config.input_channels
    if settings.start == "nothing":
        fresh = initialize_checkpoint(encoder=encoder, input_channels=channels)
    else:
        file = settings.encoder_file
        if settings.start == "imagenet":
            yield Notice(f"Downloading {encoder} with ImageNet weights unless it is cached …")
            file = hub_encoder(encoder, stop=stop)
        fresh = initialize_checkpoint(file, input_channels=channels)
    fresh = replace(fresh, preprocessing=checkpoint.preprocessing)
    return with_class_labels(fresh, checkpoint.classes)


def general_like(checkpoint: Checkpoint) -> Checkpoint:
    """Return the general network with the classes and the preprocessing of a checkpoint."""
    fresh = general_checkpoint(checkpoint.config.input_channels)
    if len(checkpoint.classes) == 1:  # of any name: its heads are a better start than new ones
        fresh = replace(fresh, classes=checkpoint.classes)
    own = fresh.preprocessing  # what it was trained with
    preprocessing = replace(checkpoint.preprocessing, mean=own.mean, std=own.std)
    return with_class_labels(replace(fresh, preprocessing=preprocessing), checkpoint.classes)


def suited_task(
    task: TrainingTask, cache: PlaneCache, quiet: bool = False
) -> Generator[Notice, None, TrainingTask]:
    """Return a task with the start that suits its images, and with its familiarity.

    An automatic task of the bundled model starts from the general network if the bundled one does
    not know the images. A `Notice` explains it, or that images are new to the model.

    Parameters
    ----------
    task
        Training task.
    cache
        Holds pixels of annotated patches.
    quiet
        Whether to omit the message that images are new to the model.
    """
    familiarity = task_familiarity(read_planes(task, cache), cache)
    if needs_general(task, familiarity):
        yield Notice(general_message(familiarity))
        task = task_from_general(task)
        familiarity = task_familiarity(read_planes(task, cache), cache)
    elif not quiet and (message := unfamiliar_message(familiarity)):
        yield Notice(message)
    return replace(task, familiarity=familiarity)


def needs_general(task: TrainingTask, familiarity: Familiarity) -> bool:
    """Return whether the general network is the better start of an automatic task."""
    base = task.base or task.checkpoint
    return task.automatic and not familiarity.is_familiar and is_bundled(base)


def general_message(familiarity: Familiarity) -> str:
    """Return the message that a training starts from the general network."""
    return (
        f"Starts from the general network: the nuclei model predicted only "
        f"{familiarity.accuracy:.0%} of your first strokes correctly, so these images are new to "
        "it. “Start from” under Advanced decides otherwise."
    )


def task_from_general(task: TrainingTask) -> TrainingTask:
    """Return a task that starts from the general network.

    Its number of steps is the same. The learning rate becomes that of new networks, unless it was
    changed: for images that a network does not know, small steps are too few.
    """
    task, config = task.with_checkpoint(general_like(task.checkpoint)), task.config
    if config.learning_rate == PRESETS["scribbles"].learning_rate:
        rate = PRESETS["scribbles-from-nothing"].learning_rate
        task = replace(task, config=config.replace(learning_rate=rate))
    return task
