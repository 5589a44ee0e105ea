"""How much of a login's allowance is used (schema `RateLimitSnapshot`), said when it matters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from backends.codex.shapes import as_dict

THRESHOLDS: Final = (75, 90, 95, 100)
"""Per cent of a window from which on it is said, once each until the window begins anew."""

_DAY: Final = 24 * 60


class RateLimits:
    """What Codex said of the limits so far. Updates are sparse: what one leaves out still holds."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], int] = {}
        self._reached: dict[str, str] = {}

    def update(self, params: Mapping[str, Any]) -> list[str]:
        """Sentences about what has become worth knowing with an `account/rateLimits/updated`."""
        limits = as_dict(params.get("rateLimits"))
        limit = str(limits.get("limitName") or limits.get("limitId") or "")
        found = [self._window(limit, name, as_dict(limits.get(name))) for name in ("primary", "secondary")]
        return [text for text in (*found, self._end(limit, limits)) if text is not None]

    def _window(self, limit: str, name: str, window: Mapping[str, Any]) -> str | None:
        used = window.get("usedPercent")
        if not isinstance(used, int):
            return None
        passed = max((each for each in THRESHOLDS if used >= each), default=0)
        before = self._said.get((limit, name), 0)
        self._said[limit, name] = passed
        if passed <= before:
            return None
        whose = f" of {limit}" if limit not in ("", "codex") else ""
        return f"{used} % of the {_length(window)}limit{whose} of this Codex login is used{_reset(window)}."

    def _end(self, limit: str, limits: Mapping[str, Any]) -> str | None:
        reached = limits.get("rateLimitReachedType")
        if not isinstance(reached, str):
            return None
        before, self._reached[limit] = self._reached.get(limit), reached
        return None if reached == before else f"The limit of this Codex login is reached ({reached})."


def _length(window: Mapping[str, Any]) -> str:
    minutes = window.get("windowDurationMins")
    if not isinstance(minutes, int) or minutes <= 0:
        return ""
    if minutes % _DAY == 0:
        return f"{minutes // _DAY}-day "
    return f"{minutes // 60}-hour " if minutes % 60 == 0 else f"{minutes}-minute "


def _reset(window: Mapping[str, Any]) -> str:
    at = window.get("resetsAt")
    if not isinstance(at, int) or not 0 < at < 2**33:
        return ""
    return f"; it begins anew on {datetime.fromtimestamp(at, UTC):%d %B at %H:%M} UTC"
