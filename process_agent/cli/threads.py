"""`process threads`: what is stored of the conversations with the agents of a room. Reads only."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.cli.thread_output import (
    Form,
    Output,
    going_on,
    matches_as,
    messages_as,
    printed,
    threads_as,
    workplace,
)
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.config import DataPaths
    from process_agent.core.backend import KeptState
    from process_agent.core.events import ThreadEvent
    from process_agent.core.ids import ThreadId
    from process_agent.core.store import ThreadEntry
    from process_agent.rooms.join import JoinedRoom
    from process_agent.threads.store import DatasetThreadStore
    from process_agent.viewer.transcript import Transcript

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
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """List the threads, or show one."""
    context.obj = Options(room, agent_name, json, local, data_dir, output, limit, offset, thread_dir)
    if context.invoked_subcommand is None:
        _run(context.obj, None)


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
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """List the threads, the latest changed first: path, name, time of the last change."""
    said = Options(room, agent_name, json, local, data_dir, output, limit, offset, thread_dir)
    _run(said.over(context.obj), None)


@app.command("show", short_help="Print a thread, and how to go on with it in Codex itself.")
def show(
    context: typer.Context,
    thread: Annotated[
        str,
        typer.Argument(
            metavar="THREAD",
            help="Path of the thread, the start of its id, its name, or its number (1: newest).",
        ),
    ],
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Print a thread: every item with its text in full, how each turn ended, how to go on in a terminal."""
    _run(Options(room, agent_name, json, local, data_dir).over(context.obj), thread)


def messages(
    thread: ThreadRef,
    room: Room = None,
    agent_name: AgentName = None,
    output: Output = None,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Print the stored messages of a thread."""
    form = output or Form.TEXT
    options = Options(room, agent_name, False, local, data_dir, thread_dir=thread_dir)
    if form is Form.TEXT:
        _run(options, thread)
    else:
        _run(options, thread, lambda events, _: messages_as(events, form))


def grep(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="A regular expression.")],
    thread: ThreadRef,
    room: Room = None,
    agent_name: AgentName = None,
    output: Output = None,
    thread_dir: ThreadDir = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Print what was said in a thread where a pattern fits."""
    options = Options(room, agent_name, False, local, data_dir, thread_dir=thread_dir)
    form = output or Form.TEXT
    _run(options, thread, lambda _, transcript: matches_as(transcript, pattern, form))


type Printing = Callable[[Sequence[ThreadEvent], Transcript], Iterator[str]]


def _run(options: Options, thread: str | None, printing: Printing | None = None) -> None:
    import asyncio
    import logging

    from process_agent.cli.logs import log_to_stderr

    log_to_stderr(logging.ERROR)
    for line in asyncio.run(_read(options, thread, printing)):
        typer.echo(line)


async def _read(options: Options, thread: str | None, printing: Printing | None) -> list[str]:
    from process_agent import config
    from process_agent.cli.going_on import commands

    named = thread is not None and "://" in thread
    async with joined(options) as (room, paths):
        folders = {} if named else folders_of(room, options, paths)
        if thread is None:
            return list(_listing(await entries_of(room, folders), options))
        thread_id = await thread_named(room, folders, thread)
        events, transcript, kept = await _transcript(room, thread_id)
        if printing is not None:
            return list(printing(events, transcript))
        ways = list(commands(thread_id, kept, config.environment_for_child(("CODEX_HOME", "HOME"))))
        place = workplace(paths.root, thread_id, json=options.json)
        return [
            *place,
            *printed(transcript, json=options.json),
            *going_on(ways, json=options.json),
        ]


@asynccontextmanager
async def joined(options: Options) -> AsyncIterator[tuple[JoinedRoom, DataPaths]]:
    """The room that is meant, joined as the user, and where the data of this machine is."""
    from process_agent import config
    from process_agent.cli.local import join_target
    from process_agent.cli.who import login_name
    from process_agent.rooms.credentials import JoinWish
    from process_agent.rooms.join import join_room

    settings = config.load()
    wish = JoinWish(options.room, login_name(), "user", options.local)
    target = await join_target(settings, wish, data_dir=options.data_dir)
    async with join_room(target) as room:
        yield room, settings.paths(options.data_dir)


# --- Whose threads ------------------------------------------------------------------------------------


def folders_of(room: JoinedRoom, options: Options, paths: DataPaths) -> dict[str, str]:
    """Agents and the folders of their threads. Raises `UsageError` when nobody can be found."""
    from process_agent.threads.paths import directory_of

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
        said = None if agent is None else agent.attributes.get("meshagent.chatbot.thread-dir")
        folders[name] = _single_scheme(said) if isinstance(said, str) and said else directory_of(name)
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


def _single_scheme(directory: str) -> str:
    """The published agent names its folder with a doubled scheme (agent protocol, section 2.1)."""
    while directory.startswith("dataset://dataset://"):
        directory = directory.removeprefix("dataset://")
    return directory


# --- Reading ------------------------------------------------------------------------------------------


def store_in(
    room: JoinedRoom, agent: str, directory: str | None, *, apart: bool = False
) -> DatasetThreadStore:
    """The threads of an agent; it is not started."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from process_agent.threads.store import DatasetThreadStore

    def is_here() -> bool:
        return any(p.name == agent for p in room.messaging.participants())

    return DatasetThreadStore(
        room.datasets,
        agent,
        clock=lambda: datetime.now(UTC),
        new_id=lambda: str(uuid4()),
        directory=directory,
        others_here=is_here,
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


async def _transcript(
    room: JoinedRoom, thread_id: ThreadId
) -> tuple[list[ThreadEvent], Transcript, Mapping[str, KeptState]]:
    """The thread as stored, and what backends kept with it; a turn whose agent is gone reads as lost. Writes
    nothing.
    """
    from process_agent.viewer.transcript import Transcript

    log = await store_in(room, *place_of(thread_id)).open(thread_id)
    transcript, events = Transcript(), [event async for event in log.replay()]
    for event in events:
        transcript.apply(event)
    kept = await log.kept()
    await log.close()
    return events, transcript, kept


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
