"""Which threads a retention rule lets go. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from process_agent.core.store import ThreadEntry
from process_agent.errors import UsageError

_AGE = re.compile(r"(\d{1,5})(d|h|w|m)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Rule:
    """Threads that nobody used for `age` go, but never the latest `keep` ones."""

    age: timedelta
    keep: int = 0


def age_of(flag: str, text: str) -> timedelta:
    """An age like `90d`, `12w`, `36h` or `30m`. Raises `UsageError`."""
    found = _AGE.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise UsageError(f"{flag} is no age: {text[:80]!r}.", fix="Write it like 90d, 12w, 36h or 30m.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def outdated(entries: Sequence[ThreadEntry], rule: Rule, now: datetime) -> list[ThreadEntry]:
    """The threads to remove, the oldest first: last used before `rule.age`, and not among the latest
    `rule.keep`.
    """
    latest = sorted(entries, key=lambda each: (each.modified_at, each.path), reverse=True)
    limit = now - rule.age
    return [entry for entry in reversed(latest[rule.keep :]) if entry.modified_at < limit]
