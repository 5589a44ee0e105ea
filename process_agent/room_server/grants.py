"""What a token's api scope allows (room protocol, section 14). Pure.

A missing scope grants nothing, `{}` grants with defaults: switches are on, lists hold everything. A list
entry that ends in `*` matches by prefix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from process_agent.room_server.toolkit import PERMISSION_DENIED, Caller, ToolError


def require(caller: Caller, scope: str, switch: str | None = None) -> Mapping[str, Any]:
    """The fields of a granted scope. Raises `ToolError` 1001 when it, or the named switch, is not granted."""
    fields = caller.api.get(scope)
    if not isinstance(fields, Mapping):
        raise ToolError(f"this token does not grant {scope}", code=PERMISSION_DENIED)
    if switch is not None and fields.get(switch, True) is not True:
        raise ToolError(f"this token does not grant {scope}.{switch}", code=PERMISSION_DENIED)
    return fields


def require_listed(caller: Caller, scope: str, field: str, value: str) -> None:
    """Raise `ToolError` 1001 unless the scope is granted and `value` matches the list in its `field`."""
    if not matches(require(caller, scope).get(field), value):
        raise ToolError(f"this token does not grant {scope}.{field} for {value!r}", code=PERMISSION_DENIED)


def matches(patterns: object, value: str) -> bool:
    """Whether a grant list admits `value`; None admits everything, what is no list admits nothing."""
    if patterns is None:
        return True
    if not isinstance(patterns, list):
        return False
    return any(isinstance(pattern, str) and _fits(pattern, value) for pattern in patterns)


def _fits(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
