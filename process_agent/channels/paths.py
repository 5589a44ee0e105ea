"""Paths of threads as queue items, callers and letters name them (agent protocol, section 9). Pure.

`reports/{YYYY}-{MM}-{DD}` is a thread below the agent's thread folder; `dataset://…` is the id of a thread
and taken as it is. Whether the agent may use such an id decides the thread store.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from process_agent.core.ids import ThreadId
from process_agent.errors import UsageError

SCHEME = "dataset://"

MAX_PATH = 1_000
"""Characters of a path."""

MAX_PARTS = 8
"""Folders and name of a relative path."""

MAX_PART = 100
"""Characters of one folder or name."""

_TOKEN = re.compile(r"\{([^{}]+)\}")
_EXACT = {"MM": "%m", "mm": "%M"}
"""`MM` is the month and `mm` the minute, so these two compare with case."""
_NAMES = {
    "%Y": ("YYYY", "YEAR"),
    "%y": ("YY", "YR"),
    "%m": ("MONTH", "MON"),
    "%d": ("DD", "DAY"),
    "%H": ("HH", "HOUR"),
    "%M": ("MINUTE", "MIN"),
    "%S": ("SS", "SECOND", "SEC"),
}
_BY_NAME = {name: code for code, names in _NAMES.items() for name in names}
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")


def expand(template: str, now: datetime) -> str:
    """Fill in `{YYYY}`, `{MM}` and so on from a time, in UTC; tokens that are not known stay."""
    moment = now.astimezone(UTC)

    def value(found: re.Match[str]) -> str:
        code = _EXACT.get(found[1]) or _BY_NAME.get(found[1].upper())
        return found[0] if code is None else moment.strftime(code)

    return _TOKEN.sub(value, template)


def thread_id_of(path: str, directory: str, now: datetime) -> ThreadId:
    """The thread a path means; `directory` is the agent's thread folder, like `dataset://agents/bot/threads`.

    Characters that a table's name cannot have become `-`, and an ending `.thread` is dropped. Raises
    `UsageError` for a path that can name no thread of the agent.
    """
    path = expand(path.strip(), now)
    if not path or len(path) > MAX_PATH:
        raise UsageError(f"The path of a thread has 1 to {MAX_PATH} characters.")
    if path.startswith((SCHEME, directory + "/")):
        return ThreadId(path)
    if "://" in path:
        raise UsageError(f"{path!r} is no path of a thread.", fix=f"Write a name, or {directory}/NAME.")
    parts = path.removesuffix(".thread").strip("/").split("/")
    if len(parts) > MAX_PARTS or any(part.strip() in ("", ".", "..") for part in parts):
        raise UsageError(
            f"{path!r} is no path of a thread.",
            fix=f"It has 1 to {MAX_PARTS} names with / between them, none of them . or ..",
        )
    return ThreadId("/".join((directory, *map(_fit, parts))))


def _fit(part: str) -> str:
    fit = _UNFIT.sub("-", part.strip()).lstrip(".")
    if not fit or len(fit) > MAX_PART:
        raise UsageError(f"{part[:MAX_PART]!r} has not 1 to {MAX_PART} characters that can name a thread.")
    return fit
