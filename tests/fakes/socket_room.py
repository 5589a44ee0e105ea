"""A whole agent in memory with a websocket channel on a free port."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from process_agent.agent.assemble import Agent, AgentConfig, started
from process_agent.agent.channels import AgentRoom, ChannelOptions, create_channels
from process_agent.channels.specs import ChannelSpec, ChatSpec, WebsocketSpec
from process_agent.channels.websocket.channel import WebsocketChannel
from process_agent.channels.websocket.door import WebsocketOptions
from process_agent.core.backend import BackendConfig
from process_agent.core.channel import Channel
from process_agent.wire import participant_token
from process_agent.wire.participant_token import ParticipantToken
from tests.fakes.backend import FakeBackend
from tests.fakes.memory_messaging import MemoryMessaging
from tests.fakes.memory_store import MemoryThreadStore

AGENT = "bot"
ROOM = "demo"
KEY = "k" * 64


def token(name: str = "ana", role: str = "user", **more: Any) -> str:
    """A token that opens the agent's websocket."""
    made: dict[str, Any] = {"agents": (AGENT,), "expires": int(time.time()) + 3600} | more
    return participant_token.encode(ParticipantToken(name, role=role, **made), KEY)


@dataclass
class SocketRoom:
    """The room of such an agent."""

    folder: Path
    messaging: MemoryMessaging = field(default_factory=MemoryMessaging)
    store: MemoryThreadStore = field(default_factory=MemoryThreadStore)
    backend: FakeBackend = field(default_factory=FakeBackend)
    channels: list[Channel] = field(default_factory=list)

    @property
    def websocket(self) -> WebsocketChannel:
        """The first websocket channel."""
        return next(channel for channel in self.channels if isinstance(channel, WebsocketChannel))

    @asynccontextmanager
    async def agent(
        self,
        options: WebsocketOptions | None = None,
        specs: Sequence[ChannelSpec] = (ChatSpec(), WebsocketSpec(0)),
        **more: Any,
    ) -> AsyncIterator[int]:
        """Run the agent; gives the port of its websockets."""
        websocket = options or WebsocketOptions(keys=(KEY,))
        config = AgentConfig(
            AGENT,
            BackendConfig(AGENT, self.folder, self.folder),
            backends=("codex",),
            channels=tuple(specs),
            channel_options=ChannelOptions(room=ROOM, websocket=websocket),
            **more,
        )

        def create_and_keep(*arguments: Any) -> list[Channel]:
            self.channels = create_channels(*arguments)
            return self.channels

        with patch("process_agent.agent.assemble.create_channels", create_and_keep):
            async with (
                started([self.backend]) as backends,
                Agent(config, AgentRoom(self.messaging, self.store), backends),
            ):
                yield self.websocket.port
