"""PVTv2 encoders with ImageNet weights, from timm's repositories on the Hugging Face hub.

Nothing here opens a connection before `hub_encoder` is called. A file is held in memory until its
sha256 is the one that the hub told, so the hub's cache never sees a part of it, or another file.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.model.encoders import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

_PIECE = 2**16
"""Bytes between two looks at whether to stop."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class FetchStopped(Exception):
    """The fetch was stopped before its end; nothing of it is kept."""


class _Unfetched(CheckpointError):
    """The hub did not deliver; someone else's connection may."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A file in a repository on the hub."""

    repo: str
    filename: str

    @property
    def folder(self) -> Path:
        """Where the hub's library keeps what it has of this repository."""
        from huggingface_hub.file_download import repo_folder_name

        return _cache() / str(repo_folder_name(repo_id=self.repo, repo_type="model"))


@dataclass(frozen=True, slots=True)
class _Announced:
    """What the hub tells of a file before it sends it."""

    sha256: str
    size: int
    commit: str


def hub_encoder(
    encoder: str = "pvt_v2_b0",
    progress: Callable[[int, int], None] | None = None,
    stop: Event | None = None,
) -> Path:
    """Return the file of an encoder with timm's ImageNet weights, fetched if it is not there yet.

    A file in the hub's cache is used without any connection. The hub's own environment variables
    are followed: ``HF_HOME``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_TOKEN``, and
    ``HTTPS_PROXY``.

    Parameters
    ----------
    encoder
        A key of `ENCODERS`.
    progress
        Told the bytes that have arrived, and all there are; not called for a file in the cache.
    stop
        Once set, the fetch ends with the next piece that arrives, or once it has waited for one
        as long as ``HF_HUB_DOWNLOAD_TIMEOUT`` says (10 s).

    Returns
    -------
    Path
        A ``model.safetensors`` for `initialize_checkpoint`, in the hub's cache.

    Raises
    ------
    CheckpointError
        If it can be neither found nor fetched: no connection, another sha256 than the hub told, no
        room or no permission in the cache. One sentence says why, another what to do.
    FetchStopped
        If `stop` was set.
    """
    if encoder not in ENCODERS:
        raise CheckpointError(
            f"There is no encoder {encoder}; choose one of {', '.join(ENCODERS)}."
        )
    source = _source(encoder)
    try:
        return _cached(source) or _fetched(source, progress, stop)
    except _Unfetched as error:
        if stop is not None and stop.is_set():
            raise FetchStopped from error
        raise CheckpointError(
            f"{encoder} cannot be fetched: {error}. Download {source.filename} from "
            f"https://huggingface.co/{source.repo} on a connected machine and start from that "
            f"file (--start FILE)."
        ) from error
    except CheckpointError as error:
        raise CheckpointError(f"{encoder} cannot be fetched: {error}.") from error


def _source(encoder: str) -> _Source:
    from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before timm)
    import timm

    known = timm.get_pretrained_cfg(f"{encoder}.in1k")
    return _Source(known.hf_hub_id, known.hf_hub_filename or "model.safetensors")


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _cached(source: _Source) -> Path | None:
    """Return the file in the cache; one that is damaged or cannot be read is not there."""
    from huggingface_hub import try_to_load_from_cache

    with suppress(OSError):
        found = try_to_load_from_cache(source.repo, source.filename)
        if isinstance(found, str) and _intact(Path(found)):
            return Path(found)
    return None


def _intact(path: Path) -> bool:
    """Whether a cached file has the sha256 that its link tells; a plain file tells none."""
    told = path.readlink().name if path.is_symlink() else ""
    if not _SHA256.fullmatch(told):
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == told


def _fetched(
    source: _Source, progress: Callable[[int, int], None] | None, stop: Event | None
) -> Path:
    with _opened(source) as (announced, pieces):
        _check_room(announced.size)
        content = BytesIO()
        for piece in pieces:
            if stop is not None and stop.is_set():
                raise FetchStopped
            content.write(piece)
            if progress is not None:
                progress(min(content.tell(), announced.size), announced.size)
    found = hashlib.sha256(content.getbuffer()).hexdigest()
    if found != announced.sha256:
        raise _Unfetched(
            f"what arrived is not what the hub told (sha256 {found[:12]}… instead of "
            f"{announced.sha256[:12]}…); nothing of it is kept, try again"
        )
    return _filed(source, announced, content.getvalue())


@contextmanager
def _opened(source: _Source) -> Iterator[tuple[_Announced, Iterator[bytes]]]:
    """Ask for a file; what is known of it and its content, which has yet to arrive."""
    request = _request(source)
    with ExitStack() as stack:
        try:
            response = stack.enter_context(request)
        except Exception as error:  # what the two clients raise has no common parent
            raise _Unfetched(_trouble(error)) from error
        announced = _announced(response, source)
        yield announced, _pieces(response, announced.size)


def _request(source: _Source) -> Any:
    """Return a request of one file, which is sent when it is entered."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import get_session

    url, headers = hf_hub_url(source.repo, source.filename), _headers()
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    session: Any = get_session()
    if callable(session.stream):  # httpx, from version 1 on; in requests it is a setting
        return session.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True)
    return _requested(session, url, headers, timeout)


def _headers() -> dict[str, str]:
    from huggingface_hub import get_token

    headers = {"accept-encoding": "identity", "user-agent": "napari-emcad"}
    with suppress(OSError):  # a login that cannot be read is none
        token = get_token()  # private mirrors want one
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
    return headers


@contextmanager
def _requested(session: Any, url: str, headers: dict[str, str], timeout: float) -> Iterator[Any]:
    """Do with requests what httpx does by itself."""
    with session.get(url, headers=headers, timeout=timeout, stream=True) as response:
        yield response


def _announced(response: Any, source: _Source) -> _Announced:
    host = urlsplit(str(response.url)).hostname
    if response.status_code == 404:
        raise _Unfetched(f"{host} has no {source.repo}/{source.filename}")
    if response.status_code in (401, 403):
        raise _Unfetched(
            f"{host} gives no access (status {response.status_code}), perhaps as the token of your "
            f"login is out of date"
        )
    if response.status_code != 200:
        raise _Unfetched(f"{host} answers with status {response.status_code}, try again later")
    headers: dict[str, str] = {}
    for each in (response, *reversed(response.history)):  # the hub's word over that of its stores
        headers |= {name.lower(): value for name, value in each.headers.items()}
    etag = headers.get("x-linked-etag") or headers.get("etag", "")
    sha256, commit = etag.removeprefix("W/").strip('"'), headers.get("x-repo-commit", "")
    size = headers.get("x-linked-size") or response.headers.get("content-length", "")
    if not (_SHA256.fullmatch(sha256) and _COMMIT.fullmatch(commit) and size.isdecimal()):
        raise _Unfetched(f"{host} does not tell its sha256 and size, so nothing can be verified")
    return _Announced(sha256, int(size), commit)


def _pieces(response: Any, size: int) -> Iterator[bytes]:
    """Yield the content as it arrives, and a piece too much at most."""
    read = response.iter_bytes if hasattr(response, "iter_bytes") else response.iter_content
    arrived = 0
    cause: Exception | None = None
    try:
        for piece in read(_PIECE):
            arrived += len(piece)
            yield piece
            if arrived > size:
                return
    except Exception as error:  # noqa: BLE001  (what the two clients raise has no common parent)
        cause = error
    if arrived < size:
        host = urlsplit(str(response.url)).hostname
        raise _Unfetched(
            f"the connection to {host} broke off after {arrived / 1e6:.1f} of {size / 1e6:.1f} MB"
        ) from cause


def _trouble(error: Exception) -> str:
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, which forbids every connection"
    host = _asked_host(error)
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(error)):
        return f"{host} shows a certificate that is not trusted here"
    return f"no connection to {host}"


def _asked_host(error: Any) -> str:
    """Return the host that did not answer: the hub, or a store that the hub pointed to."""
    from huggingface_hub import constants

    url: str = constants.ENDPOINT
    with suppress(AttributeError, RuntimeError):  # it knows of no request
        url = str(error.request.url)
    return urlsplit(url).hostname or url


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _check_room(size: int) -> None:
    """Refuse before anything is sent what could not be kept."""
    cache = _cache()
    there = next(each for each in (cache, *cache.parents) if each.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise _unkept("you have no permission to write there")
    free = shutil.disk_usage(there).free
    if free < size:
        raise _unkept(f"it has {free / 1e6:.0f} MB free, {size / 1e6:.0f} MB are needed")


def _unkept(why: str) -> CheckpointError:
    return CheckpointError(
        f"the hub's cache {_cache()} cannot take it ({why}); set HF_HOME to a folder that can"
    )


def _filed(source: _Source, announced: _Announced, content: bytes) -> Path:
    """Put a verified file where the hub's library looks for it: a blob, a link to it, a ref."""
    blob = source.folder / "blobs" / announced.sha256
    link = source.folder / "snapshots" / announced.commit / source.filename
    ref = source.folder / "refs" / "main"
    try:
        for path in (blob, link, ref):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(blob, content)
        _link(link, blob)
        write_bytes(ref, announced.commit.encode())
    except OSError as error:
        raise _unkept(error.strerror or str(error)) from error
    return link


def _link(link: Path, blob: Path) -> None:
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(os.path.relpath(blob, link.parent))
    except OSError:  # Windows grants links to few users; the file itself does as well
        blob.replace(link)
