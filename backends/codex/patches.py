"""File changes as unified diffs, the form every client draws."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, Final

from backends.codex.shapes import dicts

_FILES: Final = re.compile(r"^(?=diff --git )", re.MULTILINE)

MAX_CUT_NAMES: Final = 200
"""Files that are cut and still named."""


def patch_text(changes: object, folder: str) -> str:
    """One unified diff of all changes (schema `FileUpdateChange`), paths relative to `folder` where below it.

    Paths elsewhere stay absolute, so that nobody takes them for files of the folder.

    An added or deleted file carries its content in `diff`, an updated one its hunks.
    """
    return "".join(_one(change, folder) for change in dicts(changes))


def change_list(changes: object, folder: str) -> list[dict[str, Any]]:
    """The changes one by one: `path`, `kind` (add, delete, update, move), `move_path` and `diff`."""
    return [
        {
            "path": str(change.get("path", "")),
            "kind": _kind(change),
            **({"move_path": target} if (target := _target(change)) else {}),
            "diff": _one(change, folder),
        }
        for change in dicts(changes)
    ]


def changed_files(changes: object, folder: str) -> list[str]:
    """Paths that change, for a line like "Changed a.txt, b.txt"."""
    return [_relative(str(change.get("path", "")), folder) for change in dicts(changes)]


def capped_diff(diff: str, limit: int) -> str:
    """A unified diff of several files in at most about `limit` characters: files that no longer fit say how
    long they are in place of their changes, in a form that is still a diff.
    """
    if len(diff) <= limit:
        return diff
    shown, left, named = [], limit, 0
    files = _FILES.split(diff)
    for file in files:
        if len(file) <= left:
            shown.append(file)
            left -= len(file)
        elif named < MAX_CUT_NAMES:
            named += 1
            head, lines = file.partition("\n")[0][:1_000], file.count("\n")
            shown.append(f"{head}\n# Not shown here: {lines:,} lines, {len(file):,} characters.\n")
        else:
            left = -1
            named += 1
    if named > MAX_CUT_NAMES:
        shown.append(f"# {named - MAX_CUT_NAMES:,} more files are not shown.\n")
    return "".join(shown)


def _one(change: dict[str, Any], folder: str) -> str:
    kind, body = _kind(change), str(change.get("diff", ""))
    old = _relative(str(change.get("path", "")), folder)
    new = _relative(_target(change) or str(change.get("path", "")), folder)
    head = f"diff --git a/{old} b/{new}\n"
    if kind == "add":
        return f"{head}new file mode 100644\n--- /dev/null\n+++ b/{new}\n{_whole(body, '+')}"
    if kind == "delete":
        return f"{head}deleted file mode 100644\n--- a/{old}\n+++ /dev/null\n{_whole(body, '-')}"
    rename = f"rename from {old}\nrename to {new}\n" if old != new else ""
    if not body:
        return head + rename
    return f"{head}{rename}--- a/{old}\n+++ b/{new}\n{body}" + ("" if body.endswith("\n") else "\n")


def _whole(content: str, sign: str) -> str:
    if not content:
        return ""
    lines = content.split("\n")
    ended = lines[-1] == ""
    lines = lines[:-1] if ended else lines
    span = f"-0,0 +1,{len(lines)}" if sign == "+" else f"-1,{len(lines)} +0,0"
    text = f"@@ {span} @@\n" + "".join(f"{sign}{line}\n" for line in lines)
    return text if ended else text + "\\ No newline at end of file\n"


def _kind(change: dict[str, Any]) -> str:
    kind = change.get("kind")
    name = str(kind.get("type", "update")) if isinstance(kind, dict) else str(kind or "update")
    return "move" if name == "update" and _target(change) else name


def _target(change: dict[str, Any]) -> str | None:
    kind = change.get("kind")
    target = kind.get("move_path") if isinstance(kind, dict) else None
    return target if isinstance(target, str) and target else None


def _relative(path: str, folder: str) -> str:
    pure = PurePath(path)
    return pure.relative_to(folder).as_posix() if pure.is_relative_to(folder) else pure.as_posix()
