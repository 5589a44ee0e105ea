"""Which files a token may touch (room protocol, section 14). Pure.

The scope is `{}` for everything, `paths` for ordered prefixes of which the first that fits decides, or
`files` for rules with named actions: list, read, write, delete, presign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from process_agent.room_server import grants
from process_agent.room_server.toolkit import PERMISSION_DENIED, Caller, ToolError

type Action = Literal["list", "read", "write", "delete", "presign"]

_READING: Final = ("list", "read", "presign")


def require(caller: Caller, action: Action, path: str, *, subtree: bool = False) -> None:
    """Raise `ToolError` 1001 unless the token grants the action on the path (`subtree`: on all below)."""
    if not allows(scope_of(caller), action, path, subtree=subtree):
        raise ToolError(f"this token does not grant {action} on {path!r}", code=PERMISSION_DENIED)


def scope_of(caller: Caller) -> Mapping[str, Any]:
    """The storage scope. A token without scopes may do everything."""
    return grants.require(caller, "storage") if caller.api else {}


def allows(scope: Mapping[str, Any], action: Action, path: str, *, subtree: bool = False) -> bool:
    """Whether the scope grants the action."""
    files = scope.get("files")
    if files is not None:
        rules = files.get("paths") if isinstance(files, Mapping) else None
        return any(_rule_allows(rule, action, path, subtree) for rule in _objects(rules))
    paths = scope.get("paths")
    if paths is None:
        return True
    for prefix in _objects(paths):
        root = _root(prefix)
        if _inside(root, path):
            return action in _READING or prefix.get("read_only") is not True
        if subtree and _inside(path, root):
            return False
    return False


def shows(scope: Mapping[str, Any], path: str) -> bool:
    """Whether a listing may name this path: it is granted, or leads to something that is."""
    if allows(scope, "list", path):
        return True
    files = scope.get("files")
    rules = files.get("paths") if isinstance(files, Mapping) else scope.get("paths")
    return any(_inside(path, _root(rule)) for rule in _objects(rules))


def _rule_allows(rule: Mapping[str, Any], action: Action, path: str, subtree: bool) -> bool:
    root, recursive = _root(rule), rule.get("recursive") is True
    if action not in (rule.get("actions") or ()) or (subtree and not recursive):
        return False
    if path != root and not (recursive and _inside(root, path)):
        return False
    excluded = [item for item in rule.get("excluded_paths") or () if isinstance(item, str)]
    return not any(_inside(item, path) or (subtree and _inside(path, item)) for item in excluded)


def _root(rule: Mapping[str, Any]) -> str:
    path = rule.get("path")
    return path.rstrip("*").strip("/") if isinstance(path, str) else "\0"


def _inside(outer: str, path: str) -> bool:
    return not outer or path == outer or path.startswith(f"{outer}/")


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
