"""Patches in the format of Codex's `apply_patch` tool."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_CONTEXT_LINES = 3

type _Hunk = list[tuple[str, int, int, int, int]]
"""Opcodes of difflib: what happens, then from and to in the old and in the new lines."""


def add_file(path: str, content: str) -> str:
    """A patch that creates a file, or overwrites it."""
    lines = "".join(f"+{line}\n" for line in _lines(content))
    return _patch(f"*** Add File: {path}\n{lines}")


def delete_file(path: str) -> str:
    """A patch that deletes a file."""
    return _patch(f"*** Delete File: {path}\n")


def update_file(path: str, old: str, new: str) -> str:
    """A patch that changes the content `old` into `new`.

    Hunks carry no line numbers, only context, so they get as much of it as it takes to be found where they
    belong. A file without lines has no context to name, so it is written anew.
    """
    if not old:
        return add_file(path, new)
    before, after = _lines(old), _lines(new)
    for context in (_CONTEXT_LINES, 4 * _CONTEXT_LINES, len(before)):
        # a new matcher each time: grouping cuts the matcher's own opcodes
        changes = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
        hunks = list(changes.get_grouped_opcodes(context))
        if _are_found(hunks, before):
            break
    text = "".join(_hunk(hunk, before, after) for hunk in hunks)
    return _patch(f"*** Update File: {path}\n{text}")


def _are_found(hunks: Sequence[_Hunk], before: Sequence[str]) -> bool:
    """Whether each hunk's lines are met first at the right place, looking from the hunk before it."""
    at = 0
    for hunk in hunks:
        start, end = hunk[0][1], hunk[-1][2]
        wanted = before[start:end]
        found = next(n for n in range(at, start + 1) if before[n : n + len(wanted)] == wanted)
        if found != start:
            return False
        at = end
    return True


def _hunk(hunk: _Hunk, before: Sequence[str], after: Sequence[str]) -> str:
    lines = ["@@\n"]
    for tag, a_from, a_to, b_from, b_to in hunk:
        if tag == "equal":
            lines.extend(f" {line}\n" for line in before[a_from:a_to])
        else:
            lines.extend(f"-{line}\n" for line in before[a_from:a_to])
            lines.extend(f"+{line}\n" for line in after[b_from:b_to])
    if hunk[-1][2] == len(before):
        lines.append("*** End of File\n")
    return "".join(lines)


def _lines(content: str) -> list[str]:
    return content.removesuffix("\n").split("\n")


def _patch(body: str) -> str:
    return f"*** Begin Patch\n{body}*** End Patch\n"
