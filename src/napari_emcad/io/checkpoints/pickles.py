"""Tensors out of torch's pickled files, without running anything that is in them."""

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
_ACTS = ("os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "runpy", "pty", "importlib")
_BUILTINS = ("builtins.", "__builtin__.")
_ACTING = ("eval", "exec", "compile", "open", "getattr", "setattr", "__import__", "input", "print")
_MOST = 64 * 2**20
"""Bytes of pickle that are listed; tensors themselves are stored apart."""


def read_pickled_tensors(path: Path, kind: Kind) -> dict[str, NDArray[Any]]:
    """Return the tensors of a torch file by name, out of the usual wrappers.

    torch's weights-only reader does the work: it knows tensors and plain values, and refuses
    everything else before it runs. bfloat16 comes back as float32, which holds it exactly.

    Raises
    ------
    CheckpointError
        If the file holds anything but tensors, or is damaged.
    """
    if kind == "torch zip":
        check_zip_checksums(path)
    try:
        loaded = _loaded(path)
    except pickle.UnpicklingError:
        raise CheckpointError(_why_refused(path, kind)) from None
    except Exception:  # noqa: BLE001  (a damaged file raises almost anything)
        raise CheckpointError("it is cut short or damaged; copy or download it again") from None
    named = _state_dict(loaded)
    if not named:
        raise CheckpointError(
            f"it holds {_title(loaded)}, not the tensors of a network; a PVT-EMCAD checkpoint "
            f"was expected"
        )
    return {name: _as_array(name, tensor) for name, tensor in named.items()}


def _loaded(path: Path) -> object:
    import torch

    # torch keeps one list of what is allowed for all threads, and Python one of warnings
    allowed = torch.serialization.safe_globals([argparse.Namespace, *_numpy_values()])
    with _LOCK, allowed, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old pickles and sparse tensors
        return torch.load(path, map_location="cpu", weights_only=True)


def _numpy_values() -> list[Any]:
    """Return what numpy's numbers are pickled with: scores that trainers keep beside weights.

    numpy 1 called the module ``numpy.core``, numpy 2 calls it ``numpy._core``.
    """
    scalar: Any = np.float64(0).__reduce__()[0]
    array: Any = np.zeros(1).__reduce__()[0]
    older = [(each, f"numpy.core.multiarray.{each.__name__}") for each in (scalar, array)]
    types = {type(np.dtype(name)) for name in ("f4", "f8", "i4", "i8", "?")}
    return [scalar, array, np.ndarray, np.dtype, *older, *types]


def _state_dict(loaded: object) -> dict[str, Any]:
    import torch

    while isinstance(loaded, dict):
        inner = [loaded[each] for each in _WRAPPERS if isinstance(loaded.get(each), dict)]
        if not inner:
            break
        loaded = inner[0]
    if not isinstance(loaded, dict):
        return {}
    return {str(k): v for k, v in loaded.items() if isinstance(v, torch.Tensor)}


def _as_array(name: str, tensor: Any) -> NDArray[Any]:
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


def _title(loaded: object) -> str:
    if isinstance(loaded, dict):
        keys = ", ".join(map(str, list(loaded)[:3]))
        return f"a dictionary ({keys})" if keys else "an empty dictionary"
    return f"a {type(loaded).__name__}"


def _why_refused(path: Path, kind: Kind) -> str:
    names = [
        each for each in _imports(path, kind) if not each.startswith(("torch.", "collections."))
    ]
    acting = [each for each in names if _acts(each)]
    if acting:
        return (
            f"it is a pickle that would run code when opened ({acting[0]}); nothing was run. Do "
            f"not use it; ask whoever made it for a state dict"
        )
    if names:
        telling = [each for each in names if not each.startswith(_BUILTINS)] or names
        return (
            f"it is a pickled Python object ({telling[0]}), a whole module perhaps; save its "
            f"tensors instead, with torch.save(model.state_dict(), …)"
        )
    return "it is cut short or damaged; copy or download it again"


def _acts(name: str) -> bool:
    """Whether an import of a pickle is there to do something rather than to hold something."""
    module, _, attribute = name.rpartition(".")
    return module.split(".")[0] in _ACTS or (f"{module}." in _BUILTINS and attribute in _ACTING)


def _imports(path: Path, kind: Kind) -> Iterator[str]:
    """Yield what unpickling would import, as ``module.name``; opcodes are listed, none executed."""
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
        return  # a damaged pickle has named what it could


def _opcodes(stream: BytesIO) -> Iterator[tuple[Any, Any, int | None]]:
    """Yield the opcodes of all pickles in a row; torch's old format has several."""
    while stream.tell() < len(stream.getbuffer()):
        yield from pickletools.genops(stream)


def _pickle_bytes(path: Path, kind: Kind) -> bytes:
    if kind == "torch pickle":
        with path.open("rb") as file:
            return file.read(_MOST)
    with zipfile.ZipFile(path) as archive:
        name = next(each for each in archive.namelist() if each.endswith("data.pkl"))
        with archive.open(name) as file:
            return file.read(_MOST)
