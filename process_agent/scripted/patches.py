"""Patches in the format of Codex's `apply_patch` tool."""

from __future__ import annotations

import difflib

_CONTEXT_LINES = 3


def add_file(path: str, content: str) -> str:
    """A patch that creates a file, or overwrites it."""
    lines = "".join(f"+{line}\n" for line in _lines(content))
    return _patch(f"*** Add File: {path}\n{lines}")


def delete_file(path: str) -> str:
    """A patch that deletes a file."""
    return _patch(f"*** Delete File: {path}\n")


def update_file(path: str, old: str, new: str) -> str:
    """A patch that changes the content `old` into `new`.

    A file without lines has no context to name, so it is written anew.
    """
    if not old:
        return add_file(path, new)
    before, after = _lines(old), _lines(new)
    hunks: list[str] = []
    for group in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_grouped_opcodes(
        _CONTEXT_LINES
    ):
        hunks.append("@@\n")
        for tag, a_from, a_to, b_from, b_to in group:
            if tag == "equal":
                hunks.extend(f" {line}\n" for line in before[a_from:a_to])
            else:
                hunks.extend(f"-{line}\n" for line in before[a_from:a_to])
                hunks.extend(f"+{line}\n" for line in after[b_from:b_to])
        if group[-1][2] == len(before):
            hunks.append("*** End of File\n")
    return _patch(f"*** Update File: {path}\n{''.join(hunks)}")


def _lines(content: str) -> list[str]:
    return content.removesuffix("\n").split("\n")


def _patch(body: str) -> str:
    return f"*** Begin Patch\n{body}*** End Patch\n"
