"""Build a network without initial weights, because others are loaded into it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


_NOT_FILLING = ("requires_grad_", "detach_", "share_memory_")
"""Functions of such a name that change other things than numbers."""


class SkipInit(TorchFunctionMode):
    """Context in which functions that end with an underscore leave the numbers of tensors.

    These are the functions that fill parameters when a module is made: ``trunc_normal_``,
    ``kaiming_uniform_``, ``normal_``, ``zero_``. It takes a third of the time of the device
    ``"meta"``, on which they are computed step by step in Python. No random number is drawn.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the first argument of a function in place, or call any other function."""
        name = getattr(func, "__name__", "")
        fills = name.endswith("_") and not name.endswith("__")
        if fills and name not in _NOT_FILLING:
            tensor = args[0] if args else (kwargs or {})["tensor"]
            assert isinstance(tensor, Tensor)
            return tensor
        return func(*args, **(kwargs or {}))
