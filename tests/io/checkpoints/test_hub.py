"""Encoders from the Hub arrive complete and verified, or not at all with a clear message."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from huggingface_hub import constants
from PIL import Image

from napari_emcad import CheckpointError, initialize_checkpoint, read_checkpoint
from napari_emcad.cli import main
from napari_emcad.io.checkpoints.hub import FetchStopped, hub_encoder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "timm/pvt_v2_b0.in1k"
REMEDY = (
    " Download model.safetensors from https://huggingface.co/timm/pvt_v2_b0.in1k on a connected "
    "machine and start from that file (--start FILE)."
)


class FakeHub(ThreadingHTTPServer):
    """A hub that redirects to a storage under another host name, as the real one does."""

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.announced = {
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "X-Repo-Commit": COMMIT,
        }
        self.storage = f"http://localhost:{self.server_port}"
        self.status = 302
        self.cut_at = self.silent_at = len(content)
        self.silent, self.go_on = threading.Event(), threading.Event()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Ignore clients that disconnect early."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.server, urlsplit(self.path).path
        if not path.startswith("/api/"):  # some versions of the library ask what it can do
            hub.requests.append((self.command, self.path, dict(self.headers)))
        if path.startswith("/timm/") and hub.status != 200:
            self.send_response(hub.status)
            for name, value in hub.announced.items():
                self.send_header(name, value)
            if hub.status == 302:
                self.send_header("Location", f"{hub.storage}/blob")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send_file()

    def _send_file(self):
        hub, size = self.server, len(self.server.content)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(size - start))
        self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        storage = {"ETag": '"the storage has its own"'}
        for name, value in (hub.announced if hub.status == 200 else storage).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self._send(start)

    def _send(self, start: int):
        hub = self.server
        first = min(hub.cut_at, hub.silent_at)
        self.wfile.write(hub.content[start:first])
        if hub.silent_at < len(hub.content):
            hub.silent.set()
            hub.go_on.wait()
        self.wfile.write(hub.content[max(start, first) : hub.cut_at])
        self.close_connection = hub.cut_at < len(hub.content)

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture(scope="module")
def weights():
    """Return the content of timm's file of an encoder with its classifier, of random weights."""
    torch.manual_seed(3)
    tensors = timm.create_model("pvt_v2_b0", pretrained=False).state_dict()
    return safetensors.torch.save(tensors, {"format": "pt"})


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "home" / "hub"


@pytest.fixture
def use(monkeypatch, cache):
    """Return a function that makes `huggingface_hub` use a server."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "no token"))

    def use(url: str, offline: bool = False) -> None:
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        for module in (constants, huggingface_hub.file_download):  # some versions read the latter
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        forget_clients()

    yield use
    forget_clients()


def forget_clients():
    """Make the library open new connections with the current settings."""
    huggingface_hub.utils.close_session()


@pytest.fixture
def hub(weights, use):
    server = FakeHub(weights)
    use(server.url)
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def nobody():
    """Return an address where no server listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def no_waiting(monkeypatch):
    """Let the library retry at once."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


def files(folder: Path) -> list[Path]:
    """Return the files in a cache, without the lock files, refs and the tag of the library."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    internal = {".locks", "refs", "CACHEDIR.TAG"}
    return sorted(path for path in paths if not internal & set(path.parts))


def refused(*given) -> str:
    with pytest.raises(CheckpointError) as caught:
        hub_encoder(*given)
    message = str(caught.value)
    assert message.startswith("pvt_v2_b0 cannot be fetched: ")
    assert message.endswith(".")
    assert message.splitlines() == [message]
    return message.removeprefix("pvt_v2_b0 cannot be fetched: ")


# -- downloads


def test_it_arrives_with_progress_in_the_cache_of_the_library(hub, weights, cache):
    reports = []
    path = hub_encoder("pvt_v2_b0", lambda *numbers: reports.append(numbers))
    assert path.read_bytes() == weights
    size, digest = len(weights), hashlib.sha256(weights).hexdigest()
    assert {total for _, total in reports} == {size}
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})
    assert len(reports) > 50
    assert reports[-1] == (size, size)
    folder = Path("models--timm--pvt_v2_b0.in1k")
    assert files(cache) == [
        folder / "blobs" / digest,
        folder / "snapshots" / COMMIT / "model.safetensors",
    ]
    assert huggingface_hub.try_to_load_from_cache(REPO, "model.safetensors") == str(path)
    known = huggingface_hub.scan_cache_dir(cache)
    assert not known.warnings
    assert known.size_on_disk == size


def test_what_arrives_computes_what_timm_computes(hub, use):
    started = initialize_checkpoint(hub_encoder("pvt_v2_b0"), num_classes=4)
    assert started.config.encoder == "pvt_v2_b0"
    assert started.config.num_classes == 4
    use(hub.url, offline=True)  # timm finds the file in the cache as well
    theirs = timm.create_model("pvt_v2_b0.in1k", pretrained=True, features_only=True).eval()
    image = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = started.network().encoder(image)
        for one, other in zip(ours, theirs(image), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_one_file_is_requested_and_the_token_goes_to_the_hub_alone(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub_encoder("pvt_v2_b0")
    *asked, sent = hub.requests
    assert {path for _, path, _ in asked} == {f"/{REPO}/resolve/main/model.safetensors"}
    assert sent[:2] == ("GET", "/blob")
    headers = [{name.lower(): value for name, value in each[2].items()} for each in hub.requests]
    assert all(each["authorization"] == "Bearer hf_secret" for each in headers[:-1])
    assert "authorization" not in headers[-1]


@pytest.mark.parametrize("number", range(6))
def test_each_encoder_has_its_repository(number, hub):
    hub.status = 404
    with pytest.raises(CheckpointError, match=rf"timm/pvt_v2_b{number}\.in1k"):
        hub_encoder(f"pvt_v2_b{number}")
    assert hub.requests[0][1] == f"/timm/pvt_v2_b{number}.in1k/resolve/main/model.safetensors"


def test_an_unknown_encoder_requests_nothing(hub):
    with pytest.raises(CheckpointError, match=r"no encoder pvt_v2_b9; choose one of pvt_v2_b0, "):
        hub_encoder("pvt_v2_b9")
    assert not hub.requests


# -- cached files


def test_a_file_in_the_cache_is_used_without_a_request(hub, nobody, use):
    path = hub_encoder("pvt_v2_b0")
    hub.requests.clear()
    reports = []
    assert hub_encoder("pvt_v2_b0", lambda *numbers: reports.append(numbers)) == path
    assert not hub.requests
    assert not reports
    use(nobody, offline=True)
    assert hub_encoder("pvt_v2_b0") == path


def test_a_damaged_file_in_the_cache_is_downloaded_again(hub, weights):
    path = hub_encoder("pvt_v2_b0")
    path.resolve().write_bytes(weights[:-5] + b"wrong")
    hub.requests.clear()
    assert hub_encoder("pvt_v2_b0").read_bytes() == weights
    assert hub.requests
    assert path.is_symlink()


def test_a_newer_file_of_the_hub_replaces_a_damaged_one(hub, weights):
    hub_encoder("pvt_v2_b0").resolve().write_bytes(b"wrong")
    hub.announced["X-Repo-Commit"] = "f" * 40
    path = hub_encoder("pvt_v2_b0")
    assert path.read_bytes() == weights
    assert path.parent.name == "f" * 40
    hub.requests.clear()
    assert hub_encoder("pvt_v2_b0") == path
    assert not hub.requests


@pytest.mark.filterwarnings("ignore:.*cache-system uses symlinks:UserWarning")
def test_without_symbolic_links_the_file_itself_is_in_the_snapshot(hub, weights, monkeypatch):
    def forbidden(*_, **__):
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", forbidden)
    path = hub_encoder("pvt_v2_b0")
    assert not path.is_symlink()
    assert path.read_bytes() == weights
    hub.requests.clear()
    assert hub_encoder("pvt_v2_b0") == path
    assert not hub.requests


# -- failures


def test_a_wrong_sha256_is_refused_and_not_kept(hub, cache):
    hub.announced["X-Linked-Etag"] = f'"{"0" * 64}"'
    message = refused("pvt_v2_b0")
    assert "SHA-256" in message
    assert "000000000000…" in message
    assert "try again" in message
    assert message.endswith(REMEDY)
    assert not files(cache)


@pytest.mark.parametrize("more", [b"x", b"x" * 2**22])
def test_more_bytes_than_announced_are_refused(more, hub, cache):
    size = len(hub.content)
    hub.content += more
    hub.cut_at = hub.silent_at = len(hub.content)
    reports = []
    message = refused("pvt_v2_b0", lambda *numbers: reports.append(numbers))
    assert message.startswith("more arrives than the Hub announced")
    assert all(done <= total == size for done, total in reports)
    assert not files(cache)


def test_a_mirror_may_send_the_file_itself(hub, weights):
    hub.status = 200
    hub.announced["ETag"] = f"W/{hub.announced.pop('X-Linked-Etag')}"
    del hub.announced["X-Linked-Size"]
    assert hub_encoder("pvt_v2_b0").read_bytes() == weights


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Linked-Etag", '"d41d8cd98f00b204e9800998ecf8427e"'),
        ("X-Linked-Etag", ""),
        ("X-Repo-Commit", "../../../.."),
        ("X-Repo-Commit", ""),
        ("X-Linked-Size", "many"),
    ],
)
def test_a_server_must_announce_what_it_sends(name, value, hub, cache):
    hub.announced[name] = value
    assert "does not announce SHA-256 and size" in refused("pvt_v2_b0")
    assert not files(cache)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, f"127.0.0.1 has no {REPO}/model.safetensors."),
        (401, "127.0.0.1 gives no access (status 401)"),
        (403, "127.0.0.1 gives no access (status 403)"),
        (429, "127.0.0.1 answers with status 429, try again later."),
        (503, "127.0.0.1 answers with status 503, try again later."),
    ],
)
def test_a_hub_that_refuses_is_asked_once(status, words, hub, cache):
    hub.status = status
    message = refused("pvt_v2_b0")
    assert message.startswith(words)
    assert message.endswith(REMEDY)
    assert len(hub.requests) == 1
    assert not files(cache)


@pytest.mark.usefixtures("no_waiting")
def test_a_connection_that_breaks_off_again_and_again(hub, cache, weights):
    hub.cut_at = 3_000_000
    message = refused("pvt_v2_b0")
    total = f"{len(weights) / 1e6:.1f}"
    received = re.escape(f" of {total} MB.{REMEDY}")
    pattern = rf"the connection to localhost broke off after (2\.9|3\.0){received}"
    assert re.fullmatch(pattern, message)
    assert not files(cache)


@pytest.mark.usefixtures("no_waiting")
def test_a_connection_that_breaks_off_once_is_resumed(hub, weights):
    hub.cut_at = 3_000_000

    def progress(done: int, _: int) -> None:
        if done > 2_000_000:
            hub.cut_at = len(weights)

    assert hub_encoder("pvt_v2_b0", progress).read_bytes() == weights


@pytest.mark.usefixtures("no_waiting")
def test_a_connection_that_falls_silent(hub, cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    hub.silent_at = 2_000_000
    assert "broke off after" in refused("pvt_v2_b0")
    assert not files(cache)


def test_a_server_that_never_answers(use, cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert refused("pvt_v2_b0").startswith("no connection to 127.0.0.1. Download ")
    assert not files(cache)


def test_without_a_server_nothing_is_repeated_and_the_message_says_what_to_do(
    nobody, use, cache, monkeypatch
):
    use(nobody)
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    assert refused("pvt_v2_b0") == f"no connection to 127.0.0.1.{REMEDY}"
    assert not waits
    assert not files(cache)


@pytest.mark.usefixtures("no_waiting")
def test_a_storage_that_is_out_of_reach_is_named(hub, nobody):
    hub.storage = nobody.replace("127.0.0.1", "localhost")
    assert refused("pvt_v2_b0").startswith("no connection to localhost. Download ")


def test_in_offline_mode_nothing_is_requested(hub, use, cache):
    use(hub.url, offline=True)
    message = refused("pvt_v2_b0")
    assert message == f"HF_HUB_OFFLINE is set, which forbids every connection.{REMEDY}"
    assert not hub.requests
    assert not files(cache)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_an_unknown_certificate_is_refused(hub, use, tmp_path):
    made = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *made, *subject],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    hub.socket = context.wrap_socket(hub.socket, server_side=True)
    use(f"https://localhost:{hub.server_port}")
    message = refused("pvt_v2_b0")
    assert message.startswith("localhost shows a certificate that is not trusted here. Download ")
    assert not hub.requests


def test_a_proxy_is_used(hub, use, monkeypatch, weights):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, hub.url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    hub.storage = "http://storage.invalid"
    use("http://hub.invalid")
    assert hub_encoder("pvt_v2_b0").read_bytes() == weights
    *asked, sent = (path for _, path, _ in hub.requests)
    assert set(asked) == {f"http://hub.invalid/{REPO}/resolve/main/model.safetensors"}
    assert sent == "http://storage.invalid/blob"


# -- stopping


def test_a_stop_ends_the_download_and_leaves_nothing(hub, cache):
    stop, received = threading.Event(), []

    def progress(done: int, _: int) -> None:
        received.append(done)
        if done > 1_000_000:
            stop.set()

    with pytest.raises(FetchStopped):
        hub_encoder("pvt_v2_b0", progress, stop)
    assert received[-1] < 1_200_000
    assert not files(cache)
    assert hub_encoder("pvt_v2_b0", None, threading.Event()).exists()


def test_a_stop_while_the_connection_is_silent_is_no_error(hub, cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    hub.silent_at = 2_000_000
    stop = threading.Event()
    threading.Thread(target=lambda: hub.silent.wait() and stop.set(), daemon=True).start()
    with pytest.raises(FetchStopped):
        hub_encoder("pvt_v2_b0", None, stop)
    assert not hub.go_on.is_set()
    assert len([path for _, path, _ in hub.requests if path == "/blob"]) == 1
    assert not files(cache)


@pytest.mark.parametrize(
    "raised", [KeyboardInterrupt, ValueError("of the caller"), OSError(5, "x")]
)
def test_what_progress_raises_passes_and_leaves_nothing(raised, hub, cache):
    def progress(*_: int) -> None:
        raise raised

    with pytest.raises(type(raised) if isinstance(raised, Exception) else raised):
        hub_encoder("pvt_v2_b0", progress)
    assert not files(cache)


# -- a cache that cannot be used


def test_a_cache_below_a_file_is_refused_before_anything_is_sent(hub, cache):
    cache.parent.write_text("a file")
    reports = []
    message = refused("pvt_v2_b0", lambda *numbers: reports.append(numbers))
    assert f"the Hub's cache {cache} cannot be used (Not a directory)" in message
    assert "HF_HOME" in message
    assert not reports


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_a_cache_without_permission(hub, cache):
    cache.mkdir(parents=True)
    cache.chmod(0o500)
    assert "Permission denied" in refused("pvt_v2_b0")
    cache.chmod(0o700)


def test_a_full_disk_keeps_nothing(hub, cache, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as short:
        short.setattr(huggingface_hub.file_download, "http_get", full)
        assert "(No space left on device); set HF_HOME" in refused("pvt_v2_b0")
    assert not files(cache)


# -- timm's file as a start


def test_timms_file_starts_a_network_whatever_it_is_called(weights, tmp_path):
    for name in ("model.safetensors", "encoder.pth"):
        (tmp_path / name).write_bytes(weights)
        assert initialize_checkpoint(tmp_path / name).config.encoder == "pvt_v2_b0"


def test_timms_file_without_classifier_or_in_half_precision(weights, tmp_path):
    tensors = safetensors.torch.load(weights)
    body = {name: each.half() for name, each in tensors.items() if not name.startswith("head.")}
    safetensors.torch.save_file(body, tmp_path / "half.safetensors")
    started = initialize_checkpoint(tmp_path / "half.safetensors")
    name = "patch_embed.proj.weight"
    found = started.network().encoder.state_dict()[name]
    torch.testing.assert_close(found, body[name].float(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("cut", "cut short"),
        ("header", "header is damaged"),
        ("surplus", "it is damaged"),
        ("bfloat16", "save it as float32"),
        ("missing", "not have the shapes of a PVTv2"),
        ("other", "not a PVTv2 encoder file"),
        ("nan", "not finite"),
    ],
)
def test_safetensors_that_are_not_an_encoder(change, words, weights, tmp_path):
    tensors = safetensors.torch.load(weights)
    if change == "bfloat16":
        tensors = {name: each.bfloat16() for name, each in tensors.items()}
    elif change == "missing":
        del tensors["stages.3.norm.weight"]
    elif change == "other":
        tensors = {f"encoder.{name}": each for name, each in tensors.items()}
    elif change == "nan":
        tensors["stages.3.norm.weight"][0] = torch.nan
    content = safetensors.torch.save(tensors)
    damaged = {
        "cut": content[:-9],
        "header": content[:8] + b"{" + content[30:],
        "surplus": content + b"surplus",
    }
    path = tmp_path / "model.safetensors"
    path.write_bytes(damaged.get(change, content))
    with pytest.raises(CheckpointError, match=rf"^model\.safetensors .*{words}.*\.$"):
        initialize_checkpoint(path)


# -- in a terminal


@pytest.fixture
def folder(tmp_path):
    """Return a folder of two images of a disc."""
    y, x = np.mgrid[:64, :64]
    disc = ((y - 30) ** 2 + (x - 34) ** 2 < 200).astype(np.uint8)
    for kind, pixels in (("images", 50 + 100 * disc), ("labels", disc)):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(pixels).save(tmp_path / "data" / kind / f"{number}.png")
    return tmp_path / "data"


def arguments(folder: Path, *more: str) -> list[str]:
    settings = ("epochs=1", "crop=64", "batch=1", "crops_per_epoch=1", "learning_rate=1e-12")
    quick = [part for each in settings for part in ("--set", each)]
    output = str(folder.parent / "run")
    return ["train", str(folder), "--output", output, "--device", "cpu", *quick, *more]


@pytest.mark.parametrize("start", ["imagenet", "imagenet:pvt_v2_b0", "model.safetensors"])
def test_training_starts_from_imagenet(start, hub, folder, tmp_path, weights, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("model.safetensors").write_bytes(weights)
    assert main(arguments(folder, "--start", start, "--model", "size=64")) == 0
    captured = capsys.readouterr()
    size = f"{len(weights) / 1e6:.1f}"
    assert (f"pvt_v2_b0: {size} of {size} MB" in captured.err.splitlines()) == bool(hub.requests)
    started = initialize_checkpoint("model.safetensors").tensors
    trained = read_checkpoint(captured.out.strip()).tensors
    name = "encoder.stages_2.blocks.1.mlp.fc1.weight"
    np.testing.assert_allclose(trained[name], started[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        (["--start", "imagenet", "--model", "encoder=pvt_v2_b2"], "b2"),
        (["--start", "imagenet:pvt_v2_b3"], "b3"),
        (["--start", "imagenet:"], "b0"),
    ],
)
def test_the_encoder_is_chosen(more, asked, hub, folder, capsys):
    hub.status = 404
    assert main(arguments(folder, *more)) == 2
    assert hub.requests[0][1].startswith(f"/timm/pvt_v2_{asked}.in1k/")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"napari-emcad: pvt_v2_{asked} cannot be fetched: 127.0.0.1 has no ")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--start", "imagenet:resnet50"], "There is no encoder resnet50"),
        (["--start", "imagenet", "--model", "encoder=5"], "There is no encoder 5"),
        (
            ["--start", "imagenet:pvt_v2_b0", "--model", "encoder=pvt_v2_b1"],
            "encoder: the tensors of the file say otherwise",
        ),
    ],
)
def test_usage_errors_end_with_status_2(more, words, hub, folder, capsys):
    assert main(arguments(folder, *more)) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def environment(home: Path, url: str) -> dict[str, str]:
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
    return kept | {"HF_HOME": str(home), "HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0"}


def test_a_terminal_without_connection_ends_with_status_2(nobody, use, folder, cache, capfd):
    use(nobody)
    assert main(arguments(folder, "--start", "imagenet")) == 2
    assert capfd.readouterr().err == (
        f"napari-emcad: pvt_v2_b0 cannot be fetched: no connection to 127.0.0.1.{REMEDY}\n"
    )
    assert not files(cache.parent)


@pytest.mark.slow("src/napari_emcad/io/checkpoints", "src/napari_emcad/cli")
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_the_fetch_and_leaves_nothing(hub, folder, cache):
    hub.silent_at = 2_000_000
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_emcad.cli", *arguments(folder, "--start", "imagenet")],
        env=environment(cache.parent, hub.url),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells' "&" ignores it
    )
    assert hub.silent.wait(300)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert not hub.go_on.is_set()  # the hub is still silent: nothing else has ended the process
    assert process.returncode == 130
    assert errors.splitlines() == ["napari-emcad: interrupted; files that were complete stay."]
    assert not files(cache.parent)


@pytest.mark.parametrize("module", ["io.checkpoints.hub", "io.checkpoints.initialize", "cli.train"])
def test_importing_loads_no_client(module):
    program = f"import sys, napari_emcad.{module}; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    heavy = {"huggingface_hub", "requests", "httpx", "httpx2", "torch", "timm", "tqdm"}
    assert heavy.isdisjoint(ended.stdout.split())
