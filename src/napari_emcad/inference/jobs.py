"""Jobs are generators of events that return a result; here is how they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

Result = TypeVar("Result")


def run_job(
    job: Generator[Any, None, Result], on_event: Callable[[Any], object] | None = None
) -> Result:
    """Run a job to its end and return its result.

    Parameters
    ----------
    job
        Generator of events.
    on_event
        Called with each event.
    """
    while True:
        try:
            event = next(job)
        except StopIteration as end:
            result: Result = end.value
            return result
        if on_event is not None:
            on_event(event)


def relay_job(
    job: Generator[Any, None, Result], convert: Callable[[Any], Iterable[Any]]
) -> Generator[Any, None, Result]:
    """Yield the events that `convert` makes of a job's events, and return the job's result.

    Parameters
    ----------
    job
        Generator of events. It is run to its end, because a generator that is closed early keeps
        its network alive.
    convert
        Returns the events to yield for an event: none to drop it.
    """
    while True:
        try:
            event = next(job)
        except StopIteration as end:
            result: Result = end.value
            return result
        yield from convert(event)
