"""`process threads stats`: how much there is. Reads only."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.threads import AgentName, Json, Options, Room, ThreadDir, joined, run

if TYPE_CHECKING:
    from process_agent.cli.thread_tools.places import Place
    from process_agent.core.room import Datasets
    from process_agent.threads.kept.counting import Amount
    from process_agent.threads.kept.looking import Counted

ROWS = 5_000_000
"""Rows that are counted by what they are when nobody says how many."""


def stats(
    context: typer.Context,
    threads: Annotated[
        list[str] | None,
        typer.Argument(metavar="[THREAD]...", help="Only these, one line each. [default: all, by agent]"),
    ] = None,
    max_rows: Annotated[
        int, typer.Option("--max-rows", metavar="N", min=1, help="Rows to read at most.")
    ] = ROWS,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Count threads, turns, rows and bytes, by agent and together.

    Bytes are those of what the rows say, before the room compresses it.
    """
    options = Options(room, agent_name, json, local, data_dir, thread_dir=thread_dir).over(context.obj)
    run(_counted(options, threads or [], max_rows))


async def _counted(options: Options, threads: list[str], max_rows: int) -> AsyncGenerator[str]:
    from process_agent.cli.thread_tools.places import places
    from process_agent.threads.kept.counting import total
    from process_agent.threads.kept.looking import Counted

    amounts: dict[str, Amount] = {}
    counted = Counted(max_rows)
    async with joined(options) as (room, paths):
        for place in await places(room, options, paths, threads):
            key = place.entry.path if threads else place.agent or place.directory
            found = await _amount(room.datasets, place, counted)
            amounts[key] = amounts[key] + found if key in amounts else found
    for name, amount in amounts.items():
        yield _line(("thread" if threads else "agent"), name, amount, json=options.json)
    yield _line("total", "total", total(amounts.values()), json=options.json)


async def _amount(datasets: Datasets, place: Place, counted: Counted) -> Amount:
    from process_agent.errors import RoomRequestError
    from process_agent.threads.kept.counting import Amount, amount_of
    from process_agent.threads.paths import NOT_FOUND

    try:
        return await amount_of(datasets, place.ref, counted)
    except RoomRequestError as error:
        if error.code != NOT_FOUND:
            raise
        return Amount(threads=1)  # listed by a client, and nothing was said yet


def _line(kind: str, name: str, amount: Amount, *, json: bool) -> str:
    from process_agent.viewer.terminal.plain import count, one_line

    if json:
        told = {
            "type": kind,
            **({} if kind == "total" else {kind: name}),
            "threads": amount.threads,
            "turns": amount.started,
            "open_turns": max(amount.started - amount.ended, 0),
            "rows": amount.rows,
            "bytes": amount.bytes,
            "complete": amount.complete,
        }
        return json_module.dumps(told, ensure_ascii=False)
    least = "" if amount.complete else "at least "
    return (
        f"{one_line(name, 100)}: {count(amount.threads, 'thread')}, {least}{count(amount.started, 'turn')}, "
        f"{count(amount.rows, 'row')}, {least}{amount.bytes:,} bytes"
    )
