"""The whole network: gray stem, encoder, decoder and heads."""

from __future__ import annotations

import warnings
from math import inf
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_emcad.model.config import STAGES, STRIDES, ModelConfig
from napari_emcad.model.decoder import EMCAD
from napari_emcad.model.encoder import create_encoder
from napari_emcad.model.fork import survive_forks
from napari_emcad.model.intermediates import StageOutput, record_intermediates
from napari_emcad.model.padding import crop, pad_to_multiple
from napari_emcad.model.resize import resize, zoomed_size
from napari_emcad.model.segmenter import Head, Segmenter

if TYPE_CHECKING:
    from collections.abc import Sequence


class PvtEmcad(Segmenter):
    """A PVTv2 encoder, an EMCAD decoder and heads on its four stages.

    Parameters
    ----------
    config
        The architecture.
    drop_path_rate
        Stochastic depth of the encoder while training.

    Notes
    -----
    Height and width are arbitrary: the input is padded by reflection at the bottom and the right to
    a multiple of 32, and all results are cropped back. A single input channel goes through the
    learned gray stem, three channels skip it.
    """

    half_weights = True

    def __init__(self, config: ModelConfig, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        survive_forks()
        self.config: ModelConfig = config
        self.grey_stem = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
        self.encoder = create_encoder(config.encoder, drop_path_rate)
        self.decoder = EMCAD(config)
        self.heads = nn.ModuleDict(
            {f"stage{n}": nn.Conv2d(config.widths[n], config.num_classes, 1) for n in STAGES}
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the four heads, deepest stage first, at stage resolution.

        Parameters
        ----------
        x
            Preprocessed images, ``(N, 1 or 3, H, W)``.

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
        return tuple(crop(maps, size, STRIDES[n]) for n, maps in zip(STAGES, logits, strict=True))

    def predict(self, x: Tensor, head: Head = "finest", zoom: float = 1.0) -> Tensor:
        """Return logits at the size of the input.

        The map of a stage is enlarged bilinearly (align_corners False) by its stride before the
        padding is cropped.

        Parameters
        ----------
        x
            Preprocessed images, ``(N, 1 or 3, H, W)``.
        head
            ``"finest"`` for the head of stage 1, ``"sum"`` for the sum of all four.
        zoom
            Factor by which the images are enlarged for the network; logits are resized back.

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
        zoomed = resize(x, zoomed_size((height, width), zoom))
        return resize(self._predict(zoomed, head), (height, width))

    def _predict(self, x: Tensor, head: Head) -> Tensor:
        padded = pad_to_multiple(x)
        logits = self._padded_logits(padded)
        chosen = logits if head == "sum" else logits[-1:]
        size = padded.shape[-2:]
        maps = [F.interpolate(one, size, mode="bilinear", align_corners=False) for one in chosen]
        return crop(torch.stack(maps).sum(0) if len(maps) > 1 else maps[0], x.shape[-2:], 1)

    def forward_intermediates(self, x: Tensor) -> dict[int, StageOutput]:
        """Run the network and return what the decoder stages computed.

        Forward hooks record the maps for this call alone, so that other calls are not slowed down.

        Parameters
        ----------
        x
            Preprocessed images, ``(N, 1 or 3, H, W)``.

        Returns
        -------
        dict
            ``{4: …, 3: …, 2: …, 1: …}``; spatial sizes are ``ceil(H / s), ceil(W / s)``.
        """
        with record_intermediates(self.encoder, self.decoder) as recording:
            logits = self._padded_logits(pad_to_multiple(x))
        size, gates = x.shape[-2:], [None, *recording.gates]
        return {
            n: StageOutput(
                stage=n,
                encoder=crop(recording.encoder[i], size, STRIDES[n]),
                gate=None if (gate := gates[i]) is None else crop(gate, size, STRIDES[n]),
                channel_attention=recording.channel[i],
                spatial_attention=crop(recording.spatial[i], size, STRIDES[n]),
                decoder=crop(recording.decoder[i], size, STRIDES[n]),
                logits=crop(logits[i], size, STRIDES[n]),
            )
            for i, n in enumerate(STAGES)
        }

    def look_inside(self, x: Tensor) -> dict[int, StageOutput]:
        """Call `forward_intermediates`; the old name goes in release 0.3."""
        message = "PvtEmcad.look_inside is deprecated, use forward_intermediates."
        warnings.warn(message, FutureWarning, stacklevel=2)
        return self.forward_intermediates(x)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the encoder's maps, deepest first.

        Parameters
        ----------
        x
            Preprocessed images, ``(N, 1 or 3, H, W)``, height and width multiples of 32.

        Returns
        -------
        list
            Four maps ``(N, C, H / s, W / s)`` for s = 32, 16, 8, 4.
        """
        rgb = self._to_rgb(x)
        maps: list[Tensor] = self.encoder(rgb)[::-1]
        if rgb.is_contiguous(memory_format=torch.channels_last):  # timm returns the other order
            maps = [level.contiguous(memory_format=torch.channels_last) for level in maps]
        return maps

    def decode(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the logits of the four heads from the encoder's maps, both deepest first."""
        decoded = self.decoder(maps)
        return [head(level) for head, level in zip(self.heads.values(), decoded, strict=True)]

    def _to_rgb(self, x: Tensor) -> Tensor:
        rgb: Tensor = self.grey_stem(x) if x.shape[1] == 1 else x
        return rgb

    def _padded_logits(self, x: Tensor) -> list[Tensor]:
        """Compute in the type of the weights, which may be bfloat16, but return float32."""
        maps = self.encode(x.to(next(self.parameters()).dtype))
        return [logits.float() for logits in self.decode(maps)]
