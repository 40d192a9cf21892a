"""Reading tensors from torch's pickled files without executing code in them."""

from __future__ import annotations

import argparse
import pickle
import pickletools
import threading
import warnings
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.checkpoints.sniff import CheckpointError, check_zip_checksums

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.sniff import Kind

_LOCK = threading.Lock()
_WRAPPERS = ("model_state_dict", "state_dict", "model")
"""Keys under which trainers store the state dict."""

_UNSAFE_MODULES = (
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "shutil",
    "socket",
    "runpy",
    "pty",
    "importlib",
)
_BUILTINS = ("builtins.", "__builtin__.")
_UNSAFE_BUILTINS = (
    "eval",
    "exec",
    "compile",
    "open",
    "getattr",
    "setattr",
    "__import__",
    "input",
    "print",
)
_LARGEST_PICKLE = 64 * 2**20
"""Bytes of a pickle whose opcodes are listed; tensors are stored separately."""


def read_pickled_tensors(path: Path, kind: Kind) -> dict[str, NDArray[Any]]:
    """Return the tensors of a torch file by name, taken out of the usual wrappers.

    The file is loaded by torch's weights-only unpickler, which allows tensors and plain values and
    refuses everything else without executing it. bfloat16 is converted to float32, without loss.

    Raises
    ------
    CheckpointError
        If the file contains anything but tensors, or is damaged.
    """
    if kind == "torch zip":
        check_zip_checksums(path)
    try:
        content = _load(path)
    except pickle.UnpicklingError:
        raise CheckpointError(_why_refused(path, kind)) from None
    except Exception:  # noqa: BLE001  (torch raises errors of any type for damaged files)
        raise CheckpointError("it is cut short or damaged; copy or download it again") from None
    state_dict = _state_dict(content)
    if not state_dict:
        raise CheckpointError(
            f"it holds {_describe(content)}, not the tensors of a network; a PVT-EMCAD checkpoint "
            f"was expected"
        )
    return {name: _to_array(name, tensor) for name, tensor in state_dict.items()}


def _load(path: Path) -> object:
    import torch

    # The lock is needed because both contexts change state that all threads share.
    allowed = torch.serialization.safe_globals([argparse.Namespace, *_numpy_globals()])
    with _LOCK, allowed, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old pickles and sparse tensors
        return torch.load(path, map_location="cpu", weights_only=True)


def _numpy_globals() -> list[Any]:
    """Return what NumPy numbers are pickled with: scores that trainers save beside weights.

    NumPy 1 called the module ``numpy.core``, NumPy 2 calls it ``numpy._core``.
    """
    scalar: Any = np.float64(0).__reduce__()[0]
    array: Any = np.zeros(1).__reduce__()[0]
    numpy_1 = [
        (function, f"numpy.core.multiarray.{function.__name__}") for function in (scalar, array)
    ]
    types = {type(np.dtype(name)) for name in ("f4", "f8", "i4", "i8", "?")}
    return [scalar, array, np.ndarray, np.dtype, *numpy_1, *types]


def _state_dict(content: object) -> dict[str, Any]:
    """Return the innermost dictionary's tensors by name; an empty one if there is none."""
    import torch

    while isinstance(content, dict):
        inner = [content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, dict):
        return {}
    return {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}


def _to_array(name: str, tensor: Any) -> NDArray[Any]:
    import torch

    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    try:
        array: NDArray[Any] = tensor.detach().numpy()
    except (RuntimeError, TypeError):
        raise CheckpointError(
            f"its tensor {name} is {tensor.dtype} ({tensor.layout}); save it as plain float32"
        ) from None
    return array


def _describe(content: object) -> str:
    if isinstance(content, dict):
        keys = ", ".join(map(str, list(content)[:3]))
        return f"a dictionary ({keys})" if keys else "an empty dictionary"
    return f"a {type(content).__name__}"


def _why_refused(path: Path, kind: Kind) -> str:
    """Return why the unpickler refused a file, and what to do."""
    names = [
        name for name in _imports(path, kind) if not name.startswith(("torch.", "collections."))
    ]
    unsafe = [name for name in names if _is_unsafe(name)]
    if unsafe:
        return (
            f"it is a pickle that would run code when opened ({unsafe[0]}); nothing was run. Do "
            f"not use it; ask its author for a state dict"
        )
    if names:
        telling = [name for name in names if not name.startswith(_BUILTINS)] or names
        return (
            f"it is a pickled Python object ({telling[0]}), perhaps a whole module; save its "
            f"tensors instead, with torch.save(model.state_dict(), …)"
        )
    return "it is cut short or damaged; copy or download it again"


def _is_unsafe(name: str) -> bool:
    """Return whether a pickle imports this function to execute something."""
    module, _, attribute = name.rpartition(".")
    unsafe_builtin = f"{module}." in _BUILTINS and attribute in _UNSAFE_BUILTINS
    return module.split(".")[0] in _UNSAFE_MODULES or unsafe_builtin


def _imports(path: Path, kind: Kind) -> Iterator[str]:
    """Yield the imports of a pickle as ``module.name``; its opcodes are listed, not executed."""
    strings: list[str] = []
    try:
        for opcode, argument, _ in _opcodes(BytesIO(_pickle_bytes(path, kind))):
            if "UNICODE" in opcode.name or opcode.name.endswith("STRING"):
                strings.append(str(argument))
            elif opcode.name in ("GLOBAL", "INST"):
                yield str(argument).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL":
                yield ".".join(strings[-2:])
    except (ValueError, zipfile.BadZipFile, OSError):
        return  # the imports before the damage have been listed


def _opcodes(stream: BytesIO) -> Iterator[tuple[Any, Any, int | None]]:
    """Yield the opcodes of consecutive pickles; torch's old format has several."""
    while stream.tell() < len(stream.getbuffer()):
        yield from pickletools.genops(stream)


def _pickle_bytes(path: Path, kind: Kind) -> bytes:
    if kind == "torch pickle":
        with path.open("rb") as file:
            return file.read(_LARGEST_PICKLE)
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(name) as file:
            return file.read(_LARGEST_PICKLE)
