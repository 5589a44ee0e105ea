"""What a turn did to files, and whether it can be taken back. Pure.

A path is relative to the workspace, with `/`; bytes that are no UTF-8 are surrogates, as in `os.fsdecode`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

LINK: Final = 0o120000
EXECUTABLE: Final = 0o100755
PLAIN: Final = 0o100644


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as Git names it: one of three modes, and the hash of its content (of a link, its target)."""

    mode: int
    blob: str


class Odd(Enum):
    """Something is there that is no file, link or folder, or cannot be read."""

    ODD = "odd"


type State = Entry | Odd | None
"""What is at a path now; None for nothing."""


@dataclass(frozen=True, slots=True)
class Change:
    """One path before and after; None where nothing was there."""

    path: str
    before: Entry | None
    after: Entry | None

    @property
    def inverted(self) -> Change:
        """The change that takes this one back."""
        return Change(self.path, self.after, self.before)

    @property
    def verb(self) -> str:
        """What the change does, in a word."""
        if self.before is None:
            return "added"
        return "deleted" if self.after is None else "changed"


def still_to_do(
    changes: Iterable[Change], state: Callable[[str], State]
) -> tuple[list[Change], list[Change]]:
    """Of changes to be made now, those whose path is as it was before them, and those that somebody else
    touched. A path that is already as the change would make it needs nothing.
    """
    to_do, touched = [], []
    for change in changes:
        now = state(change.path)
        if now == change.before:
            to_do.append(change)
        elif now != change.after:
            touched.append(change)
    return to_do, touched


def merged(steps: Sequence[Sequence[Change]]) -> list[Change]:
    """What several turns did, one after the other, to each path: from its state before the first to that
    after the last; what ends as it began is left out.
    """
    first: dict[str, Entry | None] = {}
    last: dict[str, Entry | None] = {}
    for changes in steps:
        for change in changes:
            first.setdefault(change.path, change.before)
            last[change.path] = change.after
    return [Change(path, first[path], last[path]) for path in sorted(first) if first[path] != last[path]]


def inside(path: str, *, anywhere: bool = False) -> bool:
    """Whether a path stays in the folder it is relative to, and, unless `anywhere` there will do, out of
    repositories' own files.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in path:
        return False
    return anywhere or all(part.lower() != ".git" for part in parts)
