"""Typed values in JSON (room protocol, section 10.5), as Python values, Arrow columns and SQL text. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import math
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa

from process_agent.room_server.toolkit import ToolError

MAX_NESTING: Final = 32
"""Depth of lists and structs in one value."""


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value, kept as the text it will be stored as."""

    text: str


@dataclass(frozen=True, slots=True)
class Expression:
    """SQL that computes the value; the caller must have it checked before it runs."""

    sql: str


@dataclass(frozen=True, slots=True)
class Struct:
    """Named fields."""

    fields: dict[str, Value]


type Value = (
    bool
    | int
    | float
    | str
    | bytes
    | uuid.UUID
    | date
    | datetime
    | list[Value]
    | Struct
    | Json
    | Expression
    | None
)


def decode_value(raw: object, depth: int = 0) -> Value:
    """A value from its JSON form. Raises `ToolError`: bare lists and objects are not values."""
    if depth > MAX_NESTING:
        raise ToolError(f"values nest at most {MAX_NESTING} levels")
    if raw is None or isinstance(raw, bool | int | float | str):
        return raw
    if not isinstance(raw, dict) or len(raw) != 1:
        raise ToolError("a value that is no scalar must be an object with one key that names its type")
    ((wrapper, payload),) = raw.items()
    if wrapper == "list" and isinstance(payload, list):
        return [decode_value(item, depth + 1) for item in payload]
    if wrapper == "struct" and isinstance(payload, dict):
        return Struct({str(key): decode_value(item, depth + 1) for key, item in payload.items()})
    if wrapper == "json":
        return Json(json.dumps(payload, ensure_ascii=False))
    if not isinstance(payload, str):
        raise ToolError(f"a {wrapper!r} value must be a string")
    return _decode_text(wrapper, payload)


def _decode_text(wrapper: str, payload: str) -> Value:
    try:
        match wrapper:
            case "binary":
                return base64.b64decode(payload, validate=True)
            case "uuid":
                return uuid.UUID(payload)
            case "date":
                return date.fromisoformat(payload)
            case "timestamp":
                return datetime.fromisoformat(payload)
            case "expression":
                return Expression(payload)
    except (ValueError, binascii.Error) as error:
        raise ToolError(f"not a {wrapper} value: {payload[:80]!r}") from error
    raise ToolError(f"unknown kind of value: {wrapper!r}")


def decode_json_text(text: object) -> Value:
    """The `value_json` field of an update."""
    if not isinstance(text, str):
        raise ToolError("value_json must be a string")
    try:
        return decode_value(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ToolError(f"value_json is not JSON: {error}") from error


# Rows of typed values to Arrow


def rows_to_table(rows: list[dict[str, Value]], schema: pa.Schema | None = None) -> pa.Table:
    """An Arrow table; without a schema the types come from the values. Raises `ToolError`."""
    names = schema.names if schema is not None else list(dict.fromkeys(name for row in rows for name in row))
    columns: list[pa.Array[Any]] = []
    fields: list[pa.Field[Any]] = []
    for name in names:
        values = [row.get(name) for row in rows]
        field = schema.field(name) if schema is not None else pa.field(name, infer_type(values))
        fields.append(field)
        columns.append(_column(values, field))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def infer_type(values: list[Value]) -> pa.DataType:
    """The column type that holds all values; text when there is none."""
    found = [kind for kind in (_type_of(value) for value in values) if kind is not None]
    if not found:
        return pa.string()
    result = found[0]
    for kind in found[1:]:
        result = _wider(result, kind)
    return result


def _type_of(value: Value) -> pa.DataType | None:
    match value:
        case None:
            return None
        case list():
            return pa.list_(infer_type(value))
        case Struct(fields):
            return pa.struct([(name, infer_type([item])) for name, item in fields.items()])
        case Expression():
            raise ToolError("expressions cannot be stored, only used in updates")
        case datetime():
            return pa.timestamp("us", "UTC" if value.tzinfo else None)
    for kind, arrow in _SCALARS:
        if isinstance(value, kind):
            return arrow
    raise ToolError(f"no column type for {type(value).__name__}")


_SCALARS: Final[tuple[tuple[type, pa.DataType], ...]] = (
    (bool, pa.bool_()),
    (int, pa.int64()),
    (float, pa.float64()),
    (str, pa.string()),
    (bytes, pa.binary()),
    (uuid.UUID, pa.uuid()),
    (date, pa.date32()),
    (Json, pa.json_(pa.large_string())),
)


def _wider(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    if left == right:
        return left
    if {left, right} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_list(left) and pa.types.is_list(right):
        return pa.list_(_wider(left.value_type, right.value_type))
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        names = list(dict.fromkeys([f.name for f in left] + [f.name for f in right]))
        return pa.struct([(name, _wider_field(left, right, name)) for name in names])
    raise ToolError(f"one column holds both {left} and {right}")


def _wider_field(left: pa.StructType, right: pa.StructType, name: str) -> pa.DataType:
    kinds = [kind.field(name).type for kind in (left, right) if kind.get_field_index(name) >= 0]
    return kinds[0] if len(kinds) == 1 else _wider(*kinds)


def _column(values: list[Value], field: pa.Field[Any]) -> pa.Array[Any]:
    plain = [to_plain(value) for value in values]
    storage = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
    try:
        array = pa.array(plain, storage)
        if isinstance(field.type, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(field.type, array)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise ToolError(f"column {field.name!r}: {error}") from error
    return array


def to_plain(value: Value) -> Any:
    """What pyarrow builds the storage of a column from."""
    match value:
        case list():
            return [to_plain(item) for item in value]
        case Struct(fields):
            return {name: to_plain(item) for name, item in fields.items()}
        case Json(text):
            return text
        case uuid.UUID():
            return value.bytes
        case Expression():
            raise ToolError("expressions cannot be stored, only used in updates")
    return value


# Values as SQL for Lance


def sql_literal(value: Value, kind: pa.DataType) -> str:
    """SQL text that yields `value` as the storage type `kind`. Raises `ToolError` when it cannot."""
    match value:
        case None:
            return "NULL"
        case Expression(sql):
            return sql
        case list():
            return _list_literal(value, kind)
        case Struct(fields):
            return _struct_literal(fields, kind)
        case bool():
            return "TRUE" if value else "FALSE"
        case bytes() | uuid.UUID():
            return f"X'{(value if isinstance(value, bytes) else value.bytes).hex()}'"
    return _text_literal(value, kind)


def _text_literal(value: object, kind: pa.DataType) -> str:
    match value:
        case Json(text):
            return quote(text)
        case datetime():
            return quote(_instant(value))
        case date():
            return quote(value.isoformat())
        case float() if not math.isfinite(value):
            return quote(str(value))
        case int() | float() if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return quote(json.dumps(value))
        case int() | float() if pa.types.is_decimal(kind):
            return quote(repr(value))
        case int() if pa.types.is_integer(kind) and not _fits(value, kind):
            raise ToolError(f"{value} does not fit {kind}")
        case int() | float():
            return repr(value)
    return quote(str(value))


def _fits(value: int, kind: pa.DataType) -> bool:
    try:
        pa.scalar(value, kind)
    except (pa.ArrowException, OverflowError):
        return False
    return True


def _instant(value: datetime) -> str:
    return value.isoformat() if value.tzinfo is None else value.astimezone(UTC).isoformat()


def _list_literal(items: list[Value], kind: pa.DataType) -> str:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise ToolError(f"a list does not fit {kind}")
    return f"make_array({', '.join(_item(item, kind.value_type) for item in items)})"


def _struct_literal(fields: dict[str, Value], kind: pa.DataType) -> str:
    if not pa.types.is_struct(kind):
        raise ToolError(f"a struct does not fit {kind}")
    unknown = [name for name in fields if kind.get_field_index(name) < 0]
    if unknown:
        raise ToolError(f"field {unknown[0]!r} does not exist in {kind}")
    parts = [f"{quote(f.name)}, {_item(fields.get(f.name), f.type)}" for f in kind]
    return f"named_struct({', '.join(parts)})"


def _item(value: Value, kind: pa.DataType) -> str:
    """A value inside a list or struct must carry its type: a bare NULL there would be a column of nothing."""
    literal = sql_literal(value, kind)
    if isinstance(value, list | Struct | Expression):
        return literal
    return f"arrow_cast({literal}, {quote(sql_type(kind))})"


_SQL_TYPES: Final[dict[pa.DataType, str]] = {
    pa.bool_(): "Boolean",
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.uint8(): "UInt8",
    pa.uint16(): "UInt16",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.float16(): "Float16",
    pa.float32(): "Float32",
    pa.float64(): "Float64",
    pa.string(): "Utf8",
    pa.large_string(): "LargeUtf8",
    pa.binary(): "Binary",
    pa.large_binary(): "LargeBinary",
    pa.date32(): "Date32",
    pa.date64(): "Date64",
}
_UNITS: Final = {"s": "Second", "ms": "Millisecond", "us": "Microsecond", "ns": "Nanosecond"}


def sql_type(kind: Any) -> str:
    """The type's name for `arrow_cast` of the SQL engine inside Lance. Raises `ToolError`."""
    if kind in _SQL_TYPES:
        return _SQL_TYPES[kind]
    if pa.types.is_timestamp(kind):
        zone = f'Some("{kind.tz}")' if kind.tz and _safe_zone(kind.tz) else "None"
        return f"Timestamp({_UNITS[kind.unit]}, {zone})"
    if pa.types.is_decimal128(kind) or pa.types.is_decimal256(kind):
        return f"Decimal{kind.bit_width}({kind.precision}, {kind.scale})"
    for check, name in (
        (pa.types.is_time32, "Time32"),
        (pa.types.is_time64, "Time64"),
        (pa.types.is_duration, "Duration"),
    ):
        if check(kind):
            return f"{name}({_UNITS[kind.unit]})"
    if pa.types.is_fixed_size_binary(kind):
        return f"FixedSizeBinary({kind.byte_width})"
    if pa.types.is_list(kind):
        return f"List({sql_type(kind.value_type)})"
    raise ToolError(f"values of type {kind} cannot be written in SQL")


def _safe_zone(zone: str) -> bool:
    return all(char.isalnum() or char in "/_+-:" for char in zone)


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
