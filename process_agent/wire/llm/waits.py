"""How long a provider asks to be left alone, in whatever form it says so. Pure.

`retry-after` in seconds or as a date (all of them), `retry-after-ms` (OpenAI on Azure), `retry_after` in the
error (gateways), `X-RateLimit-Reset`, a moment in milliseconds since 1970, as a header and in the error's
`metadata.headers` (OpenRouter), and words: "Please try again in 6m0s" (OpenAI).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

MAX_RETRY_AFTER: Final = 7 * 24 * 3600.0

_IN_WORDS: Final = re.compile(
    r"try again in (?=\d)(?:(\d+) ?h)?(?:(\d+) ?m(?!s))?(?:(\d+(?:\.\d+)?) ?(ms|s))?(?!\w)", re.IGNORECASE
)

_MOMENT: Final = 1e9
_MILLISECONDS: Final = 1e11
"""From here on a number of seconds, of milliseconds, is a moment since 1970 and no while."""


def wait_of(headers: Mapping[str, str], raw: Any, message: str, now: datetime | None) -> float | None:
    """Seconds from `now`, None where nothing is said. `headers` have lower-case names, `raw` is the body."""
    for seconds in _told(headers, raw, message, now):
        if seconds is not None:
            return min(max(seconds, 0.0), MAX_RETRY_AFTER)
    return None


def _told(headers: Mapping[str, str], raw: Any, message: str, now: datetime | None) -> Iterator[float | None]:
    milliseconds = _number(headers.get("retry-after-ms"))
    yield None if milliseconds is None else milliseconds / 1000
    after = headers.get("retry-after")
    yield _number(after)
    yield _until_date(after, now)
    inner = _member(raw, "error")
    for holder in (raw, inner):
        found = _member(holder, "retry_after")
        yield float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
    yield _in_words(message)
    yield _until_reset(headers.get("x-ratelimit-reset"), now)
    yield _until_reset(_member(_member(_member(inner, "metadata"), "headers"), "X-RateLimit-Reset"), now)


def _until_date(text: str | None, now: datetime | None) -> float | None:
    if text is None or now is None:
        return None
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()


def _until_reset(value: object, now: datetime | None) -> float | None:
    """Only a moment: others count seconds there, or say "1s", of limits that were not the cause."""
    moment = _number(value if isinstance(value, str) else None)
    if moment is None or now is None or moment < _MOMENT:
        return None
    return (moment / 1000 if moment >= _MILLISECONDS else moment) - now.timestamp()


def _in_words(message: str) -> float | None:
    match = _IN_WORDS.search(message)
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds, unit = match.groups()
    last = float(seconds or 0) * (0.001 if (unit or "").lower() == "ms" else 1)
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + last


def _member(holder: object, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return None if number is None or math.isnan(number) else number
