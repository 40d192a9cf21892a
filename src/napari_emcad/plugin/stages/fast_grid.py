"""Show many layers in napari's grid without repeating the same work for every layer.

- For n layers napari asks for the position of all layers in every cell, once per overlay, and every
  answer counts the visible layers: n⁴ steps, 8 s of CPU time for 34 maps. Nothing changes while the
  grid is switched on, so each answer is computed once (`enable_grid`).
- It arranges all layers again whenever one is shown or hidden: 2.5 s for 34 maps. Only the last
  change of several has to (`set_visible`).

Both leave napari's answers as they are; an unknown version of napari works as slowly as without.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari.components.grid import GridCanvas
    from napari.layers import Layer

_METHODS = ("actual_shape", "position", "contents_at")
_ARRANGING = ("_update_scenegraph", "_update_layer_overlays")
"""Methods of napari's canvas that arrange all layers, and the overlays of one."""


def set_visible(visible: Mapping[Layer, bool], arrange: bool = True) -> None:
    """Show and hide layers; napari arranges them once, after the last change.

    Parameters
    ----------
    visible
        Whether to show each layer; those that already are as wanted are not touched.
    arrange
        False if a grid is switched on afterwards, which arranges all layers anyway.
    """
    changed = [layer for layer, value in visible.items() if layer.visible != value]
    quiet = len(changed) - arrange
    for layer in changed[:quiet]:
        with _without_arranging(layer.events.visible):
            layer.visible = visible[layer]
    for layer in changed[quiet:]:
        layer.visible = visible[layer]


def enable_grid(grid: GridCanvas, **fields: Any) -> None:
    """Set fields of a grid that is off, and switch it on; napari arranges all layers once."""
    for name, value in fields.items():
        with _without_arranging(getattr(grid.events, name)):
            setattr(grid, name, value)
    with _remembered_positions(grid):
        grid.enabled = True


@contextmanager
def _without_arranging(event: Any) -> Iterator[None]:
    """Keep an event from arranging all layers of the viewer."""
    blocked = [method for method in map(_resolve, event.callbacks) if _arranges(method)]
    for method in blocked:
        event.block(method)
    try:
        yield
    finally:
        for method in blocked:
            event.unblock(method)


def _resolve(callback: Any) -> Any:
    """Return a callback as napari calls it; methods are stored as a weak reference and a name."""
    if isinstance(callback, tuple):
        owner, name = callback
        return getattr(owner(), name, None)
    return callback


def _arranges(callback: Any) -> bool:
    method = callback.func if isinstance(callback, partial) else callback
    return getattr(method, "__name__", "") in _ARRANGING


@contextmanager
def _remembered_positions(grid: GridCanvas) -> Iterator[None]:
    """Let a grid answer the same question about the same layers once, within a ``with`` block.

    No layer may be added, removed, shown or hidden within the block.
    """
    for name in _METHODS:
        vars(grid)[name] = _remember(getattr(grid, name))
    try:
        yield
    finally:
        for name in _METHODS:
            vars(grid).pop(name, None)  # setting a field gives pydantic models another dictionary


def _remember(method: Callable[..., Any]) -> Callable[..., Any]:
    answers: dict[tuple[Any, ...], Any] = {}

    def answer(*arguments: Any, **named: Any) -> Any:
        key = tuple(
            id(value) if isinstance(value, MutableSequence) else value
            for value in (*arguments, *named.values())
        )
        key += tuple(named)
        if key not in answers:
            answers[key] = method(*arguments, **named)
        return answers[key]

    return answer
