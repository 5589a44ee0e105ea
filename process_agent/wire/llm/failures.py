"""What went wrong, from an HTTP answer or an error inside a stream. Shapes: gateway page, section 4.8."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from process_agent.wire.llm.events import ApiError, ErrorKind
from process_agent.wire.llm.waits import wait_of

MAX_MESSAGE: Final = 2_000
"""Characters of a provider's message that are kept."""

_KINDS: Final[Mapping[str, ErrorKind]] = {
    "authentication_error": ErrorKind.AUTH,
    "invalid_api_key": ErrorKind.AUTH,
    "permission_error": ErrorKind.FORBIDDEN,
    "invalid_authentication_error": ErrorKind.AUTH,
    "permission_denied_error": ErrorKind.FORBIDDEN,
    "insufficient_quota": ErrorKind.QUOTA,
    "credit_balance_exhausted": ErrorKind.QUOTA,
    "enforced_spend_limit_reached": ErrorKind.QUOTA,
    "exceeded_current_quota_error": ErrorKind.QUOTA,
    "billing_error": ErrorKind.QUOTA,
    "usage_limit_reached": ErrorKind.QUOTA,
    "not_found_error": ErrorKind.NOT_FOUND,
    "resource_not_found_error": ErrorKind.NOT_FOUND,
    "model_not_found": ErrorKind.NOT_FOUND,
    "request_too_large": ErrorKind.TOO_LARGE,
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH,
    "rate_limit_error": ErrorKind.RATE_LIMITED,
    "rate_limit_exceeded": ErrorKind.RATE_LIMITED,
    "rate_limit_reached_error": ErrorKind.RATE_LIMITED,
    "engine_overloaded_error": ErrorKind.OVERLOADED,
    "overloaded_error": ErrorKind.OVERLOADED,
    "server_is_overloaded": ErrorKind.OVERLOADED,
    "slow_down": ErrorKind.OVERLOADED,
    "api_error": ErrorKind.SERVER,
    "server_error": ErrorKind.SERVER,
    "timeout_error": ErrorKind.SERVER,
}
"""By the `type` or `code` of an error. Others (like invalid_request_error) say no more than the status."""

_STATUSES: Final[Mapping[int, ErrorKind]] = {
    401: ErrorKind.AUTH,
    402: ErrorKind.QUOTA,
    403: ErrorKind.FORBIDDEN,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.SERVER,
    409: ErrorKind.SERVER,
    413: ErrorKind.TOO_LARGE,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.OVERLOADED,
    529: ErrorKind.OVERLOADED,
}

_TOO_LONG: Final = re.compile(
    r"prompt is too long|maximum context length|context (?:window|length)|too many (?:input )?tokens"
    r"|input (?:is )?(?:length|too long)|exceeds? the (?:model'?s )?(?:maximum )?context",
    re.IGNORECASE,
)
"""How servers say that a conversation does not fit, which have no code for it."""


def http_error(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> ApiError:
    """The error behind an HTTP answer that is none of success. `headers` have lower-case names."""
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raw = None
    code, message = _members(raw)
    if not message:
        message = _plain(body, headers.get("content-type", ""))
    kind = _kind(code, message, status)
    return ApiError(kind, message[:MAX_MESSAGE], code, status, wait_of(headers, raw, message, now))


def stream_error(raw: object) -> ApiError:
    """The error inside a stream that began well: an `error` object, or one that holds it. OpenRouter's has
    the status as code that the whole answer would have had.
    """
    code, message = _members(raw)
    kind = _kind(code, message, _status(raw))
    return ApiError(kind, message[:MAX_MESSAGE], code, None, wait_of({}, raw, message, None))


def _status(raw: Any) -> int | None:
    inner = raw.get("error") if isinstance(raw, dict) else None
    code = (inner if isinstance(inner, dict) else raw if isinstance(raw, dict) else {}).get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else None


def _members(raw: Any) -> tuple[str, str]:
    """Code and message in whatever shape they come."""
    if isinstance(raw, list) and raw:
        raw = raw[0]
    if not isinstance(raw, dict):
        return "", raw if isinstance(raw, str) else ""
    inner = raw.get("error")
    if isinstance(inner, str):
        return _first(raw, "code"), inner
    if isinstance(inner, dict):
        raw = inner
    known = [str(raw[name]) for name in ("code", "type") if isinstance(raw.get(name), str)]
    code = next((name for name in known if name in _KINDS), known[0] if known else "")
    return code, _first(raw, "message", "detail", "error_description")


def _first(raw: Mapping[str, Any], *names: str) -> str:
    return next((raw[name] for name in names if isinstance(raw.get(name), str) and raw[name]), "")


def _kind(code: str, message: str, status: int | None) -> ErrorKind:
    if code in _KINDS:
        return _KINDS[code]
    if status in (None, 400, 413, 422) and _TOO_LONG.search(message):
        return ErrorKind.CONTEXT_LENGTH
    if status is None:
        return ErrorKind.BAD_REQUEST if code.startswith("invalid_") else ErrorKind.SERVER
    if status in _STATUSES:
        return _STATUSES[status]
    return ErrorKind.SERVER if status >= 500 else ErrorKind.BAD_REQUEST


def _plain(body: bytes, content_type: str) -> str:
    """The text of a body that is no JSON; web pages of proxies say nothing to people."""
    if "html" in content_type:
        return ""
    return " ".join(body[: 4 * MAX_MESSAGE].decode("utf-8", "replace").split())
