"""The published format: its tensor names, and the architecture that follows from its shapes.

Published files name tensors after the authors' modules (``decoder.mscb4.0.pconv1.0.weight``),
native files after those of `PvtEmcad`. Only names and shapes are used here; no file is opened.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from napari_emcad.io.checkpoints.foreign import describe_foreign
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.model.config import ModelConfig
from napari_emcad.model.decoder_tensors import published_prefixes
from napari_emcad.model.encoders import ENCODERS, original_name
from napari_emcad.model.tensor_shapes import tensor_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_emcad.model.encoders import EncoderSpec

T = TypeVar("T")
Shapes = dict[str, tuple[int, ...]]

_WRAPPER_PREFIXES = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile add."""

_PROFILER = re.compile(r"(^|\.)total_(ops|params)$")
"""Buffers that the profiler thop adds."""

_EXTRA = re.compile(r"^((?!out_head)\w+_head\.|neg_queue$|queue_ptr$|backbone\.head\.)")
"""Tensors that training uses and segmentation does not."""


_PREFIXES_OF_PARTS = dict(published_prefixes())
"""Published prefix of tensor names by native prefix; the rest of a name is the same."""


def published_name(native: str) -> str:
    """Return the published name of a tensor."""
    if native.startswith("encoder."):
        return f"backbone.{original_name(native.removeprefix('encoder.'))}"
    prefix = next(prefix for prefix in _PREFIXES_OF_PARTS if native.startswith(prefix))
    return _PREFIXES_OF_PARTS[prefix] + native.removeprefix(prefix)


def to_published(tensors: Mapping[str, T]) -> dict[str, T]:
    """Return the same tensors under their published names."""
    return {published_name(name): tensor for name, tensor in tensors.items()}


def to_native(tensors: Mapping[str, T], config: ModelConfig) -> dict[str, T]:
    """Return the same tensors under their native names; see `check_shapes` for completeness."""
    return {name: tensors[published_name(name)] for name in tensor_shapes(config)}


def strip_wrappers(tensors: Mapping[str, T]) -> tuple[dict[str, T], tuple[str, ...]]:
    """Remove what trainers, compilers and profilers add to a published state dict.

    Returns
    -------
    tuple
        Tensors of the network by their published names, and the names of extra tensors that were
        left out.
    """
    unprefixed = {_strip_prefixes(name): tensor for name, tensor in tensors.items()}
    relevant = {name: t for name, t in unprefixed.items() if not _PROFILER.search(name)}
    extra = tuple(name for name in relevant if _EXTRA.match(name))
    return {name: tensor for name, tensor in relevant.items() if name not in extra}, extra


def _strip_prefixes(name: str) -> str:
    while name.startswith(_WRAPPER_PREFIXES):
        name = name.split(".", 1)[1]
    return name


def infer_config(shapes: Shapes) -> ModelConfig:
    """Return the architecture that published tensors have, as far as it follows from their shapes.

    Activation, parallel or sequential branches and the number of input channels do not; they get
    the published defaults.

    Parameters
    ----------
    shapes
        Shapes of the tensors by their published names, without wrappers.

    Raises
    ------
    CheckpointError
        If these are not the tensors of a PVT-EMCAD network; the message says what they are.
    """
    if not _looks_like_emcad(shapes):
        raise CheckpointError(describe_foreign(shapes))
    expand, project = (shapes[f"decoder.mscb4.0.{name}.0.weight"] for name in ("pconv1", "pconv2"))
    branches = _indices(shapes, r"decoder\.mscb4\.0\.msdc\.dwconvs\.(\d+)\.0\.weight")
    kernels = tuple(shapes[f"decoder.mscb4.0.msdc.dwconvs.{i}.0.weight"][-1] for i in branches)
    try:
        config = ModelConfig(
            encoder=_encoder(shapes, width=expand[1]),
            num_classes=shapes["out_head1.weight"][0],
            kernel_sizes=kernels,
            expansion_factor=expand[0] // expand[1],
            aggregation="add" if project[1] == expand[0] else "concat",
            lgag_kernel_size=shapes["decoder.lgag3.W_g.0.weight"][-1],
        )
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"its tensors have the names of a PVT-EMCAD network but not its shapes ({error}); "
            f"ask its author for another copy"
        ) from None
    return config


def check_shapes(shapes: Shapes, config: ModelConfig) -> None:
    """Raise CheckpointError unless the published tensors are exactly those of the architecture."""
    expected = {published_name(name): shape for name, shape in tensor_shapes(config).items()}
    title = f"a PVT-EMCAD-{config.encoder_spec.short_name}"
    missing = [name for name in expected if name not in shapes]
    surplus = [name for name in shapes if name not in expected]
    wrong = [name for name in expected if shapes.get(name, expected[name]) != expected[name]]
    if missing:
        raise CheckpointError(
            f"it is {title} file without {len(missing)} of its {len(expected)} tensors "
            f"({_first_names(missing)}); ask its author for a complete one"
        )
    if wrong:
        name = wrong[0]
        raise CheckpointError(
            f"it is {title} file with {len(wrong)} tensors of another shape ({name} is "
            f"{shapes[name]}, expected {expected[name]}); it belongs to a modified network, "
            f"which this plugin cannot run"
        )
    if surplus:
        raise CheckpointError(
            f"it is {title} file with {len(surplus)} tensors that such a network does not have "
            f"({_first_names(surplus)}); it belongs to a modified network, which this plugin "
            f"cannot run"
        )


def _looks_like_emcad(shapes: Shapes) -> bool:
    needed = (
        "decoder.mscb4.0.pconv1.0.weight",
        "decoder.mscb4.0.pconv2.0.weight",
        "decoder.lgag3.W_g.0.weight",
        "out_head1.weight",
    )
    has_encoder = any(name.startswith("backbone.block") for name in shapes)
    return has_encoder and all(len(shapes.get(name, ())) == 4 for name in needed)


def _encoder(shapes: Shapes, width: int) -> str:
    blocks = len(_indices(shapes, r"backbone\.block3\.(\d+)\.norm1\.weight"))
    candidates = {
        name: spec
        for name, spec in ENCODERS.items()
        if (spec.widths[-1], spec.depths[2]) == (width, blocks)
    }
    if not candidates:
        raise ValueError(f"no PVTv2 has {blocks} blocks in its third stage at width {width}")
    return min(candidates, key=lambda name: _mismatches(shapes, candidates[name]))


def _mismatches(shapes: Shapes, spec: EncoderSpec) -> int:
    """Return how many tensors of an encoder are missing or have another shape."""
    expected = {f"backbone.{original_name(name)}": shape for name, shape in spec.tensors()}
    return sum(shapes.get(name) != shape for name, shape in expected.items())


def _indices(names: Iterable[str], pattern: str) -> list[int]:
    return sorted({int(match[1]) for name in names if (match := re.fullmatch(pattern, name))})


def _first_names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
