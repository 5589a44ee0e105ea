"""What Lance refuses, in words for the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa

from process_agent.room_server.toolkit import INVALID_REQUEST, NOT_FOUND, OPERATION_FAILED, ToolError

PANIC: Final = "PanicException"
"""The class of what native code raises when it fails; it cannot be imported."""


class Preempted(ToolError):
    """Another write was committed first; nothing was done, and it can be done again."""


def missing_table(label: str) -> ToolError:
    """The error clients wait for: thread storage creates the table when the text says this."""
    return ToolError(f"table {label} does not exist", code=NOT_FOUND)


def attempt(work: Callable[[], Any]) -> Any:
    """Run a Lance call. Raises `ToolError` for what Lance refuses."""
    try:
        return work()
    except (ValueError, OSError, RuntimeError, pa.ArrowException) as error:
        raise engine_error(error) from error


def guarded[T](work: Callable[..., T], *arguments: Any) -> T:
    """Native code that panics on a caller's data must not take the room along, nor leave him waiting."""
    try:
        return work(*arguments)
    except BaseException as error:
        if type(error).__name__ != PANIC:
            raise
        raise ToolError("the table engine failed on this", code=OPERATION_FAILED) from error


def is_refusal(error: ToolError) -> bool:
    """Whether the engine did not want these rows, as against a disk that is full or a table that is gone."""
    cause = error.__cause__
    if type(cause).__name__ == PANIC:
        return True
    return error.code == INVALID_REQUEST and isinstance(cause, ValueError | pa.ArrowException)


def engine_error(error: Exception) -> ToolError:
    """What Lance said, without the source lines of its own code and without file paths."""
    text = str(error).split(", /home/", 1)[0].splitlines()[0] if str(error) else type(error).__name__
    text = text.removeprefix("Invalid user input: ").removeprefix("LanceError")
    return ToolError(f"the table engine refused this: {text[:500]}")
