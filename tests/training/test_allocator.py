"""Freed memory is retained while training, and returned at any end."""

from __future__ import annotations

import pytest

from napari_emcad.training import allocator


class Library:
    """Records the calls of the C library."""

    def __init__(self):
        self.calls = []

    def mallopt(self, parameter, size):
        self.calls.append((parameter, size))

    def malloc_trim(self, _):
        self.calls.append("trim")


def test_memory_is_returned_even_after_an_error(monkeypatch):
    library = Library()
    monkeypatch.setattr(allocator, "_glibc", lambda: library)
    during = []

    def failing():
        during.extend(library.calls)
        raise RuntimeError

    with pytest.raises(RuntimeError), allocator.retain_freed_memory():
        failing()
    assert {size for _, size in during} == {allocator._LARGE}
    assert library.calls[len(during) :][-1] == "trim"
    assert {size for _, size in library.calls[len(during) : -1]} == {allocator._DEFAULT}


def test_without_glibc_nothing_is_done(monkeypatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    with allocator.retain_freed_memory():
        pass
