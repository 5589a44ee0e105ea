"""`process threads repair`: rows that are there twice."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.threads import AgentName, Json, Options, Room, ThreadDir, joined, run

if TYPE_CHECKING:
    from process_agent.cli.thread_tools.places import Place
    from process_agent.threads.kept.doubled import Single


def repair(
    context: typer.Context,
    threads: Annotated[
        list[str], typer.Argument(metavar="THREAD...", help="Path, start of the id, name or number.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Remove rows that are in a thread twice, as an insert that was carried out twice leaves them.

    Our agents read each row once anyway; published agents refuse such a thread. Rows of one number that say
    something else stay. The agent must not be in the room.
    """
    options = Options(room, agent_name, json, local, data_dir, thread_dir=thread_dir).over(context.obj)
    run(_repaired(options, threads, dry_run=dry_run))


async def _repaired(options: Options, threads: list[str], *, dry_run: bool) -> AsyncGenerator[str]:
    from process_agent.cli.thread_tools.places import to_rewrite
    from process_agent.threads.kept.doubled import single
    from process_agent.threads.kept.replacing import put, read_rows

    async with joined(options) as (room, paths):
        for place in await to_rewrite(room, options, paths, threads, dry_run=dry_run):
            rows = await read_rows(room.datasets, place.ref, put_right=not dry_run)
            found = single(rows)
            if found.doubled and not dry_run:
                await put(room.datasets, place.ref, found.rows, before=len(rows))
            yield _line(place, found, json=options.json, dry_run=dry_run)


def _line(place: Place, found: Single, *, json: bool, dry_run: bool) -> str:
    if json:
        told = {
            "thread": place.entry.path,
            "rows": len(found.rows),
            "rows_doubled": found.doubled,
            "rows_differing": found.differing,
            "dry_run": dry_run,
        }
        return json_module.dumps(told)
    would = "would be " if dry_run else ""
    said = f"{place.entry.path}: {found.doubled} rows that were there twice {would}removed"
    if found.differing:
        said += f"; {found.differing} stay that share a number with another row and say something else"
    return said
