"""`process threads prune`: threads that nobody used for long go."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.thread_tools.attached import Attached, KeepFiles
from process_agent.cli.thread_tools.delete import Yes, ask, delete_one
from process_agent.cli.threads import AgentName, Json, Options, Room, ThreadDir, folders_of, joined, run

if TYPE_CHECKING:
    from process_agent.cli.thread_tools.places import Place
    from process_agent.threads.kept.retention import Rule


def prune(
    context: typer.Context,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Not used for so long: 90d, 12w, 36h.")
    ],
    keep: Annotated[
        int, typer.Option("--keep", metavar="N", min=0, help="Never the latest N of an agent.")
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which would go.")] = False,
    yes: Yes = False,
    keep_files: KeepFiles = False,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Delete the threads that nobody used for long, the oldest first, for good. Asks first, unless --yes.

    Threads that run or that somebody has open stay: the agent, when it is in the room, does not delete them.
    """
    from process_agent.threads.kept.retention import Rule, age_of

    options = Options(room, agent_name, json, local, data_dir, thread_dir=thread_dir).over(context.obj)
    run(
        _pruned(
            options,
            Rule(age_of("--older-than", older_than), keep),
            dry_run=dry_run,
            yes=yes,
            files=not keep_files,
        )
    )


async def _pruned(
    options: Options, rule: Rule, *, dry_run: bool, yes: bool, files: bool
) -> AsyncGenerator[str]:
    from datetime import UTC, datetime

    from process_agent.cli.thread_tools.places import places
    from process_agent.errors import TurnRefusedError
    from process_agent.threads.kept.retention import outdated

    async with joined(options) as (room, paths):
        listed = await places(room, options, paths, None)
        now, by_path = datetime.now(UTC), {place.entry.path: place for place in listed}
        gone = [
            by_path[entry.path]
            for directory in dict.fromkeys(place.directory for place in listed)
            for entry in outdated([p.entry for p in listed if p.directory == directory], rule, now)
        ]
        if gone and not dry_run:
            ask(gone, yes=yes)
        folders = folders_of(room, options, paths)
        attached = Attached(room, folders, keep=not files)
        for place in gone:
            kept = None
            try:
                if not dry_run:
                    await delete_one(room, folders, place, attached)
            except TurnRefusedError as error:
                kept = str(error)
            yield _line(place, kept, json=options.json, dry_run=dry_run)
        async for line in attached.remove(json=options.json):
            yield line
    if not gone and not options.json:
        yield "No thread is that old."


def _line(place: Place, kept: str | None, *, json: bool, dry_run: bool) -> str:
    from process_agent.viewer.terminal.plain import one_line
    from process_agent.wire.agent_messages.parts import encode_time

    entry = place.entry
    if json:
        told = {
            "thread": entry.path,
            "name": entry.name,
            "modified_at": encode_time(entry.modified_at),
            "deleted": not dry_run and kept is None,
            "kept_because": kept,
        }
        return json_module.dumps(told, ensure_ascii=False)
    said = f"{entry.path}  {entry.modified_at.astimezone():%Y-%m-%d}  {one_line(entry.name, 60)}"
    if kept is not None:
        return f"Stays: {said}  ({kept})"
    return f"{'Would go' if dry_run else 'Deleted'}: {said}"
