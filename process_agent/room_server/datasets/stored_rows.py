"""The rows of one table: those in Lance, and behind them those that wait in the log. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import batched

import lance
import pyarrow as pa

from process_agent.room_server.datasets import arrow
from process_agent.room_server.datasets.reading import Selection, scan_options
from process_agent.room_server.datasets.refusals import attempt, engine_error
from process_agent.room_server.datasets.tails import Entry
from process_agent.room_server.toolkit import ToolError

_TAKEN = 128
"""Rows that are taken at a time: large ones are given up before all are in memory."""


class StoredRows:
    """The rows, counted from the beginning."""

    def __init__(self, dataset: lance.LanceDataset, entries: Sequence[Entry]) -> None:
        self._dataset = dataset
        self._entries = entries
        self._logical = arrow.logical_schema(dataset.schema)
        self._in_lance = dataset.count_rows()
        self.total = self._in_lance + sum(entry.rows for entry in entries)

    def schema(self, columns: Sequence[str] | None) -> pa.Schema:
        """Some columns, or all. Raises `ToolError` for one that is not there."""
        logical = self._logical
        names = logical.names if columns is None else columns
        for name in names:
            if logical.get_field_index(name) < 0:
                raise ToolError(f"column {name!r} does not exist in the table")
        fields = [logical.field(name) for name in names]
        return pa.schema(fields, metadata=dict((logical.metadata or {}).items()) or None)

    def between(self, schema: pa.Schema, first: int, until: int) -> Iterator[pa.RecordBatch]:
        """The rows `[first, until)`. Raises `ToolError`."""
        for batch in self._stored(schema, first, until):
            yield arrow.relabel(batch, schema)

    def _stored(self, schema: pa.Schema, first: int, until: int) -> Iterator[pa.RecordBatch]:
        names = tuple(schema.names)
        if first < min(until, self._in_lance):
            limit = min(until, self._in_lance) - first
            options = scan_options(self._dataset, Selection(select=names, offset=first, limit=limit))
            scanner = attempt(lambda: self._dataset.scanner(**options))
            try:
                yield from scanner.to_batches()
            except (ValueError, OSError) as error:
                raise engine_error(error) from error
        place = self._in_lance
        for entry in self._entries:
            start, end = max(first - place, 0), min(until - place, entry.rows)
            if start < end:
                rows = arrow.read_own(entry.data).select(list(names)).slice(start, end - start)
                yield from rows.to_batches()
            place += entry.rows

    def at(self, schema: pa.Schema, places: Sequence[int], most: int) -> pa.Table | None:
        """The rows at some places, which ascend; None where they are larger than so many bytes and more than
        one. Raises `ToolError`.
        """
        batches: list[pa.RecordBatch] = []
        size = 0
        for some in batched(places, _TAKEN, strict=False):
            for batch in self._taken(schema, some):
                size += batch.nbytes
                batches.append(arrow.relabel(batch, schema))
            if size > most and len(places) > 1:
                return None
        return pa.Table.from_batches(batches, schema)

    def _taken(self, schema: pa.Schema, places: Sequence[int]) -> Iterator[pa.RecordBatch]:
        names = schema.names
        if stored := [place for place in places if place < self._in_lance]:
            taken = attempt(lambda: self._dataset.take(stored, columns=names))
            yield from taken.to_batches()
        begin = self._in_lance
        for entry in self._entries:
            here = [place - begin for place in places if begin <= place < begin + entry.rows]
            if here:
                yield from arrow.read_own(entry.data).select(names).take(here).to_batches()
            begin += entry.rows
