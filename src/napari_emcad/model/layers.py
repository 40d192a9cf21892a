"""Names and shapes of the tensors of single layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NamedShape = tuple[str, tuple[int, ...]]


def conv_tensors(name: str, out: int, into: int, kernel: int) -> Iterator[NamedShape]:
    """Yield weight and bias of a square convolution; `into` is per group."""
    yield f"{name}.weight", (out, into, kernel, kernel)
    yield f"{name}.bias", (out,)


def linear_tensors(name: str, out: int, into: int) -> Iterator[NamedShape]:
    """Yield weight and bias of a linear layer."""
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def layer_norm_tensors(name: str, width: int) -> Iterator[NamedShape]:
    """Yield weight and bias of a layer norm."""
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def batch_norm_tensors(name: str, width: int) -> Iterator[NamedShape]:
    """Yield weight, bias and running statistics of a batch norm."""
    yield from layer_norm_tensors(name, width)
    yield f"{name}.running_mean", (width,)
    yield f"{name}.running_var", (width,)
    yield f"{name}.num_batches_tracked", ()
