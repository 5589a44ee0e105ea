"""Inserts into tables of the local room, beside a Lance append for each and beside a bare log on disk."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from benchmarks.figures import BARE, OURS, REFERENCE, Figure, Section
from process_agent.room_server.datasets import DatasetToolkit, arrow, upkeep
from process_agent.room_server.datasets.engine import Engine
from process_agent.room_server.toolkit import OPEN, Call, Caller, Content, binary_content
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.rows import Row
from process_agent.threads.schema import THREAD

TABLES = (1, 20, 200)
INSERTS = 1_000
"""Inserts of one round, over all tables; at least `PER_TABLE` for each."""

PER_TABLE = 10
ROUNDS = 3

_CALLER = Caller("p1", "bench", "agent", "bench")
_LABELS = {
    BARE: "a bare log: write and fdatasync",
    OURS: "the local room",
    REFERENCE: "a Lance append for each",
}

type Insert = Callable[[int], Awaitable[None]]
"""Insert the rows into the table of a number; durable on return."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of inserts took. `latencies` are in ms."""

    seconds: float
    cpu_ms: float
    latencies: list[float]


async def measure(folder: Path, rounds: int = ROUNDS, inserts: int = INSERTS) -> Section:
    """Rounds of each program in turn, for each number of tables."""
    figures: list[Figure] = []
    for tables in TABLES:
        rate, cpu = (
            Figure(f"{tables} tables: inserts each second", ""),
            Figure("processor time for each", "ms"),
        )
        middle, late = Figure("time to the answer, median", "ms"), Figure("time to the answer, 99 %", "ms")
        for _ in range(rounds):
            for program, run in ((BARE, _bare_log), (OURS, _local_room), (REFERENCE, _lance)):
                with tempfile.TemporaryDirectory(dir=folder) as fresh:
                    found = await run(Path(fresh), tables, max(inserts, tables * PER_TABLE))
                rate.add(program, len(found.latencies) / found.seconds)
                cpu.add(program, found.cpu_ms / len(found.latencies))
                middle.add(program, _quantile(found.latencies, 0.5))
                late.add(program, _quantile(found.latencies, 0.99))
        figures += [rate, cpu, middle, late]
    notes = (
        f"{rounds} rounds of {inserts} inserts or more of 3 rows (a tick of a streaming thread, 1 kB), in "
        "turn, one writer for each table, all in one process. *Bare* is a log without tables. *Reference* is "
        "what the room did before: a Lance append for each insert, and the same upkeep of fragments and "
        "versions. Processor time includes folding all rows into Lance at the end. The room's times "
        "include its insert protocol, without the websocket."
    )
    return Section("inserts", "Inserts into tables", _LABELS, figures, notes)


async def _bare_log(folder: Path, tables: int, inserts: int) -> Round:
    rows = arrow.to_physical(_rows(), THREAD)
    descriptor = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def insert(number: int) -> None:
        os.write(descriptor, arrow.encode_batches(rows.schema, rows.to_batches()))
        os.fdatasync(descriptor)

    try:
        return await _run(insert, tables, inserts, _nothing)
    finally:
        os.close(descriptor)


async def _lance(folder: Path, tables: int, inserts: int) -> Round:
    engine, rows = Engine(), _rows()
    for number in range(tables):
        engine.create(folder / str(number), arrow.to_physical(rows.slice(0, 0), THREAD))

    written = Counter[int]()

    async def insert(number: int) -> None:
        path, label = folder / str(number), str(number)
        engine.insert(path, label, rows, watched=False)
        written[number] += 1
        if written[number] % upkeep.EVERY == 0:
            upkeep.fold(engine.open(path, label), path)
            upkeep.forget_old_versions(engine.open(path, label))

    return await _run(insert, tables, inserts, _nothing)


async def _local_room(folder: Path, tables: int, inserts: int) -> Round:
    room = DatasetToolkit(folder)
    rows = _rows()
    data = arrow.encode_batches(rows.schema, rows.to_batches())
    for number in range(tables):
        start = {"kind": "start", "name": f"t{number}", "mode": "create"}
        await _write(room, "create_table", [binary_content(start, arrow.encode_schema(THREAD))])

    async def insert(number: int) -> None:
        chunk = binary_content({"kind": "data", "content_type": arrow.MIME}, data)
        await _write(room, "insert", [binary_content({"kind": "start", "table": f"t{number}"}), chunk])

    return await _run(insert, tables, inserts, room.close)


async def _write(room: DatasetToolkit, tool: str, chunks: Sequence[Content]) -> None:
    async def requests() -> AsyncIterator[Content]:
        for chunk in chunks:
            yield chunk

    async def send(content: Content) -> None:
        pass

    await room.stream(Call(_CALLER, tool, OPEN), requests(), send)


async def _run(insert: Insert, tables: int, inserts: int, close: Callable[[], Awaitable[None]]) -> Round:
    latencies: list[float] = []

    async def write(number: int) -> None:
        for _ in range(inserts // tables):
            began = time.perf_counter()
            await asyncio.sleep(0)  # the others have asked, too
            await insert(number)
            latencies.append((time.perf_counter() - began) * 1000)

    cpu, began = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(tables):
            group.create_task(write(number))
    seconds = time.perf_counter() - began
    await close()
    return Round(seconds, (time.process_time() - cpu) * 1000, latencies)


async def _nothing() -> None:
    pass


def _rows() -> pa.Table:
    moment = datetime.now(UTC)
    return pa.table(EncodedRows([Row("turn", f"item{n}", "text", n, moment, "x" * 300) for n in range(3)]))


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
