"""Opening a thread of 100, 10,000 and 1,000,000 stored rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import batched

import pyarrow as pa

from benchmarks.chat import Chat
from benchmarks.codex_turn import LABELS, talk
from benchmarks.figures import BARE, OURS, Figure, Section
from benchmarks.stage import Agent, Stage
from process_agent.core import events as e
from process_agent.core.content import TextPart
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.rows import Row, to_row

SIZES = (100, 10_000, 1_000_000)
REFERENCE_MOST = 10_000
"""Rows of the largest thread the reference opens here: it reads all of them, for minutes at a million."""

COPIES = 3
BATCH = 20_000
ROWS_OF_TURN = 5


async def measure(stage: Stage, copies: int = COPIES, sizes: tuple[int, ...] = SIZES) -> Section:
    """Each size in several threads, each opened once by an agent that never saw it."""
    figures = {
        size: [
            Figure(f"{size:,} rows: open to first stored event", "ms"),
            Figure(f"{size:,} rows: open to loaded", "ms"),
            Figure(f"{size:,} rows: events sent", ""),
        ]
        for size in sizes
    }
    for program, agent in stage.agents().items():
        async with talk(stage, agent) as talking:
            for size in sizes:
                if program != OURS and size > REFERENCE_MOST:
                    continue
                for copy in range(copies if size < 1_000_000 else 1):
                    path = await stored_thread(talking.chat, agent, f"rows-{size}-{copy}", size)
                    opened = await talking.chat.open(talking.agent, path)
                    first, loaded, events = figures[size]
                    first.add(program, opened.first_ms)
                    loaded.add(program, opened.loaded_ms)
                    events.add(program, opened.events)
                    await talking.chat.leave(path)
    notes = (
        f"A turn is {ROWS_OF_TURN} rows. `process` shows the last 1,000 turns at most; the reference reads "
        f"and sends everything, and is not asked for more than {REFERENCE_MOST:,} rows."
    )
    labels = {name: label for name, label in LABELS.items() if name != BARE}
    return Section(
        "opening", "Opening a thread", labels, [f for group in figures.values() for f in group], notes
    )


async def stored_thread(chat: Chat, agent: Agent, name: str, count: int) -> str:
    """A thread of this many rows in the room's dataset, written as an agent would have; returns its path."""
    namespace = ["agents", agent.name, "threads"]
    path = f"dataset://{'/'.join(namespace)}/{name}"
    datasets = chat.client.datasets
    await datasets.create_table_from_data(name=name, data=pa.table(EncodedRows([])), namespace=namespace)
    batches = batched(_rows(ThreadId(path), agent.name, count), BATCH, strict=False)
    # In a thread: the room takes a client for dead that does not answer for long.
    while rows := await asyncio.to_thread(next, batches, None):
        records = await asyncio.to_thread(lambda: pa.table(EncodedRows(rows)))
        await datasets.insert(table=name, records=records, namespace=namespace)
    return path


def _rows(path: ThreadId, agent: str, count: int) -> Iterator[Row]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(count):
        turn, step = divmod(number, ROWS_OF_TURN)
        moment += timedelta(milliseconds=1)
        yield to_row(_event(path, agent, turn, step, moment), number, moment)


def _event(path: ThreadId, agent: str, turn: int, step: int, moment: datetime) -> e.ThreadEvent:
    content, source, item = (TextPart(f"question {turn}"),), MessageId(f"q{turn}"), ItemId(f"i{turn}")
    bodies: tuple[e.EventBody, ...] = (
        e.TurnRequested(content, "ana"),
        e.TurnAccepted(source, content, "ana"),
        e.TurnStarted(source, content, "ana"),
        e.TextDelta(item, f"This is the answer to question {turn}, of a usual length. " * 4, "final_answer"),
        e.TurnEnded(e.EndReason.COMPLETED),
    )
    message = source if step == 0 else MessageId(f"m{turn}-{step}")
    return e.ThreadEvent(message, path, TurnId(f"t{turn}"), moment, bodies[step], agent)
