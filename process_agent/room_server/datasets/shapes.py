"""What is known of the schemas of a room's tables without asking Lance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from process_agent.room_server.datasets import arrow
from process_agent.room_server.datasets.names import TableKey

SCHEMA_BYTES: Final = 16 * 1024
"""Each record carries the table's schema; tables with larger ones are written to straight."""

MAX_SHAPES: Final = 10_000
"""Tables whose schemas are remembered."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The schemas of a table.

    `small`: whether they are worth remembering. `logged`: whether inserts may wait in the log. `sent` and
    `stored` are the messages that begin an Arrow stream of each.
    """

    logical: pa.Schema
    physical: pa.Schema
    small: bool
    logged: bool
    sent: bytes
    stored: bytes

    @classmethod
    def of(cls, physical: pa.Schema) -> Shape:
        """The shape of a table Lance has."""
        logical = arrow.logical_schema(physical)
        sent, stored = (schema.serialize().to_pybytes() for schema in (logical, physical))
        small = len(stored) <= SCHEMA_BYTES
        return cls(logical, physical, small, small and all(map(_is_plain, physical)), sent, stored)


class Shapes:
    """The shapes of tables as they were last seen."""

    def __init__(self) -> None:
        self._known: dict[TableKey, Shape] = {}

    def known(self, key: TableKey) -> Shape | None:
        """The shape of a table, if it is remembered."""
        return self._known.get(key)

    def learn(self, key: TableKey, physical: pa.Schema) -> Shape:
        """The shape of a table whose schema Lance just gave; remembered when it is small."""
        shape = Shape.of(physical)
        if len(self._known) >= MAX_SHAPES:
            self._known.clear()
        if shape.small:
            self._known[key] = shape
        return shape

    def forget(self, key: TableKey) -> None:
        """The table may have another schema now."""
        self._known.pop(key, None)


def _is_plain(part: pa.Field[Any]) -> bool:
    """Whether Lance surely takes any value of this field; of others it is asked before the answer."""
    kind = part.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return kind.value_field.nullable and _is_plain(kind.value_field)
    if pa.types.is_struct(kind):
        return all(kind.field(i).nullable and _is_plain(kind.field(i)) for i in range(kind.num_fields))
    return any(check(kind) for check in _PLAIN)


_PLAIN: Final[tuple[Callable[[Any], bool], ...]] = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_timestamp,
    pa.types.is_date,
)
