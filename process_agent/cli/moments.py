"""Times as people type them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from process_agent.errors import UsageError

_AGO = re.compile(r"(\d{1,6})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def moment(flag: str, text: str | None, now: datetime) -> datetime | None:
    """A day or time of `now`'s time zone unless it names another, or so long ago: `7d`, `12h`, `30m`.

    Raises `UsageError`.
    """
    if text is None:
        return None
    text = text.strip()
    if (ago := _AGO.fullmatch(text)) is not None:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{flag} is no time: {text[:80]!r}.", fix="Write it like 2026-11-30, 2026-11-30T12:00 or 7d."
        ) from None
    return found if found.tzinfo else found.astimezone()
