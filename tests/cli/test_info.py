"""``napari-emcad info``: what a checkpoint is, and what its file does not contain."""

from __future__ import annotations

import json

import pytest

from napari_emcad import cli, initialize_checkpoint, write_checkpoint


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Return a function: a command line's exit status, standard output and standard error."""

    def run(*arguments):
        status = cli.main([str(each) for each in arguments])
        messages = capsys.readouterr()
        return status, messages.out, messages.err

    return run


def test_info_describes_the_bundled_checkpoint(run):
    status, out, err = run("info")
    assert (status, err) == (0, "")
    for words in ("PVTv2-B0 + EMCAD", "1 nucleus", "3.92 M parameters", "finest head", "tiled"):
        assert words in out


def test_info_as_json_has_every_field(run):
    status, out, err = run("info", "--json")
    content = json.loads(out)
    assert (status, err) == (0, "")
    assert content["parameters"] == 3_916_795
    assert content["config"]["encoder"] == "pvt_v2_b0"
    assert content["config"]["kernel_sizes"] == [1, 3, 5]
    assert content["classes"] == [{"name": "nucleus", "colour": "#f5b041"}]
    assert content["preprocessing"]["size"] is None
    assert content["format"] == "native"
    assert len(content["sha256"]) == 64
    assert content["assumed"] == []


def test_info_names_what_a_published_file_does_not_contain(run, folder):
    write_checkpoint(initialize_checkpoint(), folder / "polyps.pth")
    _, out, _ = run("info", "polyps.pth")
    assert out.startswith("polyps\n")
    assert "The file does not contain: activation, branches, preprocessing, prediction" in out


def test_info_shows_overridden_settings(run, folder):
    write_checkpoint(initialize_checkpoint(), folder / "polyps.pth")
    settings = ("activation=relu", "dw_parallel=false", "head=sum", "size=256", 'classes=["polyp"]')
    sets = [each for setting in settings for each in ("--set", setting)]
    _, out, _ = run("info", "polyps.pth", "--json", *sets)
    content = json.loads(out)
    assert content["config"]["activation"] == "relu"
    assert content["config"]["dw_parallel"] is False
    assert content["head"] == "sum"
    assert content["preprocessing"]["size"] == [256, 256]
    assert content["classes"][0]["name"] == "polyp"
    assert content["assumed"] == []
