"""Networks that were built for earlier jobs, kept for the next job of the same model."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Network = TypeVar("Network", bound=nn.Module)

_MOST_MODELS = 2
"""Number of models whose networks are kept while no job uses them."""

_CPU = torch.device("cpu")


class NetworkPool:
    """Idle networks by model; a job has its network for itself until it ends.

    An idle network is on the CPU, so that the memory of a GPU is free after every job. It goes when
    its model is garbage-collected, or when networks of other models were used since.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, also a lock that another thread had when this process was forked."""
        # Reentrant, as garbage collection may end an abandoned job while the lock is taken.
        self._lock = threading.RLock()
        self._idle: WeakKeyDictionary[object, dict[str, nn.Module]] = WeakKeyDictionary()

    def clear(self) -> None:
        """Let go of all idle networks."""
        with self._lock:
            self._idle.clear()

    @contextmanager
    def borrow(
        self,
        model: object,
        kind: str,
        build: Callable[[], Network],
        device: torch.device = _CPU,
    ) -> Iterator[Network]:
        """Return a network for the duration of a ``with`` block, built if none is idle.

        Parameters
        ----------
        model
            A frozen model, to which the network belongs; networks of one that is not hashable or
            cannot be weakly referenced are not kept.
        kind
            What was made of the model, such as ``"fused"``.
        build
            Returns a new network in eval mode on the CPU. It is not called within a lock.
        device
            Where the network is moved.
        """
        network = self._take(model, kind)
        with torch.inference_mode(False):  # else it could not be used outside of that mode
            network = build() if network is None else cast("Network", network)
        try:
            yield _moved(network, device)
        except Exception:
            kind = ""  # its state, or that of its device, is uncertain
            raise
        finally:
            if kind:
                self._put(model, kind, _moved(network, _CPU))

    def _take(self, model: object, kind: str) -> nn.Module | None:
        with self._lock:
            try:
                return self._idle.get(model, {}).pop(kind, None)
            except TypeError:
                return None

    def _put(self, model: object, kind: str, network: nn.Module) -> None:
        with self._lock:
            try:
                networks = self._idle.pop(model, {})
                self._idle[model] = networks | {kind: network}  # the last is the most recent one
            except TypeError:
                return
            for older in list(self._idle)[:-_MOST_MODELS]:
                self._idle.pop(older, None)


def _moved(network: Network, device: torch.device) -> Network:
    with torch.inference_mode(False):
        return network.to(device)


NETWORK_POOL = NetworkPool()
"""The pool of this process."""

if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=NETWORK_POOL.reset)
