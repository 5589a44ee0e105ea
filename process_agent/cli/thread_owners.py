"""`process threads owners` and `assign`: whose threads are, where each participant has its own."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.threads import AgentName, Json, Options, Room, entries_of, folders_of, joined, store_in
from process_agent.errors import RoomRequestError, UsageError

if TYPE_CHECKING:
    from process_agent.core.ids import ThreadId
    from process_agent.rooms.join import JoinedRoom


def owners(
    context: typer.Context,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """List whose the threads are, as `--thread-isolation participant` keeps it: path, owner, name."""
    options = Options(room, agent_name, json, local, data_dir).over(context.obj)
    _run(options, None, None)


def assign(
    context: typer.Context,
    thread: Annotated[str, typer.Argument(metavar="THREAD", help="Path, start of the id, name or number.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a participant.")],
    room: Room = None,
    agent_name: AgentName = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Make a thread that belongs to nobody a participant's. One that is somebody's stays so."""
    _run(Options(room, agent_name, False, local, data_dir).over(context.obj), thread, name)


def _run(options: Options, thread: str | None, name: str | None) -> None:
    import asyncio
    import logging

    from process_agent.cli.logs import log_to_stderr

    log_to_stderr(logging.ERROR)
    for line in asyncio.run(_lines(options, thread, name)):
        typer.echo(line)


async def _lines(options: Options, thread: str | None, name: str | None) -> list[str]:
    async with joined(options) as (room, paths):
        folders = folders_of(room, options, paths)
        if thread is not None and name is not None:
            return [await _assigned(room, folders, thread, name)]
        known = await _known(room, folders)
        entries = await entries_of(room, folders)
    if not entries and not options.json:
        return ["There are no threads."]
    return [_line(entry.path, known.get(entry.path), entry.name, json=options.json) for entry in entries]


async def _known(room: JoinedRoom, folders: dict[str, str]) -> dict[ThreadId, str]:
    found: dict[ThreadId, str] = {}
    for agent, directory in folders.items():
        try:
            found.update(await store_in(room, agent, directory, apart=True).owners())
        except RoomRequestError as error:
            if error.code != 1003:  # no agent of this name ever kept threads apart
                raise
    return found


async def _assigned(room: JoinedRoom, folders: dict[str, str], thread: str, name: str) -> str:
    from process_agent.cli.threads import place_of, thread_named
    from process_agent.core.participants import named

    thread_id, wanted = await thread_named(room, folders, thread), named(name)
    if wanted is None:
        raise UsageError("Whose is it to be? A participant has a name.")
    owner = await store_in(room, *place_of(thread_id), apart=True).assign(thread_id, wanted)
    if owner != wanted:
        raise UsageError(f"{thread_id} is {_shown(owner)}'s, and stays so.")
    return f"{thread_id} is {_shown(owner)}'s now."


def _line(path: ThreadId, owner: str | None, name: str, *, json: bool) -> str:
    from process_agent.viewer.terminal.plain import one_line

    if json:
        return json_module.dumps({"path": path, "owner": owner, "name": name}, ensure_ascii=False)
    return f"{path}  {'(nobody)' if owner is None else one_line(_shown(owner), 40)}  {one_line(name, 60)}"


def _shown(owner: str) -> str:
    """A participant's name; of a channel's threads which channel."""
    return owner.removeprefix("name:")
