"""`process threads`: the list of what is stored, and what its sub-commands have in common."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local, ProjectId
from process_agent.cli.thread_output import Form, Output, threads_as
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.config import DataPaths
    from process_agent.core.ids import ThreadId
    from process_agent.core.store import ThreadEntry
    from process_agent.rooms.join import JoinedRoom
    from process_agent.threads.store import DatasetThreadStore

MOST_THREADS = 10_000
"""Threads of one agent that are listed."""

app = typer.Typer(help="What is stored of the conversations in a room.", rich_markup_mode=None)

Room = Annotated[
    str | None, typer.Option("--room", metavar="NAME", help="The room. [default: $MESHAGENT_ROOM]")
]
AgentName = Annotated[
    str | None,
    typer.Option(
        "--agent-name",
        metavar="NAME",
        help="The agent. [default: all in the room, and all of the local room]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="Threads to list. [default: all]")
]
Offset = Annotated[int, typer.Option("--offset", metavar="N", min=0, help="Threads to leave out before.")]
ThreadDir = Annotated[
    str | None,
    typer.Option("--thread-dir", metavar="PATH", help="Folder of the threads, instead of an agent."),
]
ThreadStorage = Annotated[
    list[str] | None,
    typer.Option(
        "--thread-storage", metavar="KIND", help="Where threads are: dataset, in the room. The first counts."
    ),
]
Thread = Annotated[
    str,
    typer.Argument(
        metavar="THREAD", help="Path of the thread, the start of its id, its name, or its number (1: newest)."
    ),
]
ThreadRef = Annotated[
    str,
    typer.Option(
        "--thread-id",
        "--thread",
        metavar="THREAD",
        help="Path of the thread, the start of its id, its name, or its number (1: newest).",
    ),
]


@dataclass(frozen=True, slots=True)
class Options:
    """What was given on the command line."""

    room: str | None = None
    agent_name: str | None = None
    json: bool = False
    local: bool = False
    data_dir: Path | None = None
    output: Form | None = None
    limit: int | None = None
    offset: int = 0
    thread_dir: str | None = None
    project_id: str | None = None

    def over(self, outer: Options) -> Options:
        """These, with what was given before the sub-command where these say nothing."""
        return replace(
            self,
            room=self.room or outer.room,
            agent_name=self.agent_name or outer.agent_name,
            json=self.json or outer.json,
            local=self.local or outer.local,
            data_dir=self.data_dir or outer.data_dir,
            output=self.output or outer.output,
            limit=self.limit or outer.limit,
            offset=self.offset or outer.offset,
            thread_dir=self.thread_dir or outer.thread_dir,
            project_id=self.project_id or outer.project_id,
        )


@app.callback(invoke_without_command=True)
def threads(
    context: typer.Context,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    output: Output = None,
    limit: Limit = None,
    offset: Offset = 0,
    thread_dir: ThreadDir = None,
    thread_storage: ThreadStorage = None,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """List the threads, or show one."""
    check_storage(thread_storage)
    context.obj = Options(
        room, agent_name, json, local, data_dir, output, limit, offset, thread_dir, project_id
    )
    if context.invoked_subcommand is None:
        _run(context.obj)


@app.command("list", short_help="List the threads, the latest changed first.")
def list_threads(
    context: typer.Context,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    output: Output = None,
    limit: Limit = None,
    offset: Offset = 0,
    thread_dir: ThreadDir = None,
    thread_storage: ThreadStorage = None,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """List the threads, the latest changed first: path, name, time of the last change."""
    check_storage(thread_storage)
    said = Options(room, agent_name, json, local, data_dir, output, limit, offset, thread_dir, project_id)
    _run(said.over(context.obj))


def check_storage(kinds: Sequence[str] | None) -> None:
    """Raise `UsageError` unless the first storage that is named, the one that counts, can be read here."""
    from process_agent.cli.checked import THREAD_STORAGES, one_of

    match one_of("--thread-storage", next(iter(kinds or ()), "dataset"), THREAD_STORAGES):
        case "codex":
            what = "Threads in Codex's own records are not in the room"
        case "none":
            what = "Threads that are not kept end with their agent, and are not in the room"
        case _:
            return
    raise UsageError(f"{what}; only the agent itself shows them.", fix="Open them with `process chat`.")


def run(lines: AsyncGenerator[str]) -> None:
    """Print lines as they come."""
    import asyncio
    import logging

    from process_agent.cli.logs import log_to_stderr

    async def printing() -> None:
        async with aclosing(lines):  # whoever reads may want no more of it: `| head`
            async for line in lines:
                typer.echo(line)

    log_to_stderr(logging.ERROR)
    asyncio.run(printing())


def _run(options: Options) -> None:
    async def listing() -> AsyncGenerator[str]:
        async with joined(options) as (room, paths):
            entries = await entries_of(room, folders_of(room, options, paths))
        for line in _listing(entries, options):
            yield line

    run(listing())


@asynccontextmanager
async def joined(options: Options) -> AsyncIterator[tuple[JoinedRoom, DataPaths]]:
    """The room that is meant, joined as the user, and where the data of this machine is."""
    from process_agent import config
    from process_agent.cli.local import join_target
    from process_agent.cli.who import login_name
    from process_agent.rooms.credentials import JoinWish
    from process_agent.rooms.join import join_room

    settings = config.load()
    wish = JoinWish(options.room, login_name(), "user", options.local, options.project_id)
    target = await join_target(settings, wish, data_dir=options.data_dir)
    async with join_room(target) as room:
        yield room, settings.paths(options.data_dir)


# --- Whose threads ------------------------------------------------------------------------------------


def folders_of(room: JoinedRoom, options: Options, paths: DataPaths) -> dict[str, str]:
    """Agents and the folders of their threads. Raises `UsageError` when nobody can be found."""
    from process_agent.threads.paths import directory_of, directory_told

    if options.thread_dir is not None:
        return {"": f"dataset://{options.thread_dir.removeprefix('dataset://').strip('/')}"}
    here = {p.name: p for p in room.messaging.participants() if p.attributes.get("supports_agent_messages")}
    datasets = paths.rooms / room.name / "datasets"
    found = {options.agent_name} if options.agent_name else {*filter(None, here), *_stored(datasets)}
    if not found:
        raise UsageError(f"There is no agent in {room.name}.", fix="Name the one you mean with --agent-name.")
    folders = {}
    for name in sorted(found):
        agent = here.get(name)
        folders[name] = directory_of(name) if agent is None else directory_told(agent)
    return folders


def _stored(datasets: Path) -> Iterator[str]:
    """Agents that have threads in the local room, also when they are not there now."""
    if not datasets.is_dir():
        return
    from process_agent.room_server.datasets.catalog import Catalog
    from process_agent.room_server.datasets.names import MAIN, Place
    from process_agent.threads.schema import INDEX_TABLE

    catalog = Catalog(datasets)
    for place in catalog.places_below(Place(("agents",), MAIN)):
        match place.namespace:
            case ("agents", name, "threads") if INDEX_TABLE in catalog.tables(place):
                yield name


# --- Reading ------------------------------------------------------------------------------------------


def store_in(
    room: JoinedRoom, agent: str, directory: str | None, *, apart: bool = False
) -> DatasetThreadStore:
    """The threads of an agent; it is not started."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from process_agent.io.this_process import is_gone
    from process_agent.threads.leases import Presence
    from process_agent.threads.store import DatasetThreadStore

    def is_here() -> bool:
        return any(p.name == agent for p in room.messaging.participants())

    return DatasetThreadStore(
        room.datasets,
        agent,
        clock=lambda: datetime.now(UTC),
        new_id=lambda: str(uuid4()),
        directory=directory,
        presence=Presence(None, is_gone, is_here),
        apart=apart,
    )


async def entries_of(room: JoinedRoom, folders: dict[str, str]) -> list[ThreadEntry]:
    """The threads in these folders, the latest changed first."""
    from process_agent.errors import RoomRequestError

    found: list[ThreadEntry] = []
    for agent, directory in folders.items():
        try:
            found += (await store_in(room, agent, directory).list(MOST_THREADS, 0))[0]
        except RoomRequestError as error:
            if error.code != _NOT_FOUND:
                raise
    return sorted(found, key=lambda entry: entry.modified_at, reverse=True)


_NOT_FOUND = 1003


async def thread_named(room: JoinedRoom, folders: dict[str, str], ref: str) -> ThreadId:
    """The thread that somebody means. Raises `UsageError` when there is none, or several."""
    from process_agent.core.ids import ThreadId
    from process_agent.viewer.terminal.naming import resolve_thread

    if "://" in ref:
        return ThreadId(ref)
    return resolve_thread(ref, await entries_of(room, folders), see="`process threads`").path


def place_of(thread_id: ThreadId) -> tuple[str, str]:
    """The agent of a thread, as far as its path says it, and the folder."""
    directory, _, _ = thread_id.rpartition("/")
    parts = directory.removeprefix("dataset://").split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "agents" else "", directory


# --- Printing -----------------------------------------------------------------------------------------


def _listing(entries: list[ThreadEntry], options: Options) -> Iterator[str]:
    from process_agent.viewer.terminal.plain import one_line
    from process_agent.wire.agent_messages.parts import encode_time

    entries = entries[options.offset :][: options.limit]
    if options.output in (Form.JSON, Form.TABLE):
        yield from threads_as(entries, options.output)
        return
    for entry in entries:
        if options.json:
            fields = {
                "path": entry.path,
                "name": entry.name,
                "created_at": encode_time(entry.created_at),
                "modified_at": encode_time(entry.modified_at),
            }
            yield json_module.dumps(fields, ensure_ascii=False)
        else:
            moment = entry.modified_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
            yield f"{entry.path}  {moment}  {one_line(entry.name, 60)}"
    if not entries and not options.json:
        yield "There are no threads."
