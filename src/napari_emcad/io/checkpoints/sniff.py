"""Recognizing the kind of a file from its first bytes and its table of contents.

Nothing is unpickled, and nothing but headers is loaded.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from os import PathLike

Kind = Literal["safetensors", "torch zip", "torch pickle"]

LARGEST = 4 * 2**30
"""Largest file in bytes; the largest network (b5) with two optimizer states has about 1 GB."""

_LARGEST_HEADER = 100 * 2**20

_MAGIC = [
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"II+\x00", "a TIFF image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras perhaps)"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to"),
]
_EXPECTED = "a PVT-EMCAD checkpoint (.pth, .pt or .safetensors) was expected"


class CheckpointError(ValueError):
    """A file cannot be used as a checkpoint; the message says what it is and what to do."""


class EncoderOnlyError(CheckpointError):
    """The file is a bare PVTv2 encoder: not a checkpoint, but a new network can start from it."""

    def __init__(self, message: str = "") -> None:
        default = (
            "it is a PVTv2 encoder alone (perhaps with ImageNet weights), not a segmentation "
            "network; start a new network from it with initialize_checkpoint, or choose a "
            "PVT-EMCAD checkpoint"
        )
        super().__init__(message or default)


def expand_path(path: str | PathLike[str]) -> Path:
    """Return a path with ``~`` as the home folder, unless there is a file of that name."""
    literal = Path(path)
    with suppress(RuntimeError):  # no such user
        return literal if literal.exists() else literal.expanduser()
    return literal


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sniff(path: Path) -> Kind:
    """Return the kind of a tensor file.

    Raises
    ------
    CheckpointError
        If it is anything else, cannot be read, is cut short or is too large; the message is the
        end of a sentence that starts with the file name.
    """
    head = _first_bytes(path)
    for magic, title in _MAGIC:
        if head.startswith(magic):
            raise CheckpointError(f"it is {title}; {_EXPECTED}")
    size = path.stat().st_size
    if size > LARGEST:
        raise CheckpointError(
            f"it is {size / 1e9:.0f} GB large, more than any PVT-EMCAD checkpoint; {_EXPECTED}"
        )
    if head.startswith(b"PK"):
        return _check_zip(path)
    if _is_safetensors(head):
        return _check_safetensors(path, head, size)
    if head[:1] == b"\x80":
        return "torch pickle"
    raise CheckpointError(f"it is {_text_or_binary(head)}; {_EXPECTED}")


def check_zip_checksums(path: Path) -> None:
    """Refuse a zip archive whose content does not match its checksums; torch ignores them.

    Archives without checksums (all are 0) are accepted.

    Raises
    ------
    CheckpointError
        If it is damaged; the message is the end of a sentence that starts with the file name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            has_checksums = any(entry.CRC for entry in archive.infolist())
            intact = not has_checksums or archive.testzip() is None
    except Exception:  # noqa: BLE001  (damaged archives raise errors of any type)
        intact = False
    if not intact:
        raise CheckpointError("it is cut short or damaged; copy or download it again")


def _first_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise CheckpointError("it is a folder; choose the checkpoint file inside it")
        if path.exists() and not path.is_file():
            raise CheckpointError(f"it is not a regular file; {_EXPECTED}")
        with path.open("rb") as file:
            head = file.read(4096)
    except FileNotFoundError:
        raise CheckpointError("there is no such file; check the path") from None
    except PermissionError:
        raise CheckpointError(
            "you have no permission to read it; change its permissions or copy it"
        ) from None
    except OSError as error:
        raise CheckpointError(f"it cannot be read ({error.strerror}); copy it again") from None
    if not head:
        raise CheckpointError("it is empty; copy or download it again")
    return head


def _check_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError):
        raise CheckpointError("it is cut short or damaged; copy or download it again") from None
    total = sum(entry.file_size for entry in entries)
    if total > LARGEST:
        raise CheckpointError(
            f"it would unpack to {total / 1e9:.0f} GB, more than any PVT-EMCAD checkpoint; "
            f"{_EXPECTED}"
        )
    names = [entry.filename for entry in entries]
    if any("/code/" in f"/{name}" for name in names):
        raise CheckpointError(
            "it is a TorchScript program, not a state dict; save the network with "
            "torch.save(model.state_dict(), …)"
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise CheckpointError(f"it is a zip archive without tensors; {_EXPECTED}")
    return "torch zip"


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _LARGEST_HEADER


def _check_safetensors(path: Path, head: bytes, size: int) -> Kind:
    length = int.from_bytes(head[:8], "little")
    try:
        with path.open("rb") as file:
            file.seek(8)
            header = json.loads(file.read(length))
        ends = [
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        ]
        complete = size >= 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise CheckpointError("its safetensors header is damaged; copy it again") from None
    if not complete:
        raise CheckpointError("it is cut short; copy or download it again")
    return "safetensors"


def _text_or_binary(head: bytes) -> str:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:  # the last character may be cut
        text = head[: error.start].decode() if error.start >= len(head) - 3 else ""
    if text and all(letter.isprintable() or letter in "\r\n\t" for letter in text):
        return "a text file"
    return "a binary file of an unknown kind"
