"""What is repeated near the end of a long thread is believed only where it is true."""

from __future__ import annotations

import pytest

from process_agent.core import events as e
from process_agent.core.models import ModelChoice
from process_agent.core.redaction import NOTHING
from process_agent.core.room import TableRef
from process_agent.threads.kept.replacing import put, read_rows
from process_agent.threads.kept.rows import StoredRow, stored_rows, to_table
from process_agent.threads.kept.scrubbing import scrubbed
from process_agent.threads.log import DatasetThreadLog
from tests.fakes.datasets import MemoryDatasets, PlacedDatasets
from tests.fakes.grouped_datasets import GroupedDatasets
from tests.fakes.thread_house import House, append

KINDS = (MemoryDatasets, PlacedDatasets, GroupedDatasets)


@pytest.fixture(params=KINDS)
def house(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("process_agent.threads.opening.WHOLE_ROWS", 8)
    monkeypatch.setattr("process_agent.threads.log.CHECKPOINT_ROWS", 12)
    house = House()
    house.datasets = request.param()
    return house


def chosen(model: str) -> e.ModelChanged:
    return e.ModelChanged(None, "codex", "openai", model)


async def agrees_with_a_search(log: DatasetThreadLog) -> None:
    found = await log._table.known()
    assert (await log.model(), await log.kept()) == (found.model, found.kept)


async def test_what_was_decided_before_and_is_written_later_does_not_win(house: House) -> None:
    _, ours, say = await house.thread()
    theirs = await house.agent().open(say.thread_id)
    append(theirs, say.say(chosen("old"), None))  # their connection is away: the rows wait
    theirs.keep("codex", {"thread": "old"})
    append(ours, say.say(chosen("new"), None))
    ours.keep("codex", {"thread": "new"})
    for number in range(9):
        append(ours, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
        await ours.flush()
    await theirs.flush()
    again = await house.agent().open(say.thread_id)
    assert await again.model() == ModelChoice("codex", "openai", "new")
    assert await again.kept() == {"codex": {"thread": "new"}}
    await agrees_with_a_search(again)


async def test_the_model_of_rows_without_a_type_is_found(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.say(chosen("big"), None))
    for number in range(40):
        append(log, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
    await log.flush()
    ref = table_of(house, log)
    rows = [without_type(row) for row in stored_rows(house.datasets.tables[ref])]
    house.datasets.tables[ref] = to_table([row for row in rows if not row.is_state])
    again = await house.agent().open(say.thread_id)
    assert await again.model() == ModelChoice("codex", "openai", "big")


async def test_rows_that_move_take_no_checkpoints_along(house: House) -> None:
    """Else one that somebody's rows made untrue could stand where it says by chance."""
    _, ours, say = await house.thread()
    ours.keep("codex", {"thread": "old"})
    text = say.text("abcdefghij klmnop qrstuv wxyz", turn="p")
    append(ours, say.begin(turn="p"), text[:2])
    await ours.flush(open_items=True)
    append(ours, text[2:], say.end("p"))
    await ours.flush()
    theirs = await house.agent().open(say.thread_id)
    theirs.keep("codex", {"thread": "new"})
    await theirs.flush()
    for number in range(40):
        append(ours, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
        await ours.flush()
    ref = table_of(house, ours)
    rows = await read_rows(house.datasets, ref)
    found = scrubbed(rows, NOTHING)
    assert found.dropped == 1
    assert any(row.is_checkpoint for row in rows)
    await put(house.datasets, ref, found.rows, len(rows))
    assert not any(row.is_checkpoint for row in await read_rows(house.datasets, ref))
    again = await house.agent().open(say.thread_id)
    assert await again.kept() == {"codex": {"thread": "new"}}
    await agrees_with_a_search(again)


def table_of(house: House, log: DatasetThreadLog) -> TableRef:
    return next(ref for ref in house.datasets.tables if ref.name == log.thread_id.rsplit("/", 1)[1])


def without_type(row: StoredRow) -> StoredRow:
    return StoredRow(row.turn_id, row.item_id, None, row.sequence, row.timestamp, row.data)
