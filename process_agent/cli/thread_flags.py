"""Flags that say what an agent keeps of its threads, and for how long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from process_agent.core.redaction import Redaction
    from process_agent.threads.kept.retention import Rule

KEYS = "keys"
NONE = "none"

Redact = Annotated[
    list[str] | None,
    typer.Option(
        "--redact",
        metavar="WHAT",
        help="Cover in what is stored, beside your own credentials: keys (forms of keys and tokens that are "
        "known), or a regular expression. none: store everything as it is. Repeatable.",
    ),
]


ThreadRetention = Annotated[
    str | None,
    typer.Option(
        "--thread-retention",
        metavar="AGE",
        help="Delete threads that nobody used for so long, like 90d, 12w or 36h; never one that is open. "
        "[default: keep all]",
    ),
]


@dataclass(frozen=True, slots=True)
class ThreadFlags:
    """What is covered: `own` credentials, `keys` of known form, and patterns; and which threads go."""

    own: bool = True
    keys: bool = False
    patterns: tuple[re.Pattern[str], ...] = ()
    retention: Rule | None = None

    def redaction(self, values: Iterable[str | None]) -> Redaction:
        """The rules, with the credentials that the agent knows."""
        from process_agent.core.redaction import Redaction

        known = [value for value in values if value] if self.own else []
        return Redaction(known, keys=self.keys, patterns=self.patterns)


def thread_flags(redact: list[str] | None, retention: str | None = None) -> ThreadFlags:
    """The flags, checked. Raises `UsageError`."""
    rule = None
    if retention is not None:
        from process_agent.threads.kept.retention import Rule, age_of

        rule = Rule(age_of("--thread-retention", retention))
    said = list(dict.fromkeys(redact or ()))
    if NONE in said:
        if len(said) > 1:
            raise UsageError("--redact none goes with no other --redact.")
        return ThreadFlags(own=False, retention=rule)
    patterns = tuple(pattern("--redact", text) for text in said if text != KEYS)
    return ThreadFlags(keys=KEYS in said, patterns=patterns, retention=rule)


def pattern(flag: str, text: str) -> re.Pattern[str]:
    """A regular expression that finds something. Raises `UsageError`."""
    try:
        found = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"{flag} {text[:200]!r} is not a regular expression: {error}.") from error
    if found.search("") is not None:
        raise UsageError(
            f"{flag} {text[:200]!r} fits nothing at all.", fix="Say at least one character of it."
        )
    return found
