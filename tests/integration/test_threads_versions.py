"""Tables of every version there was are brought up to date; those of a newer program are told of."""

from __future__ import annotations

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
from process_agent.metering.records import USAGE, VERSION, table_of, to_table
from process_agent.threads.images import IMAGES
from process_agent.threads.schema import INDEX, LEASES, OWNERS, THREAD
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.thread_house import House, append, replayed

FIRST_USAGE = pa.schema([field for field in USAGE if field.name != "web_searches"])
"""Version 1: before searches of the web were counted."""

RECORD = UsageRecord(
    id="r1", agent="bot", thread="t", turn="u", backend="llm", provider="p", model="m", purpose="turn",
    at=datetime(2026, 1, 1, tzinfo=UTC), whole=True, response_id=None,
    usage=Usage(input=5, output=2), cost=0.5,
)  # fmt: skip


def marked(schema: pa.Schema, version: int) -> pa.Schema:
    newest: Any = pa.field("later", pa.string(), metadata={MARK: str(version)})
    return schema.append(newest)


async def test_usage_of_the_first_version_is_read_and_gone_on_with() -> None:
    datasets, table = MemoryDatasets(), table_of("bot")
    await datasets.create(table, FIRST_USAGE, "create")
    await datasets.insert(table, to_table([RECORD]).select(FIRST_USAGE.names))
    assert await records_of(datasets, "bot") == [RECORD], "reading changes nothing"
    assert ("add columns", "usage") not in datasets.calls
    ledger = UsageLedger(datasets, "bot", None, lazy_seconds=0)
    ledger.start()
    second = UsageRecord(**{name: getattr(RECORD, name) for name in RECORD.__slots__} | {"id": "r2"})
    ledger.add(second)
    await ledger.close()
    assert [record.id for record in await records_of(datasets, "bot")] == ["r1", "r2"]
    assert datasets.tables[table].schema.names[-1] == "web_searches"


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
