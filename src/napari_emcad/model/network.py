"""The whole network: gray stem, encoder, decoder, heads; and a way to see inside."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_emcad.model.config import MULTIPLE, STAGES, STRIDES, ModelConfig
from napari_emcad.model.decoder import EMCAD, Stage
from napari_emcad.model.encoder import pvt_v2
from napari_emcad.model.resize import resize, zoomed_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Head = Literal["finest", "sum"]
"""Which map is the prediction: that of stage 1, or the sum of all four."""


@dataclass(frozen=True, slots=True)
class StageOutput:
    """Everything one decoder stage computed; h and w are the input's size over `stride`.

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
        The stage's head, ``(N, K, h, w)``.
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


class PvtEmcad(nn.Module):
    """A PVTv2 encoder, an EMCAD decoder and a head on each of its four stages.

    Parameters
    ----------
    config
        The architecture.
    drop_path_rate
        Stochastic depth of the encoder while training.

    Notes
    -----
    Any height and width will do: the input is padded by reflection at the bottom and the right to
    a multiple of 32, and every result is cropped back. One input channel goes through the learned
    gray stem, three skip it.
    """

    def __init__(self, config: ModelConfig, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.grey_stem = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
        self.encoder = pvt_v2(config.encoder, drop_path_rate)
        self.decoder = EMCAD(config)
        self.heads = nn.ModuleDict(
            {f"stage{n}": nn.Conv2d(config.widths[n], config.num_classes, 1) for n in STAGES}
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the four heads, deepest stage first, at stage resolution.

        Parameters
        ----------
        x
            Prepared images, ``(N, 1 or 3, H, W)``.

        Returns
        -------
        tuple
            Four tensors ``(N, K, ceil(H / s), ceil(W / s))`` for s = 32, 16, 8, 4.

        Raises
        ------
        ValueError
            If the input is not of that shape, or has no pixel.
        """
        logits = self._padded_logits(pad_to_multiple(x))
        size = x.shape[-2:]
        return tuple(_crop(each, size, STRIDES[n]) for n, each in zip(STAGES, logits, strict=True))

    def predict(self, x: Tensor, head: Head = "finest", zoom: float = 1.0) -> Tensor:
        """Return logits at the size of the input.

        Each stage's map is enlarged bilinearly (align_corners False) by its stride before the
        padding is cropped.

        Parameters
        ----------
        x
            Prepared images, ``(N, 1 or 3, H, W)``.
        head
            ``"finest"`` for the head of stage 1, ``"sum"`` for the sum of all four.
        zoom
            How much larger the network sees the images; its logits are brought back.

        Returns
        -------
        Tensor
            ``(N, K, H, W)``.

        Raises
        ------
        ValueError
            If there is no such head, `zoom` is not above 0, or the input is not of that shape.
        """
        if head not in get_args(Head):
            raise ValueError(f"head is {head!r}; it must be {' or '.join(get_args(Head))}.")
        if not 0 < zoom < inf:
            raise ValueError(f"zoom is {zoom!r}; it must be above 0 and finite.")
        if zoom == 1:
            return self._predict(x, head)
        height, width = x.shape[-2:]
        seen = resize(x, zoomed_size((height, width), zoom))
        return resize(self._predict(seen, head), (height, width))

    def _predict(self, x: Tensor, head: Head) -> Tensor:
        padded = pad_to_multiple(x)
        logits = self._padded_logits(padded)
        chosen = logits if head == "sum" else logits[-1:]
        size = padded.shape[-2:]
        maps = [F.interpolate(each, size, mode="bilinear", align_corners=False) for each in chosen]
        return _crop(torch.stack(maps).sum(0) if len(maps) > 1 else maps[0], x.shape[-2:], 1)

    def forward_intermediates(self, x: Tensor) -> dict[int, StageOutput]:
        """Run the network and return what each decoder stage computed on the way.

        Forward hooks record the maps for this call alone: a network that nobody looks into does
        not pay for it.

        Parameters
        ----------
        x
            Prepared images, ``(N, 1 or 3, H, W)``.

        Returns
        -------
        dict
            ``{4: …, 3: …, 2: …, 1: …}``; spatial sizes are ``ceil(H / s), ceil(W / s)``.
        """
        with self._recorded() as recorded:
            logits = self._padded_logits(pad_to_multiple(x))
        gates = [None, *recorded.gates]
        return {
            n: StageOutput(
                stage=n,
                encoder=_crop(recorded.encoder[i], x.shape[-2:], STRIDES[n]),
                gate=None if (gate := gates[i]) is None else _crop(gate, x.shape[-2:], STRIDES[n]),
                channel_attention=recorded.channel[i],
                spatial_attention=_crop(recorded.spatial[i], x.shape[-2:], STRIDES[n]),
                decoder=_crop(recorded.decoder[i], x.shape[-2:], STRIDES[n]),
                logits=_crop(logits[i], x.shape[-2:], STRIDES[n]),
            )
            for i, n in enumerate(STAGES)
        }

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the encoder's maps, deepest first.

        Parameters
        ----------
        x
            Prepared images, ``(N, 1 or 3, H, W)``, height and width multiples of 32.

        Returns
        -------
        list
            Four maps ``(N, C, H / s, W / s)`` for s = 32, 16, 8, 4.
        """
        rgb = self.grey_stem(x) if x.shape[1] == 1 else x
        maps: list[Tensor] = self.encoder(rgb)[::-1]
        if rgb.is_contiguous(memory_format=torch.channels_last):  # timm gives the other order
            maps = [each.contiguous(memory_format=torch.channels_last) for each in maps]
        return maps

    def encode_finest(self, x: Tensor) -> Tensor:
        """Return the encoder's map of stride 4 alone, as `encode` does, in less than half the time.

        Parameters
        ----------
        x
            As for `encode`.
        """
        rgb = self.grey_stem(x) if x.shape[1] == 1 else x
        embed, stage = (self.encoder.get_submodule(each) for each in ("patch_embed", "stages_0"))
        finest: Tensor = stage(embed(rgb))
        return finest

    def decode(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the logits of the four heads from the encoder's maps, both deepest first."""
        decoded = self.decoder(maps)
        return [head(each) for head, each in zip(self.heads.values(), decoded, strict=True)]

    def _padded_logits(self, x: Tensor) -> list[Tensor]:
        return self.decode(self.encode(x))

    @contextmanager
    def _recorded(self) -> Iterator[_Recorded]:
        seen = _Recorded()
        stages = self.decoder.stages
        watched: list[tuple[nn.Module, list[Tensor]]] = [
            (self.decoder.spatial_attention, seen.spatial),
            *((stages[n].mscam.channel_attention, seen.channel) for n in STAGES),
            *((each.gate, seen.gates) for each in stages.values() if isinstance(each, Stage)),
        ]
        hooks = [each.register_forward_hook(partial(_append, into)) for each, into in watched]
        hooks += [
            self.encoder.register_forward_hook(partial(_extend, seen.encoder, True)),
            self.decoder.register_forward_hook(partial(_extend, seen.decoder, False)),
        ]
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()


@dataclass(slots=True)
class _Recorded:
    """Maps collected during one forward pass, each list deepest stage first."""

    encoder: list[Tensor] = field(default_factory=list)
    gates: list[Tensor] = field(default_factory=list)
    channel: list[Tensor] = field(default_factory=list)
    spatial: list[Tensor] = field(default_factory=list)
    decoder: list[Tensor] = field(default_factory=list)


def _append(into: list[Tensor], _module: nn.Module, _args: object, output: Tensor) -> None:
    into.append(output)


def _extend(
    into: list[Tensor], reverse: bool, _module: nn.Module, _args: object, output: list[Tensor]
) -> None:
    into.extend(reversed(output) if reverse else output)


def pad_to_multiple(x: Tensor, multiple: int = MULTIPLE) -> Tensor:
    """Pad ``(N, C, H, W)`` by reflection at the bottom and right to a multiple of both sides.

    Unlike torch's own reflection it may pad by more than the image's size, down to one pixel.

    Raises
    ------
    ValueError
        If `x` is not a batch of 1- or 3-channel images with at least one pixel.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.numel() == 0:
        raise ValueError(
            f"The network takes images of shape (N, 1 or 3, H, W) with at least one pixel; "
            f"this input has shape {tuple(x.shape)}."
        )
    for axis in (-2, -1):
        size = x.shape[axis]
        if size % multiple:
            wanted = size + (-size) % multiple
            x = x.index_select(x.ndim + axis, _reflected(size, wanted, x.device))
    return x


def _reflected(size: int, wanted: int, device: torch.device) -> Tensor:
    """Return indices 0, 1, … size - 1, size - 2, … 0, 1, … of the wanted length."""
    period = max(2 * (size - 1), 1)
    index = torch.arange(wanted, device=device) % period
    return torch.minimum(index, period - index) if size > 1 else index * 0


def _crop(x: Tensor, size: torch.Size, stride: int) -> Tensor:
    """Return the part of a stage map that lies on an input of this size."""
    height, width = (-(-each // stride) for each in size)
    return x[..., :height, :width]
