"""Training on several processes, as torchrun starts them: shares of a batch, one loss.

Every process computes the logits of its share of the batch. They are gathered, so that all
processes compute the loss of the whole batch (Dice, for one, is not a mean over images), and the
gradients of the network are summed. Batch norm takes the statistics of the whole batch. A training
is therefore the same as one on a single process with the whole batch.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed, nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_emcad.training.config import TrainingConfig


@contextmanager
def torchrun_processes(device_type: str) -> Iterator[None]:
    """Connect the processes that torchrun started, over NCCL on CUDA, else over gloo.

    Nothing is done in a process that torchrun did not start.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    if device_type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device_type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def process_count() -> int:
    """Return the number of connected processes, 1 without torchrun."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def process_rank() -> int:
    """Return the number of this process among the connected ones, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def check_config(config: TrainingConfig) -> None:
    """Check that a configuration works on the connected processes.

    Raises
    ------
    ValueError
        If it has a setting that depends on the whole batch in another way than through the loss.
    """
    if process_count() == 1:
        return
    for name in ("balance", "pseudo", "boundary"):
        if getattr(config, name):
            raise ValueError(
                f"{name} does not work on several processes; set {name}=0, or train without "
                f"torchrun."
            )


def with_whole_batch(config: TrainingConfig) -> TrainingConfig:
    """Return a configuration whose batch is that of all processes together."""
    return replace(config, batch=config.batch * process_count())


def gather(share: Tensor) -> Tensor:
    """Return the batch of all processes; gradients flow to the share of this process."""
    if process_count() == 1:
        return share
    own = share.detach().contiguous()  # gloo mixes up the pixels of channels-last maps
    parts = [torch.empty_like(own) for _ in range(process_count())]
    distributed.all_gather(parts, own)
    parts[process_rank()] = share
    return torch.cat(parts)


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Sum gradients over all processes; parameters without a gradient are left out."""
    if process_count() == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            total = parameter.grad.contiguous()
            distributed.all_reduce(total)
            parameter.grad.copy_(total)


def any_process(flag: bool, device: torch.device) -> bool:
    """Return whether a flag is set in any process, the same answer in all of them."""
    if process_count() == 1:
        return flag
    flags = torch.tensor(int(flag), device=device)
    distributed.all_reduce(flags, distributed.ReduceOp.MAX)
    return bool(flags)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, share: Tensor) -> Tensor:
        total = share.contiguous().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradients[0])


def _sum_over_processes(share: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(share)
    return total


class SynchronizedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batch of all processes.

    torch's own (`torch.nn.SyncBatchNorm`) computes on CUDA alone.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalized maps ``(N, C, H, W)``."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        count = process_count() * x.numel() // x.shape[1]
        mean = _sum_over_processes(x.sum((0, 2, 3))) / count
        centered = x - mean[:, None, None]
        variance = _sum_over_processes(centered.square().sum((0, 2, 3))) / count
        self._track(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centered * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics, with the unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def synchronize_batch_norms(network: nn.Module) -> None:
    """Let the batch norms of a network use the batch of all processes; parameters stay the same."""
    if process_count() == 1:
        return
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SynchronizedBatchNorm2d
