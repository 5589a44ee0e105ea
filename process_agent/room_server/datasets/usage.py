"""What an agent of the room used, added up for a page: browsers read no Arrow."""

from __future__ import annotations

from typing import Any

from process_agent.core.usage import UsageRecord
from process_agent.metering import records, report
from process_agent.room_server.datasets import reading, requests
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.reading import Selection
from process_agent.room_server.datasets.tables import Tables
from process_agent.room_server.toolkit import NOT_FOUND, Caller, ToolError

MAX_LINES = 400
"""Days and models that a page gets, the latest."""


async def usage(tables: Tables, caller: Caller, agent: str, thread: str) -> dict[str, Any]:
    """Usage by day and by model, of one thread, and of everything, as `report.as_fields` has it; days are
    those of this machine. Raises `ToolError` 1001 for who may not read the table.
    """
    ref = records.table_of(agent)
    key = TableKey(Place(ref.namespace), ref.name)
    requests.require(caller, key, "read")
    try:
        with tables.reading(key):
            dataset = await tables.open(key, None)
            _, batches = await tables.run(reading.scan, dataset, Selection())
            found = await tables.run(lambda: [record for b in batches for record in records.from_table(b)])
    except ToolError as error:
        if error.code != NOT_FOUND:
            raise
        found = []
    return await tables.run(_added_up, found, thread)


def _added_up(found: list[UsageRecord], thread: str) -> dict[str, Any]:
    every = records.each_once(found)
    days, total = report.report(every, "day", None)
    models, _ = report.report(every, "model", None)
    _, of_thread = report.report(report.chosen(every, threads=[thread]), "thread", None)
    return {
        "days": [report.as_fields(line, "day") for line in days[-MAX_LINES:]],
        "models": [report.as_fields(line, "model") for line in models[:MAX_LINES]],
        "thread": None if of_thread is None else report.as_fields(of_thread, "thread"),
        "total": None if total is None else report.as_fields(total, "total"),
    }
