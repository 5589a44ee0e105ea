"""What people and models are told about files. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from process_agent.workspaces.changes import Change

MAX_DIFF: Final = 200_000
"""Characters of a diff that is shown; what is longer is cut between two files, and the text says so."""

MAX_NAMED: Final = 30
"""Files that a text names one by one."""

NOTHING = "No turn of this thread changed a file here, as far as is known."
NOTHING_BACK = "There is nothing to take back: as far as is known, no turn of this thread changed a file."
ALL_BACK = "There is nothing more to take back: every turn of this thread that changed files was taken back."
NOTHING_AGAIN = "There is nothing to bring back: `/undo` took nothing back that `/redo` has not brought back."
RUNNING_BESIDE = (
    "Nothing was changed: a turn works in the same folder now. Try again when it has ended; with "
    "`--workspace per-thread` the threads of an agent do not get in each other's way."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A diff as it is shown, and what is left out of it."""

    diff: str
    left_out: int


def shown(diff: str) -> Shown:
    """A diff cut to what is shown."""
    if len(diff) <= MAX_DIFF:
        return Shown(diff, 0)
    kept, left = list[str](), 0
    room = MAX_DIFF
    for part in _by_file(diff):
        room -= len(part)
        if room >= 0:
            kept.append(part)
        else:
            left += 1
    return Shown("".join(kept), left)


def counted(diff: str) -> tuple[int, int]:
    """Lines added and removed."""
    added = removed = 0
    inside = False
    for line in diff.split("\n"):
        if line.startswith("diff --git "):
            inside = False
        elif line.startswith("@@ "):
            inside = True
        elif inside and line.startswith("+"):
            added += 1
        elif inside and line.startswith("-"):
            removed += 1
    return added, removed


def lines_text(diff: str) -> str:
    """How many lines a diff adds and removes, in words."""
    added, removed = counted(diff)
    return f"{'1 line' if added == 1 else f'{added:,} lines'} added, {removed:,} removed"


def diff_text(who: str, changes: Sequence[Change], diff: str, notes: Iterable[str] = ()) -> str:
    """What `/diff` says beside the diff itself."""
    head = f"{who}: {files(len(changes))} changed, {lines_text(diff)}."
    return "\n".join([head, "", *_listed(changes), *_cut(shown(diff)), *_apart(notes)])


def named(path: str) -> str:
    """A path in a text; bytes that are no text, and what would end the line, are shown as such."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "`" + "".join(c if c.isprintable() and c != "`" else "\ufffd" for c in text) + "`"


def several(paths: Sequence[str], most: int = MAX_NAMED) -> str:
    """Paths in a line."""
    return ", ".join(map(named, paths[:most])) + ("…" if len(paths) > most else "")


def files(number: int) -> str:
    """So many files."""
    return "1 file" if number == 1 else f"{number:,} files"


def done_text(command: str, changes: Sequence[Change], other: str) -> str:
    """What `/undo` and `/redo` say when they did it."""
    what = "Took back what a turn changed" if command == "/undo" else "Brought back what was taken back"
    lines = [f"- {named(c.path)}: {_DONE[c.verb]}" for c in changes[:MAX_NAMED]]
    return "\n".join([f"{what}: {files(len(changes))}.", "", *lines, *_more(changes), "", other])


def refused_text(command: str, reasons: Mapping[str, str]) -> str:
    """Why nothing was done, file by file."""
    lines = [f"- {named(path)}: {why}" for path, why in list(reasons.items())[:MAX_NAMED]]
    kept = "taken back" if command == "/undo" else "brought back"
    more = [f"- and {len(reasons) - MAX_NAMED:,} more"] if len(reasons) > MAX_NAMED else []
    return "\n".join([f"Nothing was {kept}, and no file was touched:", "", *lines, *more])


def note(command: str, changes: Sequence[Change]) -> str:
    """What the model must know."""
    what = "took back" if command == "/undo" else "brought back"
    state = "As before it again" if command == "/undo" else "Taken back before, and there again"
    head = f"The user {what} the file changes of an earlier turn of yours. {state}:"
    lines = [f"- {named(c.path)} ({_NOTED[c.verb]})" for c in changes[:MAX_NAMED]]
    return "\n".join([head, *lines, *_more(changes), "Read files again before you rely on what they held."])


_DONE = {"added": "put back", "deleted": "removed", "changed": "as it was"}
_NOTED = {"added": "there again", "deleted": "gone again", "changed": "content as before"}


def _listed(changes: Sequence[Change]) -> list[str]:
    return [f"- {named(change.path)}: {change.verb}" for change in changes[:MAX_NAMED]] + _more(changes)


def _more(changes: Sequence[Change]) -> list[str]:
    return [f"- and {len(changes) - MAX_NAMED:,} more"] if len(changes) > MAX_NAMED else []


def _cut(shown: Shown) -> list[str]:
    if not shown.left_out:
        return []
    return ["", f"The diff is too long to be shown in full: {files(shown.left_out)} left out."]


def _apart(notes: Iterable[str]) -> list[str]:
    found = list(notes)
    return ["", *found] if found else []


def _by_file(diff: str) -> list[str]:
    parts = diff.split("\ndiff --git ")
    return [parts[0] + "\n", *(f"diff --git {part}\n" for part in parts[1:-1]), f"diff --git {parts[-1]}"]
