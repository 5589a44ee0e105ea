"""Old threads are scrubbed: every occurrence, over rows and in JSON; nothing else changes or is lost."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core.content import JsonResult, LogLine
from process_agent.core.ids import ItemId
from process_agent.core.redaction import Redaction
from process_agent.core.room import TableRef
from process_agent.errors import RoomError
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.fold import Fold
from process_agent.threads.kept.replacing import copy_of, put, read_rows
from process_agent.threads.kept.rows import StoredRow, stored_rows, to_table
from process_agent.threads.kept.scrubbing import scrubbed
from process_agent.threads.reading import Reading
from process_agent.threads.rows import Stored, from_table, moment_of, to_row
from process_agent.threads.schema import THREAD
from process_agent.threads.sequence import Sequence
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.thread_events import Speaker, TestClock, texts

SECRET = "swordfish-swordfish"
PIN = "PIN 1234"
REF = TableRef("t", ("agents", "bot", "threads"))


def rules() -> Redaction:
    return Redaction([SECRET], keys=True, patterns=[re.compile("PIN [0-9]+")])


def stored(events: list[e.ThreadEvent]) -> list[StoredRow]:
    """Rows as they were stored before anything was covered, in as many pieces as there can be."""
    fold, numbers, found = Fold(), Sequence(TestClock(), 7), list[Stored]()
    for event in events:
        found += [*fold.add(event), *fold.tick()]
    return list(stored_rows(EncodedRows([to_row(each, numbers.next(), moment_of(each)) for each in found])))


def talk(*pieces: str) -> list[e.ThreadEvent]:
    speaker, ref = Speaker(), e.ToolRef(ItemId("t"), "codex", "shell")
    return [
        *speaker.begin(f"use {SECRET}"),
        *speaker.text(*pieces),
        speaker.say(e.ToolStarted(ref, {"command": "env", "deep": [{"key": SECRET}]})),
        *(speaker.say(e.ToolLog(ref, (LogLine(piece),))) for piece in pieces),
        speaker.say(e.ToolEnded(ref, JsonResult({"stdout": json.dumps({"a": SECRET})}))),
        speaker.end(),
    ]


def read(rows: list[StoredRow]) -> list[e.ThreadEvent]:
    reading = Reading(Speaker().thread_id)
    return [event for row in from_table(to_table(rows)) for event in reading.feed(row)] + reading.finish()


@given(
    st.lists(
        st.sampled_from([SECRET, SECRET[:7], SECRET[7:], PIN[:5], PIN[5:], "ha", " ", "\n", "x"]), max_size=9
    )
)
def test_nothing_of_it_is_left(pieces: list[str]) -> None:
    rows = stored(talk(*pieces))
    found = scrubbed(rows, rules())
    text = "".join(pieces)
    assert not any(SECRET in row.data or PIN in row.data for row in found.rows)
    assert texts(read(found.rows)).get(("u1", "i1"), "") == rules().text(text)
    assert found.places >= 4
    assert len(found.rows) + found.dropped == len(rows)
    assert [row for row in found.rows if row not in rows] != []
    again = scrubbed(found.rows, rules())
    assert again.rows == found.rows
    assert not again.anything


def test_what_has_no_secret_stays_to_the_letter() -> None:
    speaker = Speaker()
    rows = stored([*speaker.begin(), *speaker.text("a ", "b c"), speaker.end()])
    found = scrubbed(rows, rules())
    assert [row for row in rows if "process.partial_text" not in row.data] == found.rows
    assert found.changed == 0


def test_rows_of_others_are_looked_at_too() -> None:
    odd = [
        StoredRow(None, "x", "other.type", 0, 0, json.dumps({"anything": {SECRET: [SECRET]}})),
        StoredRow(None, "y", None, 1, 0, "[]", b"sound"),
        StoredRow("u", "i", "meshagent.agent.tool_call.log_delta", 2, 0, '{"lines": "none"}'),
    ]
    found = scrubbed(odd, rules())
    assert found.places == 2
    assert found.rows[1:] == odd[1:]


async def table(rows: list[StoredRow]) -> MemoryDatasets:
    datasets = MemoryDatasets()
    await datasets.create(REF, THREAD, "create")
    await datasets.insert(REF, to_table(rows))
    return datasets


async def test_the_new_table_takes_the_place_of_the_old_one() -> None:
    rows = stored(talk("a", SECRET))
    datasets = await table(rows)
    found = scrubbed(await read_rows(datasets, REF), rules())
    await put(datasets, REF, found.rows, before=len(rows))
    assert await read_rows(datasets, REF) == found.rows
    assert copy_of(REF) not in datasets.tables


async def test_who_wrote_meanwhile_loses_nothing() -> None:
    rows = stored(talk("a"))
    datasets = await table(rows)
    with pytest.raises(RoomError, match="meanwhile"):
        await put(datasets, REF, rows[:2], before=len(rows) - 1)
    assert await read_rows(datasets, REF) == rows
    assert copy_of(REF) not in datasets.tables


@pytest.mark.parametrize("write", range(12))
async def test_wherever_it_breaks_off_all_rows_are_there(write: int) -> None:
    rows = stored(talk("a", SECRET))
    datasets = await table(rows)
    left = write

    class Dying(MemoryDatasets):
        async def drop(self, table: TableRef) -> None:
            die()
            await super().drop(table)

        async def rename(self, table: TableRef, name: str) -> None:
            die()
            await super().rename(table, name)

        async def insert(self, table: TableRef, rows: object) -> None:
            die()
            await super().insert(table, rows)  # type: ignore[arg-type]

    def die() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise RoomError("killed")

    dying = Dying()
    dying.tables = datasets.tables
    found = scrubbed(rows, rules())
    with contextlib.suppress(RoomError):
        await put(dying, REF, found.rows, before=len(rows))
    assert await read_rows(datasets, REF) in (rows, found.rows)
