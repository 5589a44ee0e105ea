"""One Lance table: reads and writes, blocking. It runs in worker threads; `tables.py` decides who may write.

Handles are opened per operation: with a shared session that costs 0.03 ms, and a handle that is written
through must not be read through at the same time.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lance
import pyarrow as pa
import pyarrow.compute as pc

from process_agent.room_server.datasets import arrow, values, where
from process_agent.room_server.datasets.durable import sync_version
from process_agent.room_server.datasets.reading import read_all, to_logical
from process_agent.room_server.datasets.refusals import attempt, missing_table
from process_agent.room_server.toolkit import CONFLICT, NOT_FOUND, OPERATION_FAILED, ToolError

_ALL: Final = "true"

_FOLDED: Final = "process.folded"
"""Property of the transactions that append rows of the log: the last position of the log they hold."""


@dataclass(frozen=True, slots=True)
class Change:
    """Rows a write changed: `inserted`, `updated`, or `deleted` with the values they had."""

    change_type: str
    rows: pa.Table


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write did. `changes` is empty when nobody asked for them."""

    begin_version: int
    end_version: int
    rows: int = 0
    changes: tuple[Change, ...] = ()


class Engine:
    """Lance below one folder of tables. Thread-safe; writers of one table must take turns."""

    def __init__(self) -> None:
        self._session = _new_session()

    def forget(self) -> None:
        """Drop the caches: a folder is about to hold other tables under known names."""
        self._session = _new_session()

    def open(self, path: Path, label: str, version: int | None = None) -> lance.LanceDataset:
        """A handle of the latest or a given version. Raises `ToolError` 1003."""
        if not path.is_dir():
            raise missing_table(label)
        try:
            return lance.dataset(str(path), version=version, session=self._session)
        except (ValueError, OSError) as error:
            if version is not None:
                raise ToolError(
                    f"version {version} of table {label} does not exist", code=NOT_FOUND
                ) from error
            if not path.is_dir():
                raise missing_table(label) from error
            raise ToolError(f"table {label} cannot be opened: {error}", code=OPERATION_FAILED) from error

    def create(self, path: Path, rows: pa.Table) -> None:
        """Write a new table."""
        dataset = lance.write_dataset(rows, str(path), mode="create", session=self._session)
        sync_version(dataset, path)

    def overwrite(self, path: Path, label: str, rows: pa.Table, *, watched: bool) -> Outcome:
        """Replace all rows and the schema; older versions stay readable."""
        before = self.open(path, label)
        changes = [Change("deleted", read_all(before))] if watched else []
        after = lance.write_dataset(rows, before, mode="overwrite")
        sync_version(after, path, before)
        if watched:
            changes.append(Change("inserted", read_all(after)))
        return Outcome(before.version, after.version, rows.num_rows, tuple(changes))

    def insert(self, path: Path, label: str, rows: pa.Table, *, watched: bool) -> Outcome:
        """Append rows (logical or partial); answers once they are on disk."""
        before = self.open(path, label)
        logical = arrow.logical_schema(before.schema)
        stored = arrow.to_physical(rows, logical)
        if stored.num_rows == 0:
            return Outcome(before.version, before.version)
        begin = before.version
        after = attempt(lambda: lance.write_dataset(stored, before, mode="append"))
        sync_version(after, path, before)
        changes = (Change("inserted", to_logical(stored, logical)),) if watched else ()
        return Outcome(begin, after.version, stored.num_rows, changes)

    def fold(self, path: Path, label: str, rows: Sequence[bytes], position: int) -> None:
        """Append rows of the log, up to this position of it; the table's history remembers which.

        Raises `ToolError`; whether the rows are in the table then, `folded_since` tells.
        """
        before = self.open(path, label)
        parts = [arrow.read_own(data) for data in rows]
        stored = attempt(lambda: pa.concat_tables(parts))
        properties = {_FOLDED: str(position)}
        after = attempt(
            lambda: lance.write_dataset(stored, before, mode="append", transaction_properties=properties)
        )
        sync_version(after, path, before)

    def folded_since(self, path: Path, label: str, version: int) -> int:
        """The last position of the log that `fold` appended after a version, or 0."""
        latest = self.open(path, label)
        found = 0
        for number in range(latest.version, version, -1):
            done = attempt(functools.partial(latest.read_transaction, number))
            found = max(found, int((done.transaction_properties or {}).get(_FOLDED, 0)))
        if found:
            sync_version(latest, path)
        return found

    def merge(self, path: Path, label: str, on: str, rows: pa.Table, *, watched: bool) -> Outcome:
        """Replace the rows whose `on` column matches, insert the others; of equal keys the last row wins."""
        before = self.open(path, label)
        logical = arrow.logical_schema(before.schema)
        if logical.get_field_index(on) < 0:
            raise ToolError(f"column {on!r} does not exist in table {label}")
        stored = last_of_each_key(arrow.to_physical(rows, logical), on)
        if stored.num_rows == 0:
            return Outcome(before.version, before.version)
        after = self.open(path, label)
        counts = attempt(
            lambda: (
                after.merge_insert(on).when_matched_update_all().when_not_matched_insert_all().execute(stored)
            )
        )
        sync_version(after, path, before)
        kind = "updated" if counts["num_updated_rows"] else "inserted"
        changes = (Change(kind, to_logical(stored, logical)),) if watched else ()
        return Outcome(before.version, after.version, stored.num_rows, changes)

    def update(
        self,
        path: Path,
        label: str,
        condition: str,
        assignments: Mapping[str, values.Value],
        *,
        watched: bool,
    ) -> Outcome:
        """Set columns of the rows that match."""
        before = self.open(path, label)
        checked = where.check(condition, before.schema) if condition.strip() else _ALL
        updates = {name: _assignment(before.schema, name, value) for name, value in assignments.items()}
        if not updates:
            raise ToolError("an update names at least one column")
        after = self.open(path, label)
        count = attempt(lambda: after.update(updates, where=checked))["num_rows_updated"]
        sync_version(after, path, before)
        changes = (Change("updated", _rewritten(before, after, count)),) if watched and count else ()
        return Outcome(before.version, after.version, count, changes)

    def delete(self, path: Path, label: str, condition: str, *, watched: bool) -> Outcome:
        """Delete the rows that match; an empty condition is refused, it is more often a mistake."""
        before = self.open(path, label)
        checked = where.check(condition, before.schema)
        changes: tuple[Change, ...] = ()
        if watched:
            changes = (Change("deleted", read_all(before, checked)),)
        after = self.open(path, label)
        count = attempt(lambda: after.delete(checked))["num_deleted_rows"]
        sync_version(after, path, before)
        return Outcome(before.version, after.version, count, changes if count else ())

    def restore(self, path: Path, label: str, version: int, *, watched: bool) -> Outcome:
        """Make an old version the latest one."""
        before = self.open(path, label)
        target: Any = self.open(path, label, version)
        changes = [Change("deleted", read_all(before))] if watched else []
        target.restore()
        after = self.open(path, label)
        sync_version(after, path, before)
        if watched:
            changes.append(Change("inserted", read_all(after)))
        return Outcome(before.version, after.version, after.count_rows(), tuple(changes))

    def add_columns(
        self, path: Path, label: str, added: pa.Schema | Mapping[str, str], *, watched: bool
    ) -> Outcome:
        """New columns: of a type and null, or computed by SQL from the others."""
        before = self.open(path, label)
        names = added.names if isinstance(added, pa.Schema) else list(added)
        for name in names:
            if before.schema.get_field_index(name) >= 0:
                raise ToolError(f"column {name!r} exists in table {label}", code=CONFLICT)
        after = self.open(path, label)
        if isinstance(added, pa.Schema):
            fields = [field.with_nullable(True) for field in arrow.physical_schema(added)]
            attempt(lambda: after.add_columns(fields))
        else:
            transforms = {name: where.check(sql, before.schema) for name, sql in added.items()}
            attempt(lambda: after.add_columns(transforms))
        sync_version(after, path, before)
        changes = (Change("updated", read_all(after)),) if watched else ()
        return Outcome(before.version, after.version, 0, changes)

    def drop_columns(self, path: Path, label: str, names: Sequence[str], *, watched: bool) -> Outcome:
        """Remove columns."""
        before = self.open(path, label)
        for name in names:
            if before.schema.get_field_index(name) < 0:
                raise ToolError(f"column {name!r} does not exist in table {label}")
        after = self.open(path, label)
        attempt(lambda: after.drop_columns(list(names)))
        sync_version(after, path, before)
        changes = (Change("updated", read_all(after)),) if watched else ()
        return Outcome(before.version, after.version, 0, changes)


# Small parts


def append(engine: Engine, rows: pa.Table, path: Path, label: str, *, watched: bool) -> Outcome:
    """`Engine.insert`, as `tables.Work` with the rows given."""
    return engine.insert(path, label, rows, watched=watched)


def overwrite(engine: Engine, rows: pa.Table, path: Path, label: str, *, watched: bool) -> Outcome:
    """`Engine.overwrite`, as `tables.Work` with the rows given."""
    return engine.overwrite(path, label, rows, watched=watched)


def _rewritten(before: lance.LanceDataset, after: lance.LanceDataset, count: int) -> pa.Table:
    """The rows an update changed, as they are now: Lance moves them into fragments of their own, the last.

    Should a newer Lance change them where they are, all rows are told as updated, which is true of some.
    """
    known = {fragment.fragment_id for fragment in before.get_fragments()}
    found: list[Any] = []
    for fragment in reversed(after.get_fragments()):
        if fragment.fragment_id in known or sum(each.count_rows() for each in found) >= count:
            break
        found.insert(0, fragment)
    if sum(each.count_rows() for each in found) != count:
        return read_all(after)
    rows = attempt(lambda: after.scanner(fragments=found, scan_in_order=True).to_table())
    return to_logical(rows, arrow.logical_schema(after.schema))


def _assignment(physical: pa.Schema, name: str, value: values.Value) -> str:
    index = physical.get_field_index(name)
    if index < 0:
        raise ToolError(f"column {name!r} does not exist in the table")
    if isinstance(value, values.Expression):
        return where.check(value.sql, physical)
    if value is None and not physical.field(index).nullable:
        raise ToolError(f"column {name!r} must not be null")
    return values.sql_literal(value, physical.field(index).type)


def last_of_each_key(rows: pa.Table, on: str) -> pa.Table:
    """Rows without those whose key comes again later; null keys never match and all stay."""
    keys = rows.column(on)
    if len(pc.unique(keys)) == rows.num_rows:
        return rows
    seen: set[Any] = set()
    kept: list[int] = []
    for index in range(rows.num_rows - 1, -1, -1):
        key = keys[index].as_py()
        if key is None or key not in seen:
            kept.append(index)
        seen.add(key)
    return rows.take(pa.array(kept[::-1], pa.int64()))


def _new_session() -> Any:
    return lance.Session(  # type: ignore[attr-defined]  # its types do not name it
        index_cache_size_bytes=64 << 20, metadata_cache_size_bytes=64 << 20
    )
