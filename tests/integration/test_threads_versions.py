"""Tables of every version there was are brought up to date; those of a newer program are told of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from process_agent.core.room import TableRef
from process_agent.core.usage import Usage, UsageRecord
from process_agent.errors import RoomError
from process_agent.io.tables import MARK, complete, lacking, up_to_date, version_of
from process_agent.metering.ledger import UsageLedger
from process_agent.metering.reading import records_of
from process_agent.metering.records import USAGE, VERSION, table_of
from process_agent.threads.images import IMAGES
from process_agent.threads.schema import INDEX, LEASES, OWNERS, THREAD
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.thread_house import House, append, replayed

_TOLD: list[Any] = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("agent", pa.string(), nullable=False),
    pa.field("thread", pa.string(), nullable=False),
    pa.field("turn", pa.string(), nullable=False),
    pa.field("backend", pa.string(), nullable=False),
    pa.field("provider", pa.string(), nullable=False),
    pa.field("model", pa.string(), nullable=False),
    pa.field("purpose", pa.string(), nullable=False),
    pa.field("whole", pa.bool_(), nullable=False),
    pa.field("response_id", pa.string()),
    pa.field("input_tokens", pa.int64()),
    pa.field("cached_tokens", pa.int64()),
    pa.field("cache_written_tokens", pa.int64()),
    pa.field("output_tokens", pa.int64()),
    pa.field("reasoning_tokens", pa.int64()),
]
_SEARCHES: list[Any] = [pa.field("web_searches", pa.int64())]
_COST: list[Any] = [pa.field("cost", pa.float64())]
_LATER: list[Any] = [pa.field("images", pa.int64()), pa.field("unpriced_pieces", pa.int64())]

ROW = {
    "id": "r1", "at": datetime(2026, 1, 1, tzinfo=UTC), "agent": "bot", "thread": "t", "turn": "u",
    "backend": "llm", "provider": "p", "model": "m", "purpose": "turn", "whole": True, "response_id": None,
    "input_tokens": 5, "cached_tokens": 1, "cache_written_tokens": 0,
    "output_tokens": 2, "reasoning_tokens": 1, "cost": 0.5,
}  # fmt: skip

USAGES: dict[int, tuple[pa.Schema, dict[str, int], Usage, int]] = {
    1: (pa.schema([*_TOLD, *_COST]), {}, Usage(input=5, cached=1, output=2, reasoning=1), 0),
    2: (
        pa.schema([*_TOLD, *_SEARCHES, *_COST]),
        {"web_searches": 3},
        Usage(input=5, cached=1, output=2, reasoning=1, searches=3),
        3,
    ),
    3: (
        pa.schema([*_TOLD, *_SEARCHES, *_COST, *_LATER]),
        {"web_searches": 3, "images": 1, "unpriced_pieces": 1},
        Usage(input=5, cached=1, output=2, reasoning=1, searches=3, images=("",)),
        1,
    ),
}
"""Each version as its program wrote it: its columns, what a row of it says beside `ROW`, what is read of that
row, and the pieces of it without a price.
"""


def marked(schema: pa.Schema, version: int) -> pa.Schema:
    newest: Any = pa.field("later", pa.string(), metadata={MARK: str(version)})
    return schema.append(newest)


@pytest.mark.parametrize("version", USAGES)
async def test_usage_of_every_version_is_read_and_gone_on_with(version: int) -> None:
    schema, more, usage, pieces = USAGES[version]
    first = UsageRecord(
        id="r1", agent="bot", thread="t", turn="u", backend="llm", provider="p", model="m", purpose="turn",
        at=datetime(2026, 1, 1, tzinfo=UTC), whole=True, response_id=None, usage=usage, cost=0.5,
        unpriced_pieces=pieces,
    )  # fmt: skip
    datasets, table = MemoryDatasets(), table_of("bot")
    await datasets.create(table, schema, "create")
    await datasets.insert(table, pa.Table.from_pylist([{**ROW, **more}], schema=schema))
    assert await records_of(datasets, "bot") == [first], "reading changes nothing"
    assert ("add columns", "usage") not in datasets.calls
    ledger = UsageLedger(datasets, "bot", None, lazy_seconds=0)
    ledger.start()
    second = replace(first, id="r2", usage=Usage(input=1, searches=2, images=("",)), unpriced_pieces=2)
    ledger.add(second)
    await ledger.close()
    assert await records_of(datasets, "bot") == [first, second]
    assert set(datasets.tables[table].schema.names) == set(USAGE.names)
    assert (("add columns", "usage") in datasets.calls) == (version < VERSION)


def test_the_last_version_is_the_present_one() -> None:
    assert list(USAGES) == list(range(1, VERSION + 1))
    assert USAGES[VERSION][0].names == USAGE.names


async def test_usage_of_a_newer_program_is_left_alone() -> None:
    datasets, table = MemoryDatasets(), table_of("bot")
    await datasets.create(table, marked(USAGE, VERSION + 1), "create")
    with pytest.raises(RoomError, match="Update the program"):
        await up_to_date(datasets, table, USAGE, version=VERSION)
    with pytest.raises(RoomError, match=f"has version {VERSION + 1}; this program knows {VERSION}"):
        await records_of(datasets, "bot")


@pytest.mark.parametrize("schema", [THREAD, INDEX, OWNERS, LEASES, USAGE, IMAGES])
async def test_a_table_that_lacks_what_may_be_null_gets_it(schema: pa.Schema) -> None:
    datasets, table = MemoryDatasets(), TableRef("any")
    optional = [field.name for field in schema if field.nullable]
    await datasets.create(table, pa.schema([f for f in schema if f.name not in optional]), "create")
    assert await complete(datasets, table, schema, version=VERSION) == bool(optional)
    assert set(datasets.tables[table].schema.names) == set(schema.names)
    assert not await complete(datasets, table, schema, version=VERSION)
    assert version_of(schema) <= VERSION


async def test_another_table_of_the_same_name_is_told_of() -> None:
    datasets = MemoryDatasets()
    await datasets.create(TableRef("owners"), pa.schema([pa.field("x", pa.string())]), "create")
    with pytest.raises(RoomError, match="lacks path"):
        await up_to_date(datasets, TableRef("owners"), OWNERS)
    assert lacking(OWNERS, OWNERS).names == []


async def test_rows_go_into_a_thread_that_lacks_columns() -> None:
    house = House()
    _, log, speaker = await house.thread()
    table = TableRef(log.thread_id.rsplit("/", 1)[-1], ("agents", "bot", "threads"))
    house.datasets.tables[table] = house.datasets.tables[table].drop_columns(["attachment", "turn_id"])
    append(log, speaker.begin(), speaker.text("hello"), speaker.end())
    await log.flush()
    assert [event.turn_id for event in await replayed(log)] == ["u1"] * 6
