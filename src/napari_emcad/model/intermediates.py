"""Record what the decoder stages compute during a forward pass."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from napari_emcad.model.config import STAGES, STRIDES
from napari_emcad.model.decoder import EMCAD, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class StageOutput:
    """Everything that one decoder stage computed; h and w are the input's size over `stride`.

    Attributes
    ----------
    stage
        4 (deepest) to 1 (finest).
    encoder
        The encoder map that entered the stage, ``(N, C, h, w)``.
    gate
        LGAG's gate on that map, ``(N, 1, h, w)`` in 0…1; None for stage 4, which has none.
    channel_attention
        ``(N, C, 1, 1)`` in 0…1.
    spatial_attention
        ``(N, 1, h, w)`` in 0…1.
    decoder
        The refined map, ``(N, C, h, w)``.
    logits
        The output of the stage's head, ``(N, K, h, w)``.
    """

    stage: int
    encoder: Tensor
    gate: Tensor | None
    channel_attention: Tensor
    spatial_attention: Tensor
    decoder: Tensor
    logits: Tensor

    @property
    def stride(self) -> int:
        """Input pixels per pixel of these maps."""
        return STRIDES[self.stage]


@dataclass(slots=True)
class Recording:
    """Maps recorded during one forward pass; lists are deepest stage first."""

    encoder: list[Tensor] = field(default_factory=list)
    gates: list[Tensor] = field(default_factory=list)
    channel: list[Tensor] = field(default_factory=list)
    spatial: list[Tensor] = field(default_factory=list)
    decoder: list[Tensor] = field(default_factory=list)


@contextmanager
def record_intermediates(encoder: nn.Module, decoder: EMCAD) -> Iterator[Recording]:
    """Record the maps of one forward pass with hooks, which are removed afterwards."""
    recording = Recording()
    stages = decoder.stages
    watched: list[tuple[nn.Module, list[Tensor]]] = [
        (decoder.spatial_attention, recording.spatial),
        *((stages[n].mscam.channel_attention, recording.channel) for n in STAGES),
        *((stage.gate, recording.gates) for stage in stages.values() if isinstance(stage, Stage)),
    ]
    hooks = [module.register_forward_hook(partial(_append, maps)) for module, maps in watched]
    hooks += [
        encoder.register_forward_hook(partial(_extend, recording.encoder, True)),
        decoder.register_forward_hook(partial(_extend, recording.decoder, False)),
    ]
    try:
        yield recording
    finally:
        for hook in hooks:
            hook.remove()


def _append(maps: list[Tensor], _module: nn.Module, _args: object, output: Tensor) -> None:
    maps.append(output)


def _extend(
    maps: list[Tensor], reverse: bool, _module: nn.Module, _args: object, output: list[Tensor]
) -> None:
    maps.extend(reversed(output) if reverse else output)
