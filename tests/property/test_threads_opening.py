"""A thread that is opened in one call says and shows what it does where it is read by several."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core.ids import MessageId
from process_agent.core.store import Page
from process_agent.core.usage import Usage
from process_agent.threads.log import DatasetThreadLog
from tests.fakes.datasets import MemoryDatasets, PlacedDatasets
from tests.fakes.grouped_datasets import GroupedDatasets
from tests.fakes.thread_events import Speaker
from tests.fakes.thread_house import House, append

WRITERS = 2
steps = st.lists(
    st.tuples(
        st.integers(0, WRITERS - 1),
        st.sampled_from(["asked", "begin", "text", "end", "end", "model", "usage", "keep", "clear"]),
        st.integers(0, 3),
    ),
    max_size=40,
)


def said(log: DatasetThreadLog, say: Speaker, kind: str, number: int, step: int) -> None:
    turn = f"u{number}"
    match kind:
        case "asked":
            append(log, say.begin(turn=turn)[:2])
        case "begin":
            append(log, say.begin(turn=turn))
        case "text":
            append(log, say.text(f"text {step}", turn=turn))
        case "end":
            append(log, say.end(turn))
        case "model":
            append(log, say.say(e.ModelChanged(None, "codex", "openai", f"m{step}"), None))
        case "usage":
            append(log, say.say(e.UsageUpdated(Usage(input=step)), turn))
        case "keep":
            log.keep(f"b{number}", {"step": step})
        case "clear":
            append(log, say.say(e.ThreadCleared(MessageId(f"c{step}")), None))


@given(steps, st.integers(1, 5), st.integers(0, 12), st.integers(0, 3))
@settings(max_examples=60)
def test_it_says_the_same(
    written: list[tuple[int, str, int]], limit: int, whole: int, meanwhile: int
) -> None:
    async def play() -> None:
        house = House()
        _, log, say = await house.thread()
        logs = [log, *[await house.agent().open(log.thread_id) for _ in range(1, WRITERS)]]
        for step, (writer, kind, number) in enumerate(written):
            said(logs[writer], say, kind, number, step)
            await logs[writer].flush()
        found = [
            await opened(house, datasets, logs, say, limit, meanwhile)
            for datasets in (MemoryDatasets(), PlacedDatasets(), GroupedDatasets())
        ]
        assert found[0] == found[1] == found[2]

    async def opened(
        house: House,
        datasets: MemoryDatasets,
        logs: list[DatasetThreadLog],
        say: Speaker,
        limit: int,
        meanwhile: int,
    ) -> object:
        datasets.tables = dict(house.datasets.tables)
        there, house.datasets = house.datasets, datasets
        try:
            log = await house.agent().open(logs[0].thread_id, turns=limit)
            other = await house.agent().open(logs[0].thread_id)
            older: list[str] = []
            page = Page(
                limit=limit, as_opened=True, on_older=lambda cursor: older.append(cursor.split(".")[1])
            )
            shown = []
            async for event in log.replay(None, page):
                shown.append((event.message_id, event.turn_id, event.body))
                if len(shown) <= meanwhile:  # another writer goes on
                    append(other, say.begin(turn=f"later{len(shown)}"))
                    await other.flush()
            again = [event.body async for event in log.replay(None, Page(limit=limit))]
            model, kept, usage = await log.model(), await log.kept(), await log.usage()
            known = await log._table.known()
            assert (model, kept) == (known.model, known.kept)
            await other.close()
            return shown, older, again, model, kept, usage, log.left
        finally:
            house.datasets = there

    with (
        patch("process_agent.threads.log.CHECKPOINT_ROWS", 3),
        patch.multiple("process_agent.threads.opening", TAIL_ROWS=12, WHOLE_ROWS=whole, FIRST_ROWS=2),
        patch.multiple("process_agent.threads.table", LIGHT_ROWS=6, PAGE_ROWS=4, FIRST_PAGE_ROWS=2),
    ):
        asyncio.run(play())
