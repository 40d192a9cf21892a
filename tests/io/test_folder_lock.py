"""A folder that one process at a time writes to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_emcad.io.folder_lock import FolderLockedError, folder_lock

HOLD = """
import sys, time
from pathlib import Path
from napari_emcad.io.folder_lock import folder_lock

with folder_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_held_once_and_let_go(tmp_path):
    for _ in range(2):
        with folder_lock(tmp_path):
            with pytest.raises(FolderLockedError), folder_lock(tmp_path):
                pass
            with pytest.raises(FolderLockedError), folder_lock(tmp_path):
                pass
        assert not list(tmp_path.iterdir())


def test_a_process_that_is_killed_holds_nothing(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(FolderLockedError), folder_lock(tmp_path):
            pass
        other.kill()
    with folder_lock(tmp_path):
        pass


def test_a_disk_without_locks_is_written_to_all_the_same(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    with folder_lock(tmp_path):
        pass
