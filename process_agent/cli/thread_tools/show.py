"""`process threads show`, `process messages` and `process grep`: what one thread says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local, ProjectId
from process_agent.cli.thread_output import (
    Form,
    Output,
    going_on,
    matches_as,
    messages_as,
    printed,
    workplace,
)
from process_agent.cli.threads import (
    AgentName,
    Json,
    Options,
    Room,
    Thread,
    ThreadDir,
    ThreadRef,
    ThreadStorage,
    check_storage,
    folders_of,
    joined,
    place_of,
    run,
    store_in,
    thread_named,
)

if TYPE_CHECKING:
    from process_agent.core.backend import KeptState
    from process_agent.core.events import ThreadEvent
    from process_agent.core.ids import ThreadId
    from process_agent.rooms.join import JoinedRoom
    from process_agent.viewer.transcript import Transcript

type Printing = Callable[[Sequence[ThreadEvent], Transcript], Iterator[str]]

FOLLOWED_TURNS = 3
"""Turns that `--follow` begins with when nobody says how many."""


def show(
    context: typer.Context,
    thread: Thread,
    tail: Annotated[
        int | None, typer.Option("--tail", metavar="N", min=1, help="Only the last N turns.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")
    ] = False,
    room: Room = None,
    agent_name: AgentName = None,
    json: Json = False,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Print a thread: every item with its text in full, how each turn ended, how to go on in a terminal.

    With --follow what happens comes as it happens, from the agent if it is there, else from what is stored;
    with --json as one event per line.
    """
    options = Options(room, agent_name, json, local, data_dir).over(context.obj)
    if follow:
        from process_agent.cli.thread_tools.following import followed

        run(followed(options, thread, tail or FOLLOWED_TURNS))
    else:
        run(_shown(options, thread, tail, None))


def messages(
    thread: ThreadRef,
    room: Room = None,
    agent_name: AgentName = None,
    output: Output = None,
    thread_dir: ThreadDir = None,
    thread_storage: ThreadStorage = None,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Print the stored messages of a thread."""
    check_storage(thread_storage)
    form = output or Form.TEXT
    options = Options(room, agent_name, False, local, data_dir, thread_dir=thread_dir, project_id=project_id)
    printing: Printing | None = None if form is Form.TEXT else lambda events, _: messages_as(events, form)
    run(_shown(options, thread, None, printing))


def grep(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="A regular expression.")],
    thread: ThreadRef,
    room: Room = None,
    agent_name: AgentName = None,
    output: Output = None,
    thread_dir: ThreadDir = None,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Print what was said in a thread where a pattern fits."""
    options = Options(room, agent_name, False, local, data_dir, thread_dir=thread_dir, project_id=project_id)
    form = output or Form.TEXT
    run(_shown(options, thread, None, lambda _, transcript: matches_as(transcript, pattern, form)))


async def _shown(
    options: Options, thread: str, tail: int | None, printing: Printing | None
) -> AsyncGenerator[str]:
    from process_agent import config
    from process_agent.cli.going_on import commands

    async with joined(options) as (room, paths):
        folders = {} if "://" in thread else folders_of(room, options, paths)
        thread_id = await thread_named(room, folders, thread)
        events, transcript, kept = await _transcript(room, thread_id, tail)
    if printing is not None:
        for line in printing(events, transcript):
            yield line
        return
    ways = list(commands(thread_id, kept, config.environment_for_child(("CODEX_HOME", "HOME"))))
    for line in (
        *workplace(paths.root, thread_id, json=options.json),
        *printed(transcript, json=options.json),
        *going_on(ways, json=options.json),
    ):
        yield line


async def _transcript(
    room: JoinedRoom, thread_id: ThreadId, tail: int | None
) -> tuple[list[ThreadEvent], Transcript, Mapping[str, KeptState]]:
    """The thread as stored, and what backends kept with it; a turn whose agent is gone reads as lost. Writes
    nothing.
    """
    from process_agent.core.store import Page
    from process_agent.viewer.transcript import Transcript

    log = await store_in(room, *place_of(thread_id)).open(thread_id)
    pages = [Older()]
    events = [event async for event in log.replay(page=Page(limit=tail, on_older=pages[0].take))]
    while tail is None and pages[-1].cursor is not None:
        pages.append(Older())
        page = Page(before=pages[-2].cursor, on_older=pages[-1].take)
        events = [*[event async for event in log.replay(page=page)], *events]
    transcript = Transcript(turn_limit=len(events) + 1)
    for event in events:
        transcript.apply(event)
    kept = await log.kept()
    await log.close()
    return events, transcript, kept


class Older:
    """Where the page before one ends, if there is one."""

    cursor: str | None = None

    def take(self, cursor: str) -> None:
        """Remember it."""
        self.cursor = cursor
