"""Usage reaches the room once, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from process_agent.core.room import ArrowSchema, TableRef
from process_agent.core.usage import Usage, UsageRecord
from process_agent.errors import RoomError, RoomRequestError
from process_agent.io.backoff import Backoff
from process_agent.metering.ledger import UsageLedger
from process_agent.metering.reading import records_of
from process_agent.metering.records import USAGE, from_table, table_of, to_table
from process_agent.metering.spool import Spool, waiting
from tests.fakes.datasets import MemoryDatasets

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
TABLE = table_of("bot")


def record(number: int, cost: float | None = 0.25) -> UsageRecord:
    return UsageRecord(
        id=f"turn-{number}:1",
        at=NOON + timedelta(minutes=number),
        agent="bot",
        thread="dataset://agents/bot/threads/t",
        turn=f"turn-{number}",
        backend="llm",
        provider="openai",
        model="gpt-5.5",
        purpose="turn",
        whole=True,
        response_id=None,
        usage=Usage(100 * number, 10, 20, 5, 1),
        cost=cost,
    )


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@asynccontextmanager
async def running(datasets: MemoryDatasets, folder: Path, lazy: float = 0.0) -> AsyncIterator[UsageLedger]:
    quick = Backoff(first=0.001, ceiling=0.002)
    ledger = UsageLedger(datasets, "bot", Spool(folder), lazy_seconds=lazy, backoff=quick)
    ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()


async def test_what_is_added_is_read_back_as_it_was(tmp_path: Path) -> None:
    datasets = MemoryDatasets()
    untold = record(3, None)
    unknown = UsageRecord(**{name: getattr(untold, name) for name in untold.__slots__} | {"usage": None})
    async with running(datasets, tmp_path) as ledger:
        for each in (record(1), record(2, None), unknown):
            ledger.add(each)
    assert await records_of(datasets, "bot") == [record(1), record(2, None), unknown]
    assert waiting(tmp_path) == []


class Fixed(MemoryDatasets):
    """A room in which we may write rows, and not change tables."""

    async def add_columns(self, table: TableRef, columns: ArrowSchema) -> None:
        raise RoomRequestError("not allowed", code=1001)


async def test_a_table_that_we_may_not_change_goes_without_the_new_columns(tmp_path: Path) -> None:
    datasets = Fixed()
    later = ("images", "unpriced_pieces")
    older = pa.schema([field for field in USAGE if field.name not in later])
    await datasets.create(TABLE, older, "create")
    searched = replace(record(1), usage=Usage(1, searches=2, images=("low 1x1",)), unpriced_pieces=0)
    async with running(datasets, tmp_path) as ledger:
        ledger.add(searched)
    (read,) = await records_of(datasets, "bot")
    assert read.usage == Usage(1, searches=2)
    assert read.unpriced_pieces == 2, "nobody wrote whether they are in the cost"


async def test_pieces_are_read_back(tmp_path: Path) -> None:
    datasets = MemoryDatasets()
    async with running(datasets, tmp_path) as ledger:
        ledger.add(replace(record(1), usage=Usage(1, searches=2, images=("low 1x1",)), unpriced_pieces=1))
    (read,) = await records_of(datasets, "bot")
    assert read.usage == Usage(1, searches=2, images=("",))
    assert read.unpriced_pieces == 1


async def test_many_records_are_one_insert(tmp_path: Path) -> None:
    datasets = MemoryDatasets()
    async with running(datasets, tmp_path, lazy=60) as ledger:
        for number in range(100):
            ledger.add(record(number))
        await asyncio.sleep(0)
        assert datasets.calls == []  # nothing is written while turns run
    assert [call for call, _ in datasets.calls] == ["create", "insert"]
    assert len(datasets.rows(TABLE)) == 100


@pytest.mark.parametrize("done", [False, True], ids=["before the insert", "after the insert"])
async def test_a_lost_connection_doubles_nothing_and_loses_nothing(tmp_path: Path, done: bool) -> None:
    datasets = MemoryDatasets()
    lost = [RoomError("the connection was lost"), RoomError("again")]
    (datasets.after if done else datasets.failures).extend(lost)
    async with running(datasets, tmp_path) as ledger:
        ledger.add(record(1))
        ledger.add(record(2))
        await datasets.until(lambda: len(datasets.tables) == 1 and len(datasets.rows(TABLE)) == 2)
    assert [row["turn"] for row in datasets.rows(TABLE)] == ["turn-1", "turn-2"]


async def test_what_a_killed_agent_had_not_written_comes_with_the_next_one(tmp_path: Path) -> None:
    datasets = MemoryDatasets()
    killed = Spool(tmp_path)
    killed.append(record(1))
    killed.append(record(2))
    async with running(datasets, tmp_path) as other:  # the files are held by somebody who lives
        other.add(record(3))
    assert [row["turn"] for row in datasets.rows(TABLE)] == ["turn-3"]
    assert [each.turn for each in waiting(tmp_path)] == ["turn-1", "turn-2"]
    killed.close()  # as the system does for whoever is killed
    async with running(datasets, tmp_path) as next_one:
        next_one.add(record(4))
    assert [row["turn"] for row in datasets.rows(TABLE)] == ["turn-3", "turn-1", "turn-2", "turn-4"]
    assert files_in(tmp_path) == []


async def test_what_a_killed_agent_had_written_already_is_not_written_again(tmp_path: Path) -> None:
    datasets = MemoryDatasets()
    async with running(datasets, tmp_path / "one") as ledger:
        ledger.add(record(1))
    killed = Spool(tmp_path / "two")
    killed.append(record(1))
    killed.append(record(2))
    killed.close()
    async with running(datasets, tmp_path / "two"):
        pass
    assert [row["turn"] for row in datasets.rows(TABLE)] == ["turn-1", "turn-2"]


def test_a_line_that_was_being_written_is_left_out(tmp_path: Path) -> None:
    killed = Spool(tmp_path)
    killed.append(record(1))
    killed.close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b'{"id":"turn-2:1","at":')
    assert waiting(tmp_path) == [record(1)]


async def test_a_room_that_takes_no_usage_is_said_once_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    datasets = MemoryDatasets()
    datasets.failures.append(RoomRequestError("no", code=1001))
    async with running(datasets, tmp_path) as ledger:
        ledger.add(record(1))
    assert caplog.text.count("usage stays on this machine") == 1
    assert waiting(tmp_path) == [record(1)]
    async with running(datasets, tmp_path):
        pass
    assert await records_of(datasets, "bot") == [record(1)]


async def test_an_agent_that_never_used_a_model_has_no_usage() -> None:
    assert await records_of(MemoryDatasets(), "nobody") == []


async def test_what_is_in_the_room_and_on_its_way_counts_once(tmp_path: Path) -> None:
    datasets = MemoryDatasets()
    async with running(datasets, tmp_path) as ledger:
        ledger.add(record(1))
    assert await records_of(datasets, "bot", [record(1), record(2)]) == [record(1), record(2)]


def test_rows_that_are_none_of_ours_are_left_out() -> None:
    rows = to_table([record(1), record(2)]).to_pylist()
    rows[0]["output_tokens"] = None
    foreign = pa.Table.from_pylist([*rows, {**rows[0], "turn": None}], schema=LOOSE)
    first, second = from_table(foreign)
    assert first.usage == replace(record(1).usage or Usage(), output=0)
    assert second == record(2)
    assert list(from_table(pa.table({"id": ["x"]}))) == []


LOOSE = pa.schema([field.with_nullable(True) for field in USAGE])
