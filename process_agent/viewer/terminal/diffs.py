"""Unified diffs, as far as a terminal shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from rich.text import Text

from process_agent.viewer.terminal.plain import count, printable

type LineKind = Literal["added", "removed", "hunk", "same", "note"]

STYLES: dict[LineKind, str] = {
    "added": "green",
    "removed": "red",
    "hunk": "cyan",
    "same": "dim",
    "note": "dim italic",
}


@dataclass(slots=True)
class FileDiff:
    """The changes of one file; `verb` is `Added`, `Deleted`, `Renamed` or `Edited`."""

    path: str
    verb: str = "Edited"
    lines: list[tuple[LineKind, str]] = field(default_factory=list)

    @property
    def added(self) -> int:
        """Number of added lines."""
        return sum(1 for kind, _ in self.lines if kind == "added")

    @property
    def removed(self) -> int:
        """Number of removed lines."""
        return sum(1 for kind, _ in self.lines if kind == "removed")


def parse_diff(diff: str) -> list[FileDiff]:
    """The files of a unified diff, with or without `diff --git` lines."""
    files: list[FileDiff] = []
    in_hunk = False
    old = ""
    for line in diff.split("\n"):
        if line.startswith("diff --git "):
            files.append(FileDiff(line.rpartition(" b/")[2] or line))
            in_hunk = False
        elif line.startswith("@@") and files:
            files[-1].lines.append(("hunk", line))
            in_hunk = True
        elif in_hunk and (kind := _KINDS.get(line[:1])) is not None:
            files[-1].lines.append((kind, line if kind == "note" else line[1:]))
        elif line.startswith("--- "):
            old, in_hunk = _path(line[4:]), False
        elif line.startswith("+++ "):
            _name(files, old, _path(line[4:]))
        elif files and not in_hunk:
            _note_header(files[-1], line)
    return files


_KINDS: dict[str, LineKind] = {"+": "added", "-": "removed", " ": "same", "\\": "note"}


def _path(text: str) -> str:
    name = text.split("\t", 1)[0].strip()
    return name[2:] if name.startswith(("a/", "b/")) else name


def _name(files: list[FileDiff], old: str, new: str) -> None:
    """A `---`/`+++` pair starts a file unless a `diff --git` line did."""
    if not files or files[-1].lines:
        files.append(FileDiff(new))
    current = files[-1]
    if old == "/dev/null":
        current.path, current.verb = new, "Added"
    elif new == "/dev/null":
        current.path, current.verb = old, "Deleted"
    else:
        current.path = new


def _note_header(file: FileDiff, line: str) -> None:
    if line.startswith("new file"):
        file.verb = "Added"
    elif line.startswith("deleted file"):
        file.verb = "Deleted"
    elif line.startswith("rename from "):
        file.verb = "Renamed"
    elif line.startswith("Binary files"):
        file.lines.append(("note", line))


type Mood = Literal["done", "to do", "not done"]
"""Whether changes were made, may still be, or will not be."""

_TO_DO = {"Added": "Add", "Deleted": "Delete", "Renamed": "Rename", "Edited": "Edit", "Changed": "Change"}


def summary(files: Iterable[FileDiff], mood: Mood = "done") -> Text:
    """`Edited a.py +3 −1, Added b.py +10`, or the number of files when there are more than three. What is not
    done yet is `Edit a.py`, and what never will be `Would have edited a.py`.
    """
    listed = list(files)
    added, removed = sum(f.added for f in listed), sum(f.removed for f in listed)
    if len(listed) > 3:
        verb = _verb("Changed", mood, first=True)
        return Text.assemble((f"{verb} ", "bold"), count(len(listed), "file"), *_numbers(added, removed))
    text = Text()
    for position, file in enumerate(listed):
        text.append(", " if position else "")
        text.append(f"{_verb(file.verb, mood, first=position == 0)} ", "bold")
        text.append(printable(file.path))
        for part, style in _numbers(file.added, file.removed):
            text.append(part, style)
    return text


def _verb(done: str, mood: Mood, *, first: bool) -> str:
    if mood == "done":
        return done
    if mood == "to do":
        return _TO_DO[done]
    return f"Would have {done.lower()}" if first else done.lower()


def _numbers(added: int, removed: int) -> Iterator[tuple[str, str]]:
    if added:
        yield f" +{added}", STYLES["added"]
    if removed:
        yield f" −{removed}", STYLES["removed"]


def body(files: list[FileDiff], limit: int) -> Iterator[Text]:
    """The lines in colour, at most `limit`; with several files each begins with its name."""
    left = limit
    total = sum(len(f.lines) for f in files)
    for file in files:
        if left <= 0:
            break
        if len(files) > 1:
            yield Text(printable(file.path), "bold", no_wrap=True, overflow="ellipsis")
        for kind, line in file.lines[:left]:
            sign = {"added": "+", "removed": "-", "same": " "}.get(kind, "")
            yield Text(sign + printable(line), STYLES[kind], no_wrap=True, overflow="ellipsis")
        left -= len(file.lines)
    if total > limit:
        yield Text(f"… {count(total - limit, 'more line')}; /output shows all", STYLES["note"])
