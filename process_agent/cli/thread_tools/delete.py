"""`process threads delete`: through the agent when it is there, else on the tables."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.thread_tools.attached import Attached, KeepFiles
from process_agent.cli.threads import (
    AgentName,
    Json,
    Options,
    Room,
    ThreadDir,
    folders_of,
    joined,
    run,
    store_in,
)
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.cli.thread_tools.places import Place
    from process_agent.rooms.join import JoinedRoom

MOST_NAMED = 10
"""Threads that are named when somebody is asked."""

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def delete(
    context: typer.Context,
    threads: Annotated[
        list[str], typer.Argument(metavar="THREAD...", help="Path, start of the id, name or number.")
    ],
    yes: Yes = False,
    keep_files: KeepFiles = False,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Delete threads with all that was said in them and the images that were made there, for good.

    Files that were attached or shown go too, unless another thread speaks of them. The agent deletes when it
    is in the room, and refuses while a turn runs or somebody has the thread open.
    """
    options = Options(room, agent_name, json, local, data_dir, thread_dir=thread_dir).over(context.obj)
    run(_deleted(options, threads, yes=yes, keep_files=keep_files))


async def _deleted(
    options: Options, threads: list[str], *, yes: bool, keep_files: bool
) -> AsyncGenerator[str]:
    from process_agent.cli.thread_tools.places import places

    async with joined(options) as (room, paths):
        found = await places(room, options, paths, threads)
        ask(found, yes=yes)
        folders = folders_of(room, options, paths)
        attached = Attached(room, folders, keep=keep_files)
        for place in found:
            await delete_one(room, folders, place, attached)
            yield deleted_line(place, json=options.json)
        async for line in attached.remove(json=options.json):
            yield line


def ask(found: list[Place], *, yes: bool) -> None:
    """Have it confirmed at the terminal. Raises `UsageError` where there is none, and on no."""
    from process_agent.viewer.terminal.plain import count, one_line

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("Nobody is here to ask.", fix="Say --yes to delete without asking.")
    for place in found[:MOST_NAMED]:
        typer.echo(f"{place.entry.path}  {one_line(place.entry.name, 60)}", err=True)
    if len(found) > MOST_NAMED:
        typer.echo(f"… and {len(found) - MOST_NAMED} more", err=True)
    if not typer.confirm(f"Delete {count(len(found), 'thread')} for good?", err=True):
        raise UsageError("Nothing was deleted.")


async def delete_one(room: JoinedRoom, folders: dict[str, str], place: Place, attached: Attached) -> None:
    """Delete a thread; its files are left to its agent, or else to `attached`. Raises `TurnRefusedError` when
    its agent refuses, and `RoomError`.
    """
    from process_agent.cli.thread_tools.following import agent_of
    from process_agent.viewer.client import AgentClient

    agent = agent_of(room, folders, place.entry.path)
    if agent is not None:
        async with AgentClient(room.messaging, agent) as client:
            await client.delete_thread(place.entry.path, keep_files=attached.keep)
        return
    await attached.look(place)
    apart = await _keeps_owners(room, place)
    await store_in(room, place.agent, place.directory, apart=apart).delete(place.entry.path)


async def _keeps_owners(room: JoinedRoom, place: Place) -> bool:
    from process_agent.threads.paths import namespace_of
    from process_agent.threads.schema import OWNERS_TABLE

    return OWNERS_TABLE in await room.datasets.list_tables(namespace_of(place.directory))


def deleted_line(place: Place, *, json: bool) -> str:
    """What is told of a deleted thread."""
    if json:
        return json_module.dumps({"deleted": place.entry.path, "name": place.entry.name}, ensure_ascii=False)
    return f"Deleted {place.entry.path}"
