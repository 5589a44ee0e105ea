"""What callers send, checked field by field. Pure. Everything here raises `ToolError` 1002 or 1001."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from process_agent.core.groups import GroupsAsked
from process_agent.room_server import grants
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.ranges import MAX_ROWS, Asked
from process_agent.room_server.datasets.reading import Selection
from process_agent.room_server.toolkit import PERMISSION_DENIED, Caller, ToolError

MAX_COLUMNS: Final = 1_000
"""Columns named in one request."""

MAX_BACK: Final = 131_072
"""Rows at the end of a table that are gone back for its last groups."""

MAX_VECTOR: Final = 16_384
MAX_TEXT: Final = 10_000

type Right = Literal["read", "write", "alter"]

_RIGHT_BY_DEFAULT: Final = {"read": True, "write": False, "alter": False}


def place_of(fields: Mapping[str, Any]) -> Place:
    """Namespace and branch of a request."""
    return Place.of(fields.get("namespace"), fields.get("branch"))


def table_of(fields: Mapping[str, Any], name_field: str = "table") -> TableKey:
    """The table a request is about."""
    return TableKey(place_of(fields), text_of(fields, name_field))


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """A required, non-empty string."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ToolError(f"{name} must be a non-empty string")
    return value


def optional_text(fields: Mapping[str, Any], name: str) -> str | None:
    """A string or null."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise ToolError(f"{name} must be a string or null")
    return value


def optional_count(fields: Mapping[str, Any], name: str) -> int | None:
    """A whole number from 0 to 2^63-1, or null."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ToolError(f"{name} must be a whole number, 0 or more")
    return value


def version_of(fields: Mapping[str, Any]) -> int | None:
    """The table version to read, or null for the latest."""
    version = optional_count(fields, "version")
    if version == 0:
        raise ToolError("versions begin with 1")
    return version


def names_of(fields: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """A list of strings or null."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ToolError(f"{name} must be a list of strings or null")
    if len(value) > MAX_COLUMNS:
        raise ToolError(f"{name} has at most {MAX_COLUMNS} entries")
    return tuple(value)


def selection_of(fields: Mapping[str, Any]) -> Selection:
    """Search and count arguments."""
    text = optional_text(fields, "text")
    if text is not None and len(text) > MAX_TEXT:
        raise ToolError(f"text has at most {MAX_TEXT} characters")
    select = names_of(fields, "select")
    return Selection(
        where=optional_text(fields, "where"),
        text=text or None,
        text_columns=names_of(fields, "text_columns"),
        vector=_vector(fields.get("vector")),
        select=select or None,
        offset=optional_count(fields, "offset"),
        limit=optional_count(fields, "limit"),
    )


def range_of(fields: Mapping[str, Any]) -> Asked:
    """Which rows to read by their place."""
    limit = optional_count(fields, "limit")
    if limit is None or not 0 < limit <= MAX_ROWS:
        raise ToolError(f"limit must be from 1 to {MAX_ROWS}")
    columns = names_of(fields, "columns")
    first = optional_count(fields, "first")
    return Asked(columns or None, first, limit, compact=fields.get("compact") is True)


def groups_of(fields: Mapping[str, Any]) -> GroupsAsked:
    """What to read of the end of a table."""
    asked = GroupsAsked(
        columns=names_of(fields, "columns") or (),
        whole=_at_most(fields, "whole", MAX_ROWS),
        rows=_at_most(fields, "rows", MAX_ROWS),
        group=text_of(fields, "group"),
        kind=text_of(fields, "kind"),
        number=text_of(fields, "number"),
        wanted=names_of(fields, "wanted") or (),
        over=names_of(fields, "over") or (),
        latest=names_of(fields, "latest") or (),
        greatest=names_of(fields, "greatest") or (),
        groups=_at_most(fields, "groups", MAX_ROWS),
        joining=names_of(fields, "joining") or (),
        cut=optional_text(fields, "cut") or "",
        first=_at_most(fields, "first", MAX_ROWS),
        most=_at_most(fields, "most", MAX_BACK),
    )
    if not asked.columns or not asked.rows:
        raise ToolError("columns must name at least one column, and rows must be 1 or more")
    return asked


def _at_most(fields: Mapping[str, Any], name: str, most: int) -> int:
    value = optional_count(fields, name) or 0
    if value > most:
        raise ToolError(f"{name} must be at most {most}")
    return value


def _vector(value: object) -> tuple[float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not 0 < len(value) <= MAX_VECTOR:
        raise ToolError(f"vector must be a list of 1 to {MAX_VECTOR} numbers")
    if any(isinstance(item, bool) or not isinstance(item, int | float) for item in value):
        raise ToolError("vector must be a list of numbers")
    return tuple(float(item) for item in value)


def metadata_of(fields: Mapping[str, Any]) -> dict[bytes, bytes]:
    """The `metadata` entries of a new table."""
    entries = fields.get("metadata")
    if entries is None:
        return {}
    if not isinstance(entries, list):
        raise ToolError("metadata must be a list of entries or null")
    found: dict[bytes, bytes] = {}
    for entry in entries:
        key, value = (entry.get("key"), entry.get("value")) if isinstance(entry, dict) else (None, None)
        if not isinstance(key, str) or not isinstance(value, str):
            raise ToolError("a metadata entry has the strings key and value")
        found[key.encode()] = value.encode()
    return found


def require(caller: Caller, key: TableKey, right: Right) -> None:
    """Raise `ToolError` 1001 unless the token grants this right on the table (section 14)."""
    tables = scope_of(caller).get("tables")
    if tables is None:
        return
    for grant in tables if isinstance(tables, list) else []:
        if isinstance(grant, dict) and _names(grant, key) and grant.get(right, _RIGHT_BY_DEFAULT[right]):
            return
    raise ToolError(f"this token does not grant {right} on table {key.label}", code=PERMISSION_DENIED)


def require_listing(caller: Caller) -> None:
    """Raise `ToolError` 1001 unless the token grants listing tables and branches."""
    if scope_of(caller).get("list_tables", True) is not True:
        raise ToolError("this token does not grant dataset.list_tables", code=PERMISSION_DENIED)


def require_all_tables(caller: Caller) -> None:
    """Raise `ToolError` 1001 for a token that is limited to some tables: branches concern all."""
    if scope_of(caller).get("tables") is not None:
        raise ToolError("this token does not grant changing branches", code=PERMISSION_DENIED)


def scope_of(caller: Caller) -> Mapping[str, Any]:
    """The dataset scope of the token, under any of its names. A token without scopes may do everything."""
    if not caller.api:
        return {}
    for alias in ("dataset", "datasets", "database"):
        if alias in caller.api:
            return grants.require(caller, alias)
    return grants.require(caller, "dataset")


def _names(grant: Mapping[str, Any], key: TableKey) -> bool:
    namespace = grant.get("namespace")
    return grant.get("name") == key.name and (namespace is None or tuple(namespace) == key.place.namespace)
