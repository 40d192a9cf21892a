"""Memory is kept while training, and given back in every ending."""

from __future__ import annotations

import pytest

from napari_emcad.training import allocator


class Library:
    """Notes what it is asked for."""

    def __init__(self):
        self.asked = []

    def mallopt(self, parameter, size):
        self.asked.append((parameter, size))

    def malloc_trim(self, _):
        self.asked.append("trim")


def test_memory_is_given_back_even_after_an_error(monkeypatch):
    library = Library()
    monkeypatch.setattr(allocator, "_glibc", lambda: library)
    kept = []

    def failing():
        kept.extend(library.asked)
        raise RuntimeError

    with pytest.raises(RuntimeError), allocator.retain_freed_memory():
        failing()
    assert {size for _, size in kept} == {allocator._LARGE}
    assert library.asked[len(kept) :][-1] == "trim"
    assert {size for _, size in library.asked[len(kept) : -1]} == {allocator._DEFAULT}


def test_elsewhere_than_on_glibc_nothing_is_done(monkeypatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    with allocator.retain_freed_memory():
        pass
