"""What turns take on disk is in proportion to what was said; tools work on real tables."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from process_agent.core.ids import ThreadId
from process_agent.core.redaction import Redaction
from process_agent.core.room import TableRef
from process_agent.io.tables import up_to_date
from process_agent.metering.records import USAGE, VERSION
from process_agent.rooms.join import JoinedRoom, JoinTarget, join_room
from process_agent.threads.indexing import COLUMNS
from process_agent.threads.kept.counting import amount_of
from process_agent.threads.kept.looking import Counted
from process_agent.threads.kept.replacing import put, read_rows
from process_agent.threads.kept.scrubbing import scrubbed
from process_agent.threads.store import DatasetThreadStore
from tests.fakes.room import ROOM, LocalRoom, local_room
from tests.fakes.thread_events import Speaker

TURNS = 400
SECRET = "swordfish-swordfish"
ANSWER = f"An answer of an ordinary length, with {SECRET}, that says the same each time. " * 6


@asynccontextmanager
async def joined(server: LocalRoom) -> AsyncIterator[tuple[JoinedRoom, DatasetThreadStore]]:
    async with join_room(JoinTarget(ROOM, server.url, server.token("bot", "agent"))) as room:
        store = DatasetThreadStore(
            room.datasets, "bot", clock=lambda: datetime.now(UTC), new_id=lambda: str(uuid.uuid4())
        )
        await store.start()
        yield room, store
        await store.close()


async def talk(store: DatasetThreadStore, path: ThreadId, turns: int = TURNS) -> None:
    """Every turn is stored and listed by itself, as when people talk."""
    log = await store.open(path)
    say = Speaker(path, clock=lambda: datetime.now(UTC))  # type: ignore[arg-type]
    for number in range(turns):
        turn = f"u{number}"
        answer = say.text(ANSWER, item=f"i{number}", turn=turn)
        for event in [*say.begin("hello", turn), *answer, say.end(turn)]:
            log.append(event)
        await log.flush()
    await log.close()


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def test_many_turns_and_their_scrubbing(tmp_path: Path) -> None:
    async with local_room(tmp_path) as server:
        async with joined(server) as (room, store):
            entry = await store.create("long")
            await talk(store, entry.path)
            for _ in range(100):
                await store.rename(entry.path, "longer")
            ref = TableRef(entry.path.rsplit("/", 1)[-1], ("agents", "bot", "threads"))
            amount = await amount_of(room.datasets, ref, Counted(1_000_000))
            assert (amount.started, amount.ended) == (TURNS, TURNS)
        await server.restart()
        async with joined(server) as (room, _):
            assert size_of(server.paths.rooms) < 3 * amount.bytes + 200_000
            found = scrubbed(await read_rows(room.datasets, ref), Redaction([SECRET]))
            assert found.places == 6 * TURNS
            await put(room.datasets, ref, found.rows, before=amount.rows)
            kept = [row for row in found.rows if not row.is_checkpoint]
            assert await read_rows(room.datasets, ref) == kept
            await room.datasets.optimize(TableRef("index", ref.namespace), forget_all=True)


async def test_a_published_client_lists_the_indexes_an_agent_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.threads.indexing.INDEX_FROM", 20)
    monkeypatch.setattr("process_agent.threads.writer.COMPACT_EVERY", 8)
    async with local_room(tmp_path) as server, joined(server) as (_, store):
        entry = await store.create("long")
        await talk(store, entry.path, turns=16)
        await store._tasks.wait()
        async with server.client("ann") as client:
            table, namespace = entry.path.rsplit("/", 1)[-1], ["agents", "bot", "threads"]
            found = await client.datasets.list_indexes(table=table, namespace=namespace)
            assert {each.columns[0]: each.type.upper() for each in found} == COLUMNS
            assert all(each.num_rows_indexed for each in found)
            where = "item_id = 'i3'"
            rows = await client.datasets.search(table=table, namespace=namespace, where=where)
            assert rows.num_rows > 0


async def test_an_old_table_of_usage_gets_its_columns_in_a_real_room(tmp_path: Path) -> None:
    table = TableRef("usage", ("agents", "bot"))
    first = pa.schema([f for f in USAGE if f.name not in ("web_searches", "images", "unpriced_pieces")])
    async with local_room(tmp_path) as server, joined(server) as (room, _):
        await room.datasets.create(table, first, "create")
        await up_to_date(room.datasets, table, USAGE, version=VERSION)
        row = {field.name: None for field in USAGE} | {
            "id": "1", "at": datetime(2026, 1, 1, tzinfo=UTC), "whole": True, "web_searches": 3,
            **dict.fromkeys(("agent", "thread", "turn", "backend", "provider", "model", "purpose"), "x"),
        }  # fmt: skip
        await room.datasets.insert(table, pa.Table.from_pylist([row], schema=USAGE))
        (read,) = [r async for b in room.datasets.search(table) for r in pa.table(b).to_pylist()]
        assert (read["web_searches"], read["images"]) == (3, None)
