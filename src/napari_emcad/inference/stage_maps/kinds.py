"""The maps that the package offers, one `MapSpec` per kind.

In the computing functions `maps` are the blended maps of a slice and `key` is the map that is
computed; see `MapSpec.compute`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.inference.probabilities import channel_probabilities
from napari_emcad.inference.stage_maps.specs import MapSpec, register_map
from napari_emcad.model.config import STAGES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.inference.stage_maps.blended import BlendedMaps
    from napari_emcad.inference.stage_maps.keys import MapKey
    from napari_emcad.model.segmenter import Head

    Values = NDArray[np.float32]


# -- the heads a map is computed from


def own_head(stage: int, head: Head) -> tuple[int, ...]:
    """Return the map's own stage."""
    return (stage,)


def deeper_heads(stage: int, head: Head) -> tuple[int, ...]:
    """Return stages 4 … the map's own."""
    return STAGES[: STAGES.index(stage) + 1]


def all_heads(stage: int, head: Head) -> tuple[int, ...]:
    """Return all four stages."""
    return STAGES


def predicting_heads(stage: int, head: Head) -> tuple[int, ...]:
    """Return the stages whose logits make up the prediction."""
    return STAGES if head == "sum" else (1,)


# -- the values of a map


def _probability(maps: BlendedMaps, key: MapKey) -> Values:
    return channel_probabilities(maps.logits(key.map_stage))


def _logits(maps: BlendedMaps, key: MapKey) -> Values:
    return maps.logits(key.map_stage)


def _running_sum(maps: BlendedMaps, key: MapKey) -> Values:
    return maps.running_sum(key.map_stage)


def _delta(maps: BlendedMaps, key: MapKey) -> Values:
    stage = key.map_stage
    before = maps.resize(maps.running_sum(stage + 1), stage)
    after = before + maps.logits(stage)
    change: Values = channel_probabilities(after) - channel_probabilities(before)
    return change


def _single_channel(maps: BlendedMaps, key: MapKey) -> Values:
    channel: Values = maps.recorded[key][0]
    return channel


def _per_channel(maps: BlendedMaps, key: MapKey) -> Values:
    return maps.recorded[key].reshape(-1)


def _features(maps: BlendedMaps, key: MapKey) -> Values:
    recorded = maps.recorded[key]
    return maps.colors[key].to_rgb(recorded) if key.is_rgb else recorded[0]


def _entropy(maps: BlendedMaps, key: MapKey) -> Values:
    return maps.uncertainty([maps.prediction()])


def _disagreement(maps: BlendedMaps, key: MapKey) -> Values:
    return maps.uncertainty([maps.resize(maps.logits(n), 1) for n in STAGES])


def _flip_disagreement(maps: BlendedMaps, key: MapKey) -> Values:
    return maps.uncertainty([maps.prediction(), *np.split(maps.recorded[key], 3)])


# -- the maps

_SPECS = (
    MapSpec(
        kind="probability",
        title="probability",
        label="probability",
        description="What the stage's own head predicts, 0 … 1",
        group="class",
        heads=own_head,
        compute=_probability,
        colormap="viridis",
        full_range=True,
        preselected=True,
    ),
    MapSpec(
        kind="logits",
        title="logits",
        label="logits",
        description="The numbers that probabilities are computed from, around 0",
        group="class",
        heads=own_head,
        record=lambda stage: stage.logits,
        compute=_logits,
        limits="symmetric",
        colormap="diverging",
    ),
    MapSpec(
        kind="sum",
        title="sum of logits",
        label="running sum",
        description="Logits of the deepest stage up to this one, added up",
        group="class",
        heads=deeper_heads,
        compute=_running_sum,
        limits="symmetric",
        colormap="diverging",
    ),
    MapSpec(
        kind="delta",
        title="change of probability",
        label="change",
        description="How the probability of the running sum changes with this stage, −1 … 1",
        group="class",
        stages=STAGES[1:],
        heads=deeper_heads,
        compute=_delta,
        limits=(-1.0, 1.0),
        colormap="diverging",
    ),
    MapSpec(
        kind="gate",
        title="gate",
        label="gate",
        description="How much of the encoder's features enters the stage (LGAG), 0 … 1",
        group="attention",
        stages=STAGES[1:],
        record=lambda stage: stage.gate,
        compute=_single_channel,
        preselected=True,
    ),
    MapSpec(
        kind="spatial",
        title="spatial attention",
        label="spatial",
        description="Spatial attention, 0 … 1",
        group="attention",
        record=lambda stage: stage.spatial_attention,
        compute=_single_channel,
    ),
    MapSpec(
        kind="channel",
        title="channel attention",
        label="channel",
        description="Channel attention, 0 … 1: one bar per channel, drawn below",
        group="attention",
        record=lambda stage: stage.channel_attention,
        compute=_per_channel,
        has_place=False,
    ),
    MapSpec(
        kind="decoder",
        title="decoder features",
        label="decoder",
        description="The output of the stage: as PCA colors, or single channels",
        group="features",
        record=lambda stage: stage.decoder,
        compute=_features,
        limits="range",
    ),
    MapSpec(
        kind="encoder",
        title="encoder features",
        label="encoder",
        description="The encoder's features at this stride: as PCA colors, or single channels",
        group="features",
        record=lambda stage: stage.encoder,
        compute=_features,
        limits="range",
    ),
    MapSpec(
        kind="entropy",
        title="entropy",
        label="entropy",
        description="How undecided the prediction is, 0 … 1",
        group="uncertainty",
        stages=(),
        heads=predicting_heads,
        compute=_entropy,
        colormap="inferno",
        preselected=True,
    ),
    MapSpec(
        kind="disagreement",
        title="disagreement of stages",
        label="stages",
        description="How much the four stages contradict each other, 0 … 1",
        group="uncertainty",
        stages=(),
        heads=all_heads,
        compute=_disagreement,
        colormap="inferno",
        views=4,
        preselected=True,
    ),
    MapSpec(
        kind="flip_disagreement",
        title="disagreement of flips",
        label="flips",
        description="How much the prediction depends on mirroring; takes four times as long",
        group="uncertainty",
        stages=(),
        heads=predicting_heads,
        compute=_flip_disagreement,
        colormap="inferno",
        mirrored=True,
        views=4,
    ),
)

for _spec in _SPECS:
    register_map(_spec)
