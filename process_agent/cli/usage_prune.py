"""`process usage prune`: removes what is kept of usage longer than it shall be."""

from __future__ import annotations

import json as json_module
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.threads import Options, Room, folders_of
from process_agent.cli.usage import AgentName
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.core.content import Json


def prune(
    context: typer.Context,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="TIME", help="What is older: 400d, 2026-01-01, or 2026-01-01T12:00."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much it is.")] = False,
    agent_name: AgentName = None,
    room: Room = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per agent and line.")] = False,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Remove rows of usage from the room for good. The threads themselves stay, and so do later rows."""
    import asyncio
    import logging

    from process_agent.cli.logs import log_to_stderr
    from process_agent.cli.moments import moment

    now = datetime.now().astimezone()
    before = moment("--older-than", older_than, now)
    if before is None or before > now:
        raise UsageError("--older-than is a time to come, and would remove everything.", fix="Write 400d.")
    log_to_stderr(logging.ERROR)
    options = Options(room, agent_name, json, local, data_dir).over(context.obj)
    for found in asyncio.run(_prune(options, before, dry_run)):
        typer.echo(json_module.dumps(found, ensure_ascii=False) if options.json else _line(found))


def _line(found: dict[str, Json]) -> str:
    verb = "would be removed" if found["dry_run"] else "removed"
    rows = "1 row" if found["rows"] == 1 else f"{found['rows']:,} rows"
    return f"{found['agent']}: {rows} of before {found['before']} {verb}"


async def _prune(options: Options, before: datetime, dry_run: bool) -> list[dict[str, Json]]:
    from process_agent import config
    from process_agent.cli.local import join_target
    from process_agent.cli.who import login_name
    from process_agent.metering.retention import prune
    from process_agent.rooms.credentials import JoinWish
    from process_agent.rooms.join import join_room

    settings = config.load()
    join = JoinWish(options.room, login_name(), "user", options.local)
    target = await join_target(settings, join, data_dir=options.data_dir)
    found: list[dict[str, Json]] = []
    async with join_room(target) as room:
        for agent in folders_of(room, options, settings.paths(options.data_dir)):
            rows = await prune(room.datasets, agent, before, dry_run=dry_run)
            moment = before.isoformat(timespec="minutes")
            found.append({"agent": agent, "before": moment, "rows": rows, "dry_run": dry_run})
    return found
