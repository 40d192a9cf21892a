"""A lock on a folder, so that only one process at a time writes to it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import pytest

from napari_emcad.io.folder_lock import FolderLockedError, folder_lock

LOCK_FOR_A_MINUTE = """
import sys, time
from pathlib import Path
from napari_emcad.io.folder_lock import folder_lock

with folder_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_locked_once_and_no_file_stays(tmp_path):
    for _ in range(2):
        with folder_lock(tmp_path):
            with pytest.raises(FolderLockedError), folder_lock(tmp_path):
                pass
            with pytest.raises(FolderLockedError), folder_lock(tmp_path):
                pass
        assert not list(tmp_path.iterdir())


def test_a_lock_may_be_released_in_another_thread(tmp_path):
    lock = folder_lock(tmp_path)
    locking = threading.Thread(target=lock.__enter__)
    locking.start()
    locking.join()
    with pytest.raises(FolderLockedError), folder_lock(tmp_path):
        pass
    lock.__exit__(None, None, None)
    with folder_lock(tmp_path):
        pass


def test_the_lock_of_a_killed_process_does_not_count(tmp_path):
    command = [sys.executable, "-c", LOCK_FOR_A_MINUTE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(FolderLockedError), folder_lock(tmp_path):
            pass
        other.kill()
    with folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:flock not supported:UserWarning")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_written_to_all_the_same(number, tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def unsupported(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as caught, folder_lock(tmp_path / "file" / "folder"):
        pass
    assert not isinstance(caught.value, FolderLockedError)
