"""`process threads show --follow`: what happens in a thread, as it happens. Takes part in nothing."""

from __future__ import annotations

import asyncio
import json as json_module
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from process_agent.cli.threads import Options, folders_of, joined, place_of, store_in, thread_named
from process_agent.errors import RoomRequestError

if TYPE_CHECKING:
    from process_agent.core.events import ThreadEvent
    from process_agent.core.ids import ThreadId
    from process_agent.rooms.join import JoinedRoom

LOOK_SECONDS = 0.5
"""Pause between two looks at a thread whose agent is not there."""


async def followed(options: Options, thread: str, tail: int) -> AsyncGenerator[str]:
    """The last turns, then what happens, line by line, without an end."""
    from process_agent.viewer.paper.running import RunningPaper

    async with joined(options) as (room, paths):
        folders = folders_of(room, options, paths)
        thread_id = await thread_named(room, folders, thread)
        agent = agent_of(room, folders, thread_id)
        paper = RunningPaper()
        events = _stored(room, thread_id, tail) if agent is None else _live(room, agent, thread_id, tail)
        async with aclosing(events):
            async for event in events:
                for line in _json(event) if options.json else paper.lines(event):
                    yield line


def agent_of(room: JoinedRoom, folders: dict[str, str], thread_id: ThreadId) -> str | None:
    """The agent to which a thread belongs, if it is in the room now."""
    from process_agent.threads.paths import SCHEME

    here = {p.name for p in room.messaging.participants() if p.attributes.get("supports_agent_messages")}
    for agent, directory in folders.items():
        if agent in here and thread_id.startswith(f"{SCHEME}{directory.removeprefix(SCHEME).strip('/')}/"):
            return agent
    name, _ = place_of(thread_id)
    return name if name in here else None


def _json(event: ThreadEvent) -> Iterator[str]:
    from process_agent.wire.agent_messages import encode_event

    yield json_module.dumps(encode_event(event), ensure_ascii=False)


async def _live(room: JoinedRoom, agent: str, thread_id: ThreadId, tail: int) -> AsyncGenerator[ThreadEvent]:
    """From the agent; the thread stays open there as long as we look."""
    from process_agent.viewer.client import AgentClient
    from process_agent.viewer.updates import Failed, Happened, Loaded

    async with AgentClient(room.messaging, agent) as client:
        view = client.open_thread(thread_id, recent=tail)
        async for update in view.updates():
            match update:
                case Happened(change=change) if change is not None:
                    yield change.event
                case Failed(error):
                    raise error
                case Loaded():
                    pass


async def _stored(room: JoinedRoom, thread_id: ThreadId, tail: int) -> AsyncGenerator[ThreadEvent]:
    """From the table: a text comes when it is whole."""
    from process_agent.core.store import Page
    from process_agent.threads.kept.follow import rows_since
    from process_agent.threads.paths import namespace_of, table_of
    from process_agent.threads.reading import Reading

    store = store_in(room, *place_of(thread_id))
    log = await store.open(thread_id)
    ref = table_of(thread_id, namespace_of(store.directory))
    start = await room.datasets.count(ref)
    told: set[str] = set()  # what came after the rows were counted is in both
    async for event in log.replay(page=Page(limit=tail)):
        told.add(event.message_id)
        yield event
    await log.close()
    reading = Reading(thread_id)
    while True:
        try:
            async for row in rows_since(room.datasets, ref, start):
                start += 1
                for event in reading.feed(row):
                    if event.message_id not in told:
                        yield event
        except RoomRequestError as error:
            if error.code == 1003:
                return  # somebody deleted it
            raise
        await asyncio.sleep(LOOK_SECONDS)
