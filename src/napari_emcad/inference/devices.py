"""The processors of this computer, and the errors of those that run out of memory."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch

from napari_emcad.model.precision import bfloat16_if_fast

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

DEVICES = ("auto", "cuda", "mps", "cpu")
"""Names of devices; auto takes the first available of the others."""


_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "enforce fail at alloc_cpu",
    "could not create a primitive",  # oneDNN gives no other reason
    "could not execute a primitive",
)
"""Parts of torch's error messages, in lower case, that mean that memory ran out."""


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """A device: its name in torch, its title, and why it cannot be used (or "")."""

    name: str
    title: str
    reason: str = ""


def device_choices() -> tuple[DeviceChoice, ...]:
    """Return all devices, the best first; those with a reason are not available here."""
    return _cuda(), _mps(), DeviceChoice("cpu", f"CPU ({_threads(torch.get_num_threads())})")


def choose_device(name: str = "auto") -> torch.device:
    """Return torch's device for a name.

    Raises
    ------
    ValueError
        If there is no such device here; the message gives the reason.
    """
    if name not in DEVICES:
        raise ValueError(f"There is no device {name!r}; choose one of {', '.join(DEVICES)}.")
    for choice in device_choices():
        if name == "auto" and not choice.reason:
            return torch.device(choice.name)
        if name == choice.name and choice.reason:
            raise ValueError(f"{choice.title} cannot be used here: {choice.reason}.")
    return torch.device(name)


def half_precision(device: torch.device) -> torch.dtype | None:
    """Return the half precision for inference on a device; None where float32 is faster.

    A CPU computes in bfloat16 if it has instructions for it, a GPU without them in float16.
    """
    bfloat16 = bfloat16_if_fast(device)
    return torch.float16 if bfloat16 is None and device.type != "cpu" else bfloat16


def device_title(device: torch.device, full_precision: bool = False) -> str:
    """Return the title of a device with the half precision in which it computes."""
    title = next(choice.title for choice in device_choices() if choice.name == device.type)
    half = None if full_precision else half_precision(device)
    return title if half is None else f"{title}, {str(half).removeprefix('torch.')}"


def half_types(device: torch.device) -> tuple[torch.dtype, ...]:
    """Return the half precisions for which a device has instructions, the widest range first."""
    bfloat16 = bfloat16_if_fast(device)
    found = () if bfloat16 is None else (bfloat16,)
    return found if device.type == "cpu" else (*found, torch.float16)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a smaller batch might have succeeded."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in message for part in _OUT_OF_MEMORY)


def none_if_out_of_memory(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Return the function's result, or None if memory ran out.

    The error is handled here because its traceback keeps tensors alive.
    """
    try:
        return function(*args, **kwargs)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    return None


def free_memory() -> None:
    """Collect garbage and release torch's cached memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _cuda() -> DeviceChoice:
    if torch.cuda.is_available():
        return DeviceChoice("cuda", f"CUDA ({torch.cuda.get_device_name()})")
    has_cuda = torch.version.cuda is not None
    reason = "no NVIDIA GPU or driver was found" if has_cuda else "this torch is built without CUDA"
    return DeviceChoice("cuda", "CUDA", reason)


def _mps() -> DeviceChoice:
    if torch.backends.mps.is_available():
        return DeviceChoice("mps", "Apple GPU")
    return DeviceChoice("mps", "Apple GPU", "this is not a Mac with Apple silicon")
