"""PVTv2 encoders with ImageNet weights, from timm's repositories on the Hugging Face Hub.

`huggingface_hub` downloads and caches them; nothing here opens a connection before `hub_encoder`
is called.
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from napari_emcad.io.checkpoints.sniff import CheckpointError, file_sha256
from napari_emcad.model.encoders import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

    Progress = Callable[[int, int], None]

_CHUNK = 2**16
"""Bytes between two reports of progress, and between two checks of the stop event."""

_SHA256, _COMMIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


class FetchStopped(Exception):
    """The download was stopped before its end; nothing of it is kept."""


class _DownloadError(CheckpointError):
    """The Hub did not deliver the file; another machine may be able to download it."""


def hub_encoder(
    encoder: str = "pvt_v2_b0", progress: Progress | None = None, stop: Event | None = None
) -> Path:
    """Return the file of an encoder with timm's ImageNet weights, downloaded if it is not cached.

    A file in the cache of `huggingface_hub` is used without a connection. The environment variables
    of the Hub are followed: ``HF_HOME``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_TOKEN``, and
    ``HTTPS_PROXY``.

    Parameters
    ----------
    encoder
        A key of `ENCODERS`.
    progress
        Called with the bytes received so far and the size of the file; not called for a cached
        file.
    stop
        Event that ends the download: with the next bytes that arrive, or when none have arrived for
        ``HF_HUB_DOWNLOAD_TIMEOUT`` (10 s).

    Returns
    -------
    Path
        A ``model.safetensors`` for `initialize_checkpoint`, in the cache of `huggingface_hub`.

    Raises
    ------
    CheckpointError
        If the file can be neither found nor downloaded: no connection, another SHA-256 than
        announced, no space or no permission in the cache. The message says why and what to do.
    FetchStopped
        If `stop` was set.
    """
    if encoder not in ENCODERS:
        raise CheckpointError(
            f"There is no encoder {encoder}; choose one of {', '.join(ENCODERS)}."
        )
    repo, filename = _location(encoder)
    stop = stop or threading.Event()
    try:
        return _cached(repo, filename) or _fetch(repo, filename, progress, stop)
    except _DownloadError as error:
        if stop.is_set():
            raise FetchStopped from error
        raise CheckpointError(
            f"{encoder} cannot be fetched: {error}. Download {filename} from "
            f"https://huggingface.co/{repo} on a connected machine and start from that file "
            f"(--start FILE)."
        ) from error
    except CheckpointError as error:
        raise CheckpointError(f"{encoder} cannot be fetched: {error}.") from error


def _location(encoder: str) -> tuple[str, str]:
    """Return the repository and the file name of an encoder."""
    from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before timm)
    import timm

    pretrained = timm.get_pretrained_cfg(f"{encoder}.in1k")
    return pretrained.hf_hub_id, pretrained.hf_hub_filename or "model.safetensors"


def _cached(repo: str, filename: str) -> Path | None:
    """Return the file in the cache, None if it is missing, damaged or unreadable."""
    from huggingface_hub import try_to_load_from_cache

    with suppress(OSError):
        path = try_to_load_from_cache(repo, filename)
        if isinstance(path, str) and _is_intact(Path(path)):
            return Path(path)
    return None


def _is_intact(path: Path) -> bool:
    """Return whether a file has the SHA-256 that its symbolic link names, if it is a link."""
    expected = path.readlink().name if path.is_symlink() else ""
    return not _SHA256.fullmatch(expected) or file_sha256(path) == expected


def _fetch(repo: str, filename: str, progress: Progress | None, stop: Event) -> Path:
    """Download a file into the cache, in place of a damaged one, and verify it."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    url, timeout = hf_hub_url(repo, filename), constants.HF_HUB_ETAG_TIMEOUT
    try:  # `hf_hub_download` asks again, but it repeats a request that fails for half a minute
        announced = get_hf_file_metadata(url, timeout=timeout)
    except Exception as error:  # httpx and httpx2 have no common base class
        raise _failure(error, f"{repo}/{filename}") from error
    sha256, commit = announced.etag or "", announced.commit_hash or ""
    if announced.size is None or not (_SHA256.fullmatch(sha256) and _COMMIT.fullmatch(commit)):
        raise _DownloadError(
            f"{urlsplit(url).hostname} does not announce SHA-256 and size, so that nothing can be "
            f"verified"
        )
    bar = _ProgressBar(announced.size, progress, stop)
    try:
        with _small_chunks(), _stop_between_retries(stop):
            path = hf_hub_download(
                repo, filename, force_download=True, etag_timeout=timeout, tqdm_class=bar
            )
    except Exception as error:
        if isinstance(error, FetchStopped) or error is bar.error:
            raise
        raise _failure(error, f"{repo}/{filename}", bar) from error
    _verify(Path(path), sha256)
    return Path(path)


def _verify(path: Path, sha256: str) -> None:
    """Remove a file from the cache and raise if it does not have the announced SHA-256."""
    found = file_sha256(path)
    if found != sha256:
        for file in (path.resolve(), path):
            file.unlink(missing_ok=True)
        raise _DownloadError(
            f"what arrived is not what the Hub announced (SHA-256 {found[:12]}… instead of "
            f"{sha256[:12]}…); nothing of it is kept, try again"
        )


class _ProgressBar:
    """The part of tqdm that `hf_hub_download` uses; what it raises ends the download."""

    def __init__(self, size: int, progress: Progress | None, stop: Event) -> None:
        self.size, self.received = size, 0
        self.error: Exception | None = None
        self._progress, self._stop = progress, stop

    def __call__(self, *_: Any, initial: int = 0, **__: Any) -> _ProgressBar:
        self.received = initial
        return self

    def __enter__(self) -> _ProgressBar:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, count: int) -> None:
        self.received += count
        try:
            if self._stop.is_set():
                raise FetchStopped
            if self.received > self.size:
                raise _DownloadError("more arrives than the Hub announced; nothing of it is kept")
            if self._progress is not None:
                self._progress(self.received, self.size)
        except Exception as error:
            self.error = error
            raise


@contextmanager
def _small_chunks() -> Iterator[None]:
    """Make the library download over plain HTTP in small chunks; both of its settings are global.

    Xet, its other protocol, cannot be ended from the progress bar, and the usual chunk of 10 MB is
    most of a small encoder.
    """
    from huggingface_hub import constants

    usual = constants.HF_HUB_DISABLE_XET, constants.DOWNLOAD_CHUNK_SIZE
    constants.HF_HUB_DISABLE_XET, constants.DOWNLOAD_CHUNK_SIZE = True, _CHUNK
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET, constants.DOWNLOAD_CHUNK_SIZE = usual


@contextmanager
def _stop_between_retries(stop: Event) -> Iterator[None]:
    """Raise FetchStopped where the library logs that it resumes a broken or silent connection.

    It does so five times before it gives up, and does not touch its progress bar meanwhile.
    """
    logger, thread = logging.getLogger("huggingface_hub.file_download"), threading.get_ident()

    def check(record: logging.LogRecord) -> bool:
        if stop.is_set() and record.thread == thread:
            raise FetchStopped
        return True

    logger.addFilter(check)
    try:
        yield
    finally:
        logger.removeFilter(check)


def _failure(error: Exception, file: str, bar: _ProgressBar | None = None) -> CheckpointError:
    """Return an error with the reason why a request or a download failed."""
    from huggingface_hub import constants
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OSError) and error.errno is not None:
        return CheckpointError(
            f"the Hub's cache {constants.HF_HUB_CACHE} cannot be used ({error.strerror}); set "
            f"HF_HOME to a folder that can be written to"
        )
    host, status = _host(error), getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, OfflineModeIsEnabled):
        reason = "HF_HUB_OFFLINE is set, which forbids every connection"
    elif any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        reason = f"{host} shows a certificate that is not trusted here"
    elif bar is not None and bar.received:
        megabytes = f"{bar.received / 1e6:.1f} of {bar.size / 1e6:.1f} MB"
        reason = f"the connection to {host} broke off after {megabytes}"
    elif status is None:
        reason = f"no connection to {host}"
    elif status == 404:
        reason = f"{host} has no {file}"
    elif status in (401, 403):
        reason = f"{host} gives no access (status {status}), perhaps because a token has expired"
    else:
        reason = f"{host} answers with status {status}, try again later"
    return _DownloadError(reason)


def _host(error: Any) -> str:
    """Return the host of the failed request: the Hub, or the storage that it redirects to."""
    from huggingface_hub import constants

    url: str = constants.ENDPOINT
    with suppress(AttributeError, RuntimeError):  # errors without a request
        url = str(error.request.url)
    return urlsplit(url).hostname or url


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
