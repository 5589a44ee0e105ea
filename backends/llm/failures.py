"""What went wrong with a model, as people and programs see it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from process_agent.core.content import ErrorInfo
from process_agent.core.discretion import without_addresses, without_secrets
from process_agent.core.providers import ModelProvider
from process_agent.errors import HttpError
from process_agent.wire.llm.events import ApiError, ErrorKind

PASSING: Final = frozenset(
    {
        *(ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED, ErrorKind.SERVER),
        *(ErrorKind.CUT, ErrorKind.GARBLED, ErrorKind.UNREACHABLE, ErrorKind.SILENT),
    }
)
"""What may be over in a moment."""

_HTTP: Final[Mapping[str, ErrorKind]] = {
    "connect": ErrorKind.UNREACHABLE,
    "silent": ErrorKind.SILENT,
    "cut": ErrorKind.CUT,
    "long": ErrorKind.LONG,
    "large": ErrorKind.LONG,
}

_SAID: Final[Mapping[ErrorKind, tuple[str, str]]] = {
    ErrorKind.AUTH: (
        "model_auth_failed",
        "{who} does not accept the key: {key} has to be set anew.",
    ),
    ErrorKind.FORBIDDEN: ("model_forbidden", "{who} does not allow this"),
    ErrorKind.QUOTA: ("model_quota_exceeded", "The account with {who} has no credit left"),
    ErrorKind.NOT_FOUND: ("model_not_found", "{who} has no model {model!r} for this account"),
    ErrorKind.BAD_REQUEST: ("model_request_refused", "{who} refused the request"),
    ErrorKind.TOO_LARGE: ("model_request_too_large", "The message is too large for {who}"),
    ErrorKind.CONTEXT_LENGTH: (
        "context_window_exceeded",
        "The conversation does not fit into the context of {model}, not even summarised. Start a new thread, "
        "or choose a model with a larger context.",
    ),
    ErrorKind.RATE_LIMITED: (
        "model_rate_limited",
        "{who} gets too many requests of this account",
    ),
    ErrorKind.OVERLOADED: ("model_overloaded", "{who} is overloaded at the moment"),
    ErrorKind.SERVER: ("model_server_error", "{who} has a problem of its own"),
    ErrorKind.CUT: ("model_answer_cut", "The connection to {who} broke before the answer was complete."),
    ErrorKind.GARBLED: ("model_answer_garbled", "{who} answered something that is no answer of a model."),
    ErrorKind.UNREACHABLE: ("model_unreachable", "{who} cannot be reached"),
    ErrorKind.SILENT: ("model_silent", "{who} did not answer in time."),
    ErrorKind.LONG: ("model_answer_too_long", "The answer of {who} did not end in time."),
}
"""Code and beginning of the text, by kind. A text without a full stop goes on with what the provider says."""


def http_failure(error: HttpError) -> ApiError:
    """A connection that failed, as an error of the provider; its message is the cause, if that is known."""
    return ApiError(_HTTP[error.kind], error.message.partition(": ")[2])


def told(error: ApiError, provider: ModelProvider, model: str) -> ErrorInfo:
    """The error without addresses and keys."""
    code, text = _SAID[error.kind]
    who = provider.friendly_name
    text = text.format(who=who, model=model, key=provider.key_variable or "its key")
    said = without_addresses(without_secrets(error.message, [provider.key])).rstrip(".")
    if not text.endswith("."):
        text = f"{text}: {said}." if said else f"{text}."
    if error.retry_after:
        text += f" It asks to try again in {_duration(error.retry_after)}."
    return ErrorInfo(text, code)


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {name}s"
    return f"{max(round(seconds), 1)} s"


def waiting(error: ApiError, provider: ModelProvider, seconds: float) -> str:
    """What people read while a call is tried again."""
    what = {
        ErrorKind.RATE_LIMITED: "gets too many requests",
        ErrorKind.OVERLOADED: "is overloaded",
        ErrorKind.UNREACHABLE: "cannot be reached",
        ErrorKind.SILENT: "said nothing",
    }.get(error.kind, "failed")
    return f"{provider.friendly_name} {what}, trying again in {max(round(seconds), 1)} s"
