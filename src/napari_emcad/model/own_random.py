"""Random numbers of torch from a generator of one's own.

Layers of timm and transforms of torchvision draw from torch's global generator, which all threads
share. Seeding it would change the numbers that other code draws.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before torch)
import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_DRAWS = frozenset(
    {
        *("bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_"),
        *("random_", "uniform_", "bernoulli", "multinomial", "normal", "poisson", "rand"),
        *("randint", "randn", "randperm"),
    }
)
"""Functions and methods of torch that draw and take a generator."""

_WITHOUT_GENERATOR = frozenset({"rand_like", "randn_like", "randint_like", "rrelu", "rrelu_"})


class OwnRandom(TorchFunctionMode):
    """Within this context the current thread draws from generators of its own.

    The numbers are those that torch's global generators give after ``torch.manual_seed(seed)``. No
    global state is read or changed, so threads do not disturb each other.

    Parameters
    ----------
    seed
        Seed of the generators, one per device.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, with the own generator if it draws.

        Raises
        ------
        RuntimeError
            If the function draws from the global generator and takes no other.
        """
        given = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _WITHOUT_GENERATOR:
            raise RuntimeError(f"torch.{name} draws from the global generator; use another.")
        if (name in _DRAWS or _takes_generator(func)) and given.get("generator") is None:
            given["generator"] = self._generator(_device(args, given))
        return func(*args, **given)

    def _generator(self, device: torch.device) -> torch.Generator:
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self._seed)
        return self._generators[device]


@lru_cache(maxsize=1024)
def _takes_generator(func: Callable[..., Any]) -> bool:
    """Whether a function of `torch.nn.init` draws; torch calls it as a whole."""
    if getattr(func, "__module__", "") != "torch.nn.init":
        return False
    return "generator" in inspect.signature(func).parameters


def _device(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    """Return the device on which a function draws: that of its tensor, else the given one."""
    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
    if tensors:
        return tensors[0].device
    return torch.device(kwargs.get("device") or "cpu")
