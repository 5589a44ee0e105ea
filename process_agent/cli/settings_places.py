"""Where a `process.toml` can be, and which profile of it counts. Light: every command asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = "process.toml"
NO_FILES: Final = "none"
"""As the name of a profile: no file counts."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where files are looked for."""

    user: Path
    """The user's folder of settings."""
    work: Path

    @property
    def own(self) -> Path:
        """The user's file."""
        return self.user / NAME

    @property
    def here(self) -> Path | None:
        """The working folder's file; None where that is the user's own."""
        return None if self.work == self.user else self.work / NAME

    @property
    def any(self) -> bool:
        """Whether there is a file at all."""
        return self.own.exists() or (self.here is not None and self.here.exists())


def profile_named(flag: str | None, variable: str | None) -> tuple[str | None, bool]:
    """The profile of `--profile`, else of the environment, and whether files count at all."""
    name = flag or variable
    return (None, False) if name == NO_FILES else (name, True)
