"""`process usage`: what the models of a room's agents used, and what it cost. Reads only."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.threads import Options, Room, entries_of, folders_of, thread_named

if TYPE_CHECKING:
    from process_agent.core.usage import UsageRecord
    from process_agent.rooms.join import JoinedRoom, JoinTarget


class By(StrEnum):
    """What one line of the report is."""

    TURN = "turn"
    THREAD = "thread"
    MODEL = "model"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class _Wish:
    by: By
    since: datetime | None
    until: datetime | None
    thread: str | None
    model: str | None


AgentName = Annotated[
    str | None,
    typer.Option(
        "--agent-name", "--agent", metavar="NAME", help="One agent. [default: all, as `process threads`]"
    ),
]

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def usage(
    context: typer.Context,
    by: Annotated[By, typer.Option("--by", help="What one line is.", show_choices=True)] = By.MODEL,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="From then on: 2026-11-30, 2026-11-30T12:00, or 7d, 12h, 30m ago."
        ),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then.")] = None,
    thread: Annotated[
        str | None,
        typer.Option(
            "--thread-id",
            "--thread",
            metavar="THREAD",
            help="One thread: its path, the start of its id, its name, or its number (1: newest).",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="One model: gpt-5.5, or codex/openai/gpt-5.5."),
    ] = None,
    agent_name: AgentName = None,
    room: Room = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line, the total as the last.")
    ] = False,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Print what models used and what it cost, by turn, thread, model or day, with the total.

    What a running agent used is there within seconds. Days are those of this machine's time zone.
    """
    import asyncio
    import logging

    from process_agent.cli.logs import log_to_stderr
    from process_agent.cli.moments import moment

    options = Options(room, agent_name, json, local, data_dir)
    context.obj = options
    if context.invoked_subcommand is not None:
        return
    now = datetime.now().astimezone()
    wish = _Wish(by, moment("--since", since, now), moment("--until", until, now), thread, model)
    log_to_stderr(logging.ERROR)
    for line in asyncio.run(_read(options, wish)):
        typer.echo(line)


async def _read(options: Options, wish: _Wish) -> list[str]:
    from process_agent import config
    from process_agent.cli.local import join_target
    from process_agent.cli.usage_table import as_table
    from process_agent.cli.who import login_name
    from process_agent.metering import report
    from process_agent.rooms.credentials import JoinWish
    from process_agent.rooms.join import join_room

    settings = config.load()
    join = JoinWish(options.room, login_name(), "user", options.local)
    target = await join_target(settings, join, data_dir=options.data_dir)
    root = settings.paths(options.data_dir)
    async with join_room(target) as room:
        folders = folders_of(room, options, root)
        wanted = None if wish.thread is None else [await thread_named(room, folders, wish.thread)]
        records = [record for agent in folders for record in await _records(room, target, root.root, agent)]
        records = report.chosen(records, since=wish.since, until=wish.until, threads=wanted, model=wish.model)
        names = await _names(room, folders, records) if wish.by in (By.TURN, By.THREAD) else {}
    lines, total = report.report(records, wish.by.value, None)
    if options.json:
        each = [report.as_fields(line, wish.by.value) for line in lines]
        for fields in each:
            if name := names.get(str(fields.get("thread"))):
                fields["thread_name"] = name
        last = [] if total is None else [report.as_fields(total, "total")]
        return [json_module.dumps(fields, ensure_ascii=False) for fields in (*each, *last)]
    return list(as_table(lines, total, wish.by.value, names))


async def _records(room: JoinedRoom, target: JoinTarget, root: Path, agent: str) -> list[UsageRecord]:
    from process_agent.cli.metered import spool_folder
    from process_agent.metering.reading import records_of
    from process_agent.metering.spool import waiting

    # In this order: what comes into the room meanwhile is in both, and counted once.
    on_the_way = waiting(spool_folder(root, target, agent))
    return await records_of(room.datasets, agent, on_the_way)


async def _names(room: JoinedRoom, folders: dict[str, str], records: Sequence[UsageRecord]) -> dict[str, str]:
    if not records:
        return {}
    return {entry.path: entry.name for entry in await entries_of(room, folders)}
