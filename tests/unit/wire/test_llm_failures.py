from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from process_agent.wire.llm.events import ErrorKind
from process_agent.wire.llm.failures import http_error, stream_error
from process_agent.wire.llm.waits import MAX_RETRY_AFTER


def error(status: int, body: Any = None, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return http_error(status, names, body if isinstance(body, bytes) else json.dumps(body).encode(), now)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": {"code": "invalid_api_key", "message": "m"}}, ErrorKind.AUTH),
        (401, {"type": "error", "error": {"type": "authentication_error", "message": "m"}}, ErrorKind.AUTH),
        (403, {"error": "no"}, ErrorKind.FORBIDDEN),
        (402, {}, ErrorKind.QUOTA),
        (429, {"error": {"type": "insufficient_quota", "message": "m"}}, ErrorKind.QUOTA),
        (429, {"error": {"type": "rate_limit_error", "message": "m"}}, ErrorKind.RATE_LIMITED),
        (404, {"error": {"type": "not_found_error", "message": "m"}}, ErrorKind.NOT_FOUND),
        (400, {"error": {"type": "invalid_request_error", "message": "m"}}, ErrorKind.BAD_REQUEST),
        (400, {"error": {"code": "context_length_exceeded", "message": "m"}}, ErrorKind.CONTEXT_LENGTH),
        (
            400,
            {
                "error": {
                    "type": "invalid_request_error",
                    "message": "prompt is too long: 9 tokens > 8 maximum",
                }
            },
            ErrorKind.CONTEXT_LENGTH,
        ),
        (400, {"detail": "This model's maximum context length is 8 tokens"}, ErrorKind.CONTEXT_LENGTH),
        (413, {"error": {"type": "request_too_large", "message": "m"}}, ErrorKind.TOO_LARGE),
        (422, {"detail": [{"loc": []}]}, ErrorKind.BAD_REQUEST),
        (500, b"oops", ErrorKind.SERVER),
        (503, b"", ErrorKind.OVERLOADED),
        (529, {"error": {"type": "overloaded_error", "message": "m"}}, ErrorKind.OVERLOADED),
        (
            400,
            [{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}],
            ErrorKind.BAD_REQUEST,
        ),
        (302, b"", ErrorKind.BAD_REQUEST),
    ],
)
def test_kinds(status: int, body: Any, kind: ErrorKind) -> None:
    assert error(status, body).kind is kind


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry_after": "7"}, {}, 7.0),
        ({"retry_after": "1.5"}, {}, 1.5),
        ({"retry_after_ms": "250", "retry_after": "1"}, {}, 0.25),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:00 GMT"}, {}, 60.0),
        ({"retry_after": "Thu, 01 Jan 2015 00:01:00 GMT"}, {}, 0.0),
        ({"retry_after": "soon"}, {}, None),
        ({"retry_after": "nan"}, {}, None),
        ({"retry_after": "1e99"}, {}, MAX_RETRY_AFTER),
        ({}, {"error": {"retry_after": 3, "message": "m"}}, 3.0),
        ({}, {"error": {"message": "Please try again in 20s."}}, 20.0),
        ({}, {"error": {"message": "Please try again in 300ms."}}, 0.3),
        ({}, {"error": {"message": "Please try again in 6m0s. Visit us."}}, 360.0),
        ({}, {"error": {"message": "Please try again in 1h2m3.5s."}}, 3_723.5),
        ({}, {"error": {"message": "Please try again in 2m."}}, 120.0),
        ({}, {"error": {"message": "Please try again in 5 minutes or so."}}, None),
        ({}, {"error": {"message": "Please try again in a moment."}}, None),
        ({"x_ratelimit_reset": "1767225630000"}, {}, 30.0),
        ({"x_ratelimit_reset": "1767225630"}, {}, 30.0),
        ({"x_ratelimit_reset": "30"}, {}, None),
        ({"x_ratelimit_reset": "1s"}, {}, None),
        (
            {},
            {"error": {"message": "m", "metadata": {"headers": {"X-RateLimit-Reset": "1767225660000"}}}},
            60.0,
        ),
        ({}, {}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], body: Any, seconds: float | None) -> None:
    assert error(429, body, **headers).retry_after == seconds


def test_web_pages_say_nothing_and_other_text_is_kept() -> None:
    assert error(502, b"<html>Bad gateway</html>", content_type="text/html").message == ""
    assert error(502, b"upstream\nis gone").message == "upstream is gone"
    assert error(500, {"error": {"message": "x" * 9000}}).message == "x" * 2000


def test_errors_inside_a_stream() -> None:
    assert stream_error({"code": "server_error", "message": "m"}).kind is ErrorKind.SERVER
    wrapped = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}
    assert stream_error(wrapped).kind is ErrorKind.OVERLOADED
    assert stream_error({"error": {"code": "context_length_exceeded", "message": "m"}}).kind is (
        ErrorKind.CONTEXT_LENGTH
    )


def test_a_status_as_code_inside_a_stream_counts() -> None:
    """As OpenRouter tells what happened after the answer began."""
    for code, kind in ((429, ErrorKind.RATE_LIMITED), (502, ErrorKind.SERVER), (402, ErrorKind.QUOTA)):
        assert stream_error({"error": {"code": code, "message": "m"}, "choices": []}).kind is kind
    assert stream_error({"error": {"code": 7, "message": "m"}}).kind is ErrorKind.SERVER
