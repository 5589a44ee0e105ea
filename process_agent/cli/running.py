"""What `process run` does once its options are checked: agent and terminal in one process."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from process_agent.errors import ProcessError

if TYPE_CHECKING:
    from process_agent.agent.assemble import AgentConfig
    from process_agent.agent.channels import AgentRoom
    from process_agent.cli.checked import JoinOptions
    from process_agent.cli.talking import Talk
    from process_agent.config import Settings
    from process_agent.core.room import Messaging
    from process_agent.rooms.join import JoinedRoom

NO_ROOM = "no room"
"""What the terminal shows in place of a room's name."""


UNKEPT = "Without a room nothing of this is kept; --room NAME keeps it."


@dataclass(frozen=True, slots=True)
class Here:
    """An agent, a conversation and the person who has it. Without a room in `options` nothing is kept."""

    options: JoinOptions
    talk: Talk
    person: str


@dataclass(frozen=True, slots=True)
class _Place:
    inside: AgentRoom
    room: JoinedRoom | None

    @property
    def name(self) -> str | None:
        return None if self.room is None else self.room.name

    async def closed(self) -> ProcessError | None:
        """Wait for the end of the membership; memory has none."""
        return (
            await asyncio.get_running_loop().create_future()
            if self.room is None
            else await self.room.closed()
        )


async def run_here(here: Here, settings: Settings) -> None:
    """Start the agent, talk, stop it; SIGTERM ends the talk and drains like the end of it.

    Raises what `joining.stay` raises, and what a refused turn raises.
    """
    from process_agent.agent.assemble import Agent, create_backends, started
    from process_agent.channels.memory import connect
    from process_agent.channels.specs import MemorySpec
    from process_agent.cli.joining import model_endpoint
    from process_agent.cli.local import usable_folder, while_joined
    from process_agent.cli.talking import converse
    from process_agent.viewer.client import AgentClient

    usable_folder(settings.paths(here.options.data_dir))
    _end_on_sigterm()
    async with AsyncExitStack() as leaving:
        config = await leaving.enter_async_context(model_endpoint(here.options, settings))
        config = replace(config, channels=(MemorySpec(), *config.channels))
        backends = await leaving.enter_async_context(started(create_backends(config), config))
        agent_end, person_end = connect(config.agent_name, here.person)
        place = await leaving.enter_async_context(_place(here.options, settings, config, agent_end))
        await leaving.enter_async_context(Agent(config, place.inside, backends))
        client = await leaving.enter_async_context(AgentClient(person_end, config.agent_name))
        if place.room is None and here.talk.message is None:
            typer.echo(UNKEPT)
        talk, name = here.talk, place.name or NO_ROOM
        conversation = converse(
            talk,
            client,
            me=here.person,
            room=name,
            closed=place.closed,
            files=place.inside.files,
            images=place.inside.store.images,
        )
        # The interactive terminal sees to the end of the room itself.
        thread = await (conversation if talk.message is None else while_joined(place, conversation))
    if thread is not None and place.name is not None:
        typer.echo(f"Go on with: process run --room {place.name} --thread {thread}")


@asynccontextmanager
async def _place(
    options: JoinOptions, settings: Settings, config: AgentConfig, terminal: Messaging
) -> AsyncIterator[_Place]:
    """The joined room, or nothing but memory."""
    from process_agent.agent.channels import AgentRoom

    if options.room is None:
        from process_agent.threads.memory import MemoryThreadStore

        store = MemoryThreadStore(
            config.agent_name, clock=lambda: datetime.now(UTC), new_id=lambda: str(uuid.uuid4())
        )
        yield _Place(AgentRoom(terminal, store, terminal=terminal), None)
        return
    from process_agent.cli.joining import inside, place_of
    from process_agent.cli.local import reach
    from process_agent.cli.metered import ledger_of
    from process_agent.rooms.join import join_room

    where, wish = place_of(options, settings)
    target = await reach(where, settings, wish, data_dir=options.data_dir, start=True, port=options.port)
    async with join_room(target, join_seconds=options.join_seconds) as room:
        ledger = ledger_of(options, settings, target, room.datasets, config.agent_name)
        yield _Place(
            replace(inside(options, room, config.agent_name, terminal, token=target.token), ledger=ledger),
            room,
        )


def _end_on_sigterm() -> None:
    """SIGTERM cancels the talk, so that everything is left in order."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
