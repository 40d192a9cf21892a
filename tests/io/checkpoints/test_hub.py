"""Encoders from the hub arrive whole and verified, or not at all with a sentence that says why."""

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
    """A hub that points to a store under another name, as the real one does."""

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content = content
        self.told = {
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "X-Repo-Commit": COMMIT,
        }
        self.store = f"http://localhost:{self.server_port}"
        self.status = 302
        self.cut_at = self.silent_at = len(content)
        self.go_on = threading.Event()
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Say nothing of clients that leave early."""


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def do_GET(self):
        hub, path = self.server, urlsplit(self.path).path
        hub.asked.append((self.command, self.path, dict(self.headers)))
        if path.startswith("/timm/"):
            self.send_response(hub.status)
            for name, value in hub.told.items():
                self.send_header(name, value)
            if hub.status == 302:
                self.send_header("Location", f"{hub.store}/blob")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(hub.content)))
            self.send_header("ETag", '"the store has its own"')
            self.end_headers()
            self._send()

    def _send(self):
        hub = self.server
        first = min(hub.cut_at, hub.silent_at)
        self.wfile.write(hub.content[:first])
        if hub.silent_at < len(hub.content):
            hub.go_on.wait(30)
        self.wfile.write(hub.content[first : hub.cut_at])
        self.close_connection = hub.cut_at < len(hub.content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def weights():
    """Return timm's own file of an encoder with its classifier, randomly drawn."""
    torch.manual_seed(3)
    tensors = timm.create_model("pvt_v2_b0", pretrained=False).state_dict()
    return safetensors.torch.save(tensors, {"format": "pt"})


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "home" / "hub"


@pytest.fixture
def use(monkeypatch, cache):
    """Return a function that makes the hub's library speak to a server, or to nobody."""
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
    """Let the library make new connections, of what is set now."""
    utils = huggingface_hub.utils
    (getattr(utils, "close_session", None) or utils.reset_sessions)()


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
    """Return an address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def files(folder: Path) -> list[Path]:
    return sorted(each.relative_to(folder) for each in folder.rglob("*") if not each.is_dir())


def refused(*given) -> str:
    with pytest.raises(CheckpointError) as caught:
        hub_encoder(*given)
    said = str(caught.value)
    assert said.startswith("pvt_v2_b0 cannot be fetched: ")
    assert said.endswith(".")
    assert said.splitlines() == [said]
    return said.removeprefix("pvt_v2_b0 cannot be fetched: ")


# -- what arrives


def test_it_arrives_with_progress_where_the_hubs_library_looks_for_it(hub, weights, cache):
    told = []
    path = hub_encoder("pvt_v2_b0", lambda *numbers: told.append(numbers))
    assert path.read_bytes() == weights
    size, digest = len(weights), hashlib.sha256(weights).hexdigest()
    assert {total for _, total in told} == {size}
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) > 50
    assert told[-1] == (size, size)
    folder = Path("models--timm--pvt_v2_b0.in1k")
    assert files(cache) == [
        folder / "blobs" / digest,
        folder / "refs" / "main",
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


def test_one_file_is_asked_for_and_no_token_leaves_the_hub(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub_encoder("pvt_v2_b0")
    first, second = hub.asked
    assert first[:2] == ("GET", f"/{REPO}/resolve/main/model.safetensors")
    assert second[:2] == ("GET", "/blob")
    headers = [{name.lower(): value for name, value in each[2].items()} for each in hub.asked]
    assert headers[0]["authorization"] == "Bearer hf_secret"
    assert "authorization" not in headers[1]


@pytest.mark.parametrize("number", range(6))
def test_each_encoder_has_its_repository(number, hub):
    hub.status = 404
    with pytest.raises(CheckpointError, match=rf"timm/pvt_v2_b{number}\.in1k"):
        hub_encoder(f"pvt_v2_b{number}")
    assert hub.asked[0][1] == f"/timm/pvt_v2_b{number}.in1k/resolve/main/model.safetensors"


def test_an_unknown_encoder_asks_nobody(hub):
    with pytest.raises(CheckpointError, match=r"no encoder pvt_v2_b9; choose one of pvt_v2_b0, "):
        hub_encoder("pvt_v2_b9")
    assert not hub.asked


# -- what is there already


def test_a_file_in_the_cache_is_used_without_a_request(hub, nobody, use):
    path = hub_encoder("pvt_v2_b0")
    hub.asked.clear()
    told = []
    assert hub_encoder("pvt_v2_b0", lambda *numbers: told.append(numbers)) == path
    assert not hub.asked
    assert not told
    use(nobody, offline=True)
    assert hub_encoder("pvt_v2_b0") == path


def test_a_damaged_file_in_the_cache_is_fetched_again(hub, weights):
    path = hub_encoder("pvt_v2_b0")
    path.resolve().write_bytes(weights[:-5] + b"wrong")
    hub.asked.clear()
    assert hub_encoder("pvt_v2_b0").read_bytes() == weights
    assert len(hub.asked) == 2
    assert path.is_symlink()


def test_a_newer_file_of_the_hub_replaces_a_damaged_one(hub, weights):
    hub_encoder("pvt_v2_b0").resolve().write_bytes(b"wrong")
    hub.told["X-Repo-Commit"] = "f" * 40
    path = hub_encoder("pvt_v2_b0")
    assert path.read_bytes() == weights
    assert path.parent.name == "f" * 40
    hub.asked.clear()
    assert hub_encoder("pvt_v2_b0") == path
    assert not hub.asked


def test_without_links_the_file_itself_lies_there(hub, weights, cache, monkeypatch):
    def forbidden(*_):
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", forbidden)
    path = hub_encoder("pvt_v2_b0")
    assert not path.is_symlink()
    assert path.read_bytes() == weights
    assert len(files(cache)) == 2
    hub.asked.clear()
    assert hub_encoder("pvt_v2_b0") == path
    assert not hub.asked


# -- what does not arrive


def test_a_wrong_sha256_is_refused_and_not_kept(hub, cache):
    hub.told["X-Linked-Etag"] = f'"{"0" * 64}"'
    said = refused("pvt_v2_b0")
    assert "sha256" in said
    assert "000000000000…" in said
    assert "try again" in said
    assert said.endswith(REMEDY)
    assert not files(cache)


@pytest.mark.parametrize("more", [b"x", b"x" * 2**22])
def test_more_than_was_told_is_refused(more, hub, cache):
    hub.content += more
    hub.cut_at = hub.silent_at = len(hub.content)
    told = []
    assert "sha256" in refused("pvt_v2_b0", lambda *numbers: told.append(numbers))
    assert 1 <= sum(done == total for done, total in told) <= 2
    assert not files(cache)


def test_a_mirror_may_tell_the_sha256_as_its_own_etag(hub, weights):
    hub.told["ETag"] = f"W/{hub.told.pop('X-Linked-Etag')}"
    del hub.told["X-Linked-Size"]
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
def test_a_server_that_does_not_tell_what_it_sends(name, value, hub, cache):
    hub.told[name] = value
    assert "does not tell its sha256 and size" in refused("pvt_v2_b0")
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
def test_a_hub_that_refuses(status, words, hub, cache):
    hub.status = status
    said = refused("pvt_v2_b0")
    assert said.startswith(words)
    assert said.endswith(REMEDY)
    assert len(hub.asked) == 1
    assert not files(cache)


def test_a_connection_that_breaks_off(hub, cache, weights):
    hub.cut_at = 3_000_000
    said = refused("pvt_v2_b0")
    total = f"{len(weights) / 1e6:.1f}"
    arrived = re.escape(f" of {total} MB.{REMEDY}")
    assert re.fullmatch(rf"the connection to localhost broke off after (2\.9|3\.0){arrived}", said)
    assert not files(cache)


def test_a_connection_that_falls_silent(hub, cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    hub.silent_at = 2_000_000
    assert "broke off after" in refused("pvt_v2_b0")
    assert not files(cache)


def test_a_server_that_never_answers(use, cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert refused("pvt_v2_b0").startswith("no connection to 127.0.0.1. Download ")
    assert not files(cache)


def test_nobody_there_is_said_at_once_with_what_to_do(nobody, use, cache):
    use(nobody)
    began = time.monotonic()
    assert refused("pvt_v2_b0") == f"no connection to 127.0.0.1.{REMEDY}"
    assert time.monotonic() - began < 5
    assert not files(cache)


def test_a_store_that_is_out_of_reach_is_named(hub, nobody):
    hub.store = nobody.replace("127.0.0.1", "localhost")
    assert refused("pvt_v2_b0").startswith("no connection to localhost. Download ")


def test_offline_by_wish_asks_nobody(hub, use, cache):
    use(hub.url, offline=True)
    said = refused("pvt_v2_b0")
    assert said == f"HF_HUB_OFFLINE is set, which forbids every connection.{REMEDY}"
    assert not hub.asked
    assert not files(cache)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_a_certificate_that_nobody_vouches_for_is_refused(hub, use, tmp_path):
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
    said = refused("pvt_v2_b0")
    assert said.startswith("localhost shows a certificate that is not trusted here. Download ")
    assert not hub.asked


def test_a_proxy_is_followed(hub, use, monkeypatch, weights):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, hub.url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    hub.store = "http://store.invalid"
    use("http://hub.invalid")
    assert hub_encoder("pvt_v2_b0").read_bytes() == weights
    assert [each[1] for each in hub.asked] == [
        f"http://hub.invalid/{REPO}/resolve/main/model.safetensors",
        "http://store.invalid/blob",
    ]


# -- stopping


def test_a_stop_ends_it_and_leaves_nothing(hub, cache):
    stop, told = threading.Event(), []

    def progress(done: int, _: int) -> None:
        told.append(done)
        if done > 1_000_000:
            stop.set()

    with pytest.raises(FetchStopped):
        hub_encoder("pvt_v2_b0", progress, stop)
    assert told[-1] < 1_200_000
    assert not files(cache)
    assert hub_encoder("pvt_v2_b0", None, threading.Event()).exists()


def test_a_stop_of_a_silent_connection_is_no_error(hub, cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    hub.silent_at = 2_000_000
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(FetchStopped):
        hub_encoder("pvt_v2_b0", None, stop)
    assert not files(cache)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError("of the caller")])
def test_what_progress_raises_passes_and_leaves_nothing(raised, hub, cache):
    def progress(*_: int) -> None:
        raise raised

    with pytest.raises(type(raised) if isinstance(raised, Exception) else raised):
        hub_encoder("pvt_v2_b0", progress)
    assert not files(cache)


# -- a cache that cannot take it


def test_a_cache_below_a_file_is_refused_before_anything_is_sent(hub, cache):
    cache.parent.write_text("a file")
    told = []
    said = refused("pvt_v2_b0", lambda *numbers: told.append(numbers))
    assert f"the hub's cache {cache} cannot take it (you have no permission" in said
    assert "HF_HOME" in said
    assert not told


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_a_cache_without_permission(hub, cache):
    cache.mkdir(parents=True)
    cache.chmod(0o500)
    assert "no permission" in refused("pvt_v2_b0")
    cache.chmod(0o700)


def test_a_disk_without_room_is_refused_before_anything_is_sent(hub, cache, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    told = []
    said = refused("pvt_v2_b0", lambda *numbers: told.append(numbers))
    assert "it has 5 MB free, 15 MB are needed" in said
    assert not told


def test_a_disk_that_fills_up_keeps_nothing(hub, cache, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as short:
        short.setattr(os, "fsync", full)
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
        ("missing", "shape of no PVTv2"),
        ("other", "not a PVTv2 encoder file"),
        ("nan", "not finite"),
    ],
)
def test_safetensors_that_are_no_encoder(change, words, weights, tmp_path):
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
    said = capsys.readouterr()
    size = f"{len(weights) / 1e6:.1f}"
    assert (f"pvt_v2_b0: {size} of {size} MB" in said.err.splitlines()) == (len(hub.asked) == 2)
    started = initialize_checkpoint("model.safetensors").tensors
    trained = read_checkpoint(said.out.strip()).tensors
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
    assert hub.asked[0][1].startswith(f"/timm/pvt_v2_{asked}.in1k/")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"napari-emcad: pvt_v2_{asked} cannot be fetched: 127.0.0.1 has no ")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--start", "imagenet:resnet50"], "There is no encoder resnet50"),
        (["--start", "imagenet", "--model", "encoder=5"], "There is no encoder 5"),
        (
            ["--start", "imagenet:pvt_v2_b0", "--model", "encoder=pvt_v2_b1"],
            "encoder: the tensors of the file say otherwise",
        ),
    ],
)
def test_mistakes_end_with_status_2(more, said, hub, folder, capsys):
    assert main(arguments(folder, *more)) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def environment(home: Path, url: str) -> dict[str, str]:
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
    return kept | {"HF_HOME": str(home), "HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0"}


def test_a_terminal_without_connection_ends_with_status_2(nobody, folder, cache):
    ended = subprocess.run(
        [sys.executable, "-m", "napari_emcad.cli", *arguments(folder, "--start", "imagenet")],
        env=environment(cache.parent, nobody),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stderr == (
        f"napari-emcad: pvt_v2_b0 cannot be fetched: no connection to 127.0.0.1.{REMEDY}\n"
    )
    assert ended.returncode == 2
    assert not files(cache.parent)


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
    deadline = time.monotonic() + 120
    while len(hub.asked) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert said.splitlines() == ["napari-emcad: interrupted; files that were complete stay."]
    assert not files(cache.parent)


@pytest.mark.parametrize("module", ["io.checkpoints.hub", "io.checkpoints.initialize", "cli.train"])
def test_importing_loads_no_client(module):
    program = f"import sys, napari_emcad.{module}; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    heavy = {"huggingface_hub", "requests", "httpx", "httpx2", "torch", "timm", "tqdm"}
    assert heavy.isdisjoint(ended.stdout.split())
