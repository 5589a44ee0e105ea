"""Codex's errors as a sentence and a code."""

from __future__ import annotations

import re
from typing import Any

from backends.codex.shapes import as_dict
from process_agent.core.content import ErrorInfo
from process_agent.core.discretion import without_addresses, without_secrets
from process_agent.errors import ProcessError, RemoteError

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

LAST_LINES = 5
LAST_CHARACTERS = 1_000
"""How much of its standard error is passed on when the app-server ends."""

LOG_IN = (
    "The login or key that pays for the model is refused or has expired. Whoever runs the agent can log in "
    "again with `process login codex`, which counts from the next turn on, or start it with a valid key."
)
TURN_OVER = ErrorInfo("The turn ended before it took this up; send it as a new turn.", "turn_ended")
_SIGN_IN = re.compile(r"\b(?:sign|log) ?in again\b", re.IGNORECASE)


def last_words(status: int | None, said: str, secret: str | None) -> str:
    """How the app-server ended: its exit status and the end of what it wrote to standard error.

    Without addresses, colours and keys; `secret` is the key of its provider.
    """
    ended = "it ended" if status is None else f"exit status {status}"
    if status is not None and status < 0:
        ended = f"killed by signal {-status}"
    text = without_secrets(_COLOUR.sub("", said), [secret])
    lines = [without_addresses(line) for line in text.splitlines() if line.strip()][-LAST_LINES:]
    return f"{ended}: {' / '.join(lines)[-LAST_CHARACTERS:]}" if lines else f"{ended}, it said nothing"


def snake_case(name: str) -> str:
    """`contextWindowExceeded` as `context_window_exceeded`."""
    return _CAPITAL.sub("_", name).lower()


def turn_error(error: object) -> ErrorInfo:
    """The `error` of a failed turn (schema `TurnError`); its `codexErrorInfo` becomes the code.

    The info is a name, or an object with one name that may hold an HTTP status, or missing.
    """
    members = as_dict(error)
    name, status = _info(members.get("codexErrorInfo"))
    message = without_addresses(str(members.get("message") or "")) or "The turn failed without saying why."
    if status is not None and str(status) not in message:
        message = f"{message} (HTTP {status})"
    if name == "unauthorized" or status == 401 or _SIGN_IN.search(message):
        return ErrorInfo(f"{message.rstrip('.')}. {LOG_IN}", "unauthorized")
    return ErrorInfo(message, "codex_turn_failed" if name in ("", "other") else snake_case(name))


def retry_message(error: object) -> str:
    """What an `error` notification with `willRetry` says, with its details."""
    members = as_dict(error)
    parts = [str(members.get(name) or "") for name in ("message", "additionalDetails")]
    return without_addresses(": ".join(part for part in parts if part)) or "Trying again."


def refused(error: ProcessError, code: str) -> ErrorInfo:
    """An error of ours, or an answer of Codex to one of our requests."""
    if isinstance(error, RemoteError):
        return ErrorInfo(f"Codex refused: {without_addresses(error.message)}", code)
    return ErrorInfo(without_addresses(str(error)), code)


def steer_refused(error: ProcessError) -> ErrorInfo:
    """Why Codex does not take more input for a turn (page section 5)."""
    if isinstance(error, RemoteError) and "no active turn" in error.message:
        return TURN_OVER
    return refused(error, "codex_turn_steer_failed")


def _info(value: Any) -> tuple[str, int | None]:
    if isinstance(value, str):
        return value, None
    if isinstance(value, dict) and value:
        name, detail = next(iter(value.items()))
        status = as_dict(detail).get("httpStatusCode")
        return str(name), status if isinstance(status, int) else None
    return "", None
