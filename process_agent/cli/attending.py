"""An agent from its options to its end in one room: what `process join` and `process service serve` share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from process_agent.cli.joining import inside, model_endpoint, recorded
from process_agent.cli.local import while_joined
from process_agent.cli.metered import ledger_of
from process_agent.io.collector import spare_what_is_loaded

if TYPE_CHECKING:
    from process_agent.agent.assemble import AgentConfig, Ready, StartedBackends
    from process_agent.cli.checked import JoinOptions
    from process_agent.config import Settings
    from process_agent.rooms.join import JoinedRoom, JoinTarget


@dataclass(frozen=True, slots=True)
class Prepared:
    """An agent whose backends run, and that is in no room yet."""

    options: JoinOptions
    settings: Settings
    config: AgentConfig
    backends: StartedBackends


@asynccontextmanager
async def preparing(options: JoinOptions, settings: Settings) -> AsyncIterator[Prepared]:
    """Start model and backends; they end with the block. Raises what they raise."""
    from process_agent.agent.assemble import create_backends, started
    from process_agent.rooms.join import load_client

    async with model_endpoint(options, settings) as config:
        chosen = create_backends(config)
        # The published client takes longest to load: it does so while the backends start.
        loading = asyncio.get_running_loop().run_in_executor(None, load_client)
        async with started(chosen, config) as backends:
            await loading
            yield Prepared(options, settings, config, backends)


async def attend(
    prepared: Prepared,
    target: JoinTarget,
    room: JoinedRoom,
    on_ready: Callable[[Ready], None],
    stop: asyncio.Event,
) -> None:
    """Run the agent in the room it joined until `stop` is set, then drain. Raises when the room ends it."""
    from process_agent.agent.assemble import run_agent
    from process_agent.agent.shelf import plain_name

    options, settings, backends = prepared.options, prepared.settings, prepared.backends
    name = prepared.config.agent_name
    records = recorded(options, settings, target, name, backends.backends)
    joined = replace(
        inside(options, room, name, records=records, token=target.token),
        token=target.token,
        ledger=ledger_of(options, settings, target, room.datasets, name),
    )
    config = replace(prepared.config, copies=settings.cache_dir / "files" / plain_name(room.name))

    def ready(told: Ready) -> None:
        on_ready(told)
        spare_what_is_loaded()

    await while_joined(room, run_agent(config, joined, backends, ready, stop))
