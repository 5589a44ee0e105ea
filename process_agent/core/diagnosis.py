"""What `process doctor` finds: the words for it, and the port of backends that can be asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

type Level = Literal["ok", "warning", "error"]

EXIT_CODES: Final[dict[Level, int]] = {"ok": 0, "warning": 1, "error": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fix` says what to do about a warning or an error; `text` holds no key,
    no token and no address with a password.
    """

    subject: str
    level: Level
    text: str
    fix: str | None = None


def fine(subject: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(subject, "ok", text)


def warning(subject: str, text: str, fix: str) -> Finding:
    """It works, and something is not as it should be."""
    return Finding(subject, "warning", text, fix)


def failure(subject: str, text: str, fix: str) -> Finding:
    """Something does not work."""
    return Finding(subject, "error", text, fix)


def worst(findings: Iterable[Finding]) -> Level:
    """The gravest level there is."""
    levels = {finding.level for finding in findings}
    return "error" if "error" in levels else "warning" if "warning" in levels else "ok"


@runtime_checkable
class Living(Protocol):
    """A backend whose turns need a program of their own that runs."""

    @property
    def alive(self) -> bool:
        """Whether that program runs."""
        ...


@runtime_checkable
class Diagnosable(Protocol):
    """A backend that can say what it would start with, without being started."""

    async def diagnose(self) -> Sequence[Finding]:
        """Program, version and login, as `start` would find them. Raises nothing that it can tell as a
        finding, and changes nothing.
        """
        ...
