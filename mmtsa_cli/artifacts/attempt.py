"""What came of a task that another process did: its result, or its error, to be raised again where it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Outcome(Generic[T]):
    """The result of a task, or its error. An error that is raised in a process would kill the others."""

    def __init__(self, result: T | None = None, error: Exception | None = None) -> None:
        self.result, self.error = result, error

    def value(self) -> T:
        """Return the result, or raise the error as it was raised."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]


def attempt(function: Callable[..., T], task: tuple[Any, ...]) -> Outcome[T]:
    """Call `function(*task)` and return what came of it."""
    try:
        return Outcome(function(*task))
    except Exception as error:  # noqa: BLE001 - raised again in the process that asked
        return Outcome(error=error)
