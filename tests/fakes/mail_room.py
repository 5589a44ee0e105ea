"""A whole agent with a mailbox, in memory but for SMTP, and mail to send to it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from process_agent.agent.assemble import Agent, AgentConfig, started
from process_agent.agent.channels import AgentRoom, ChannelOptions
from process_agent.agent.tools.sources import ToolOptions
from process_agent.config import SmtpSettings
from process_agent.core.backend import BackendConfig
from process_agent.core.content import Json
from process_agent.core.room import TableRef
from process_agent.core.speaker import IsolationMode
from tests.fakes.channel_agent import ChannelRoom
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.smtp import SmtpRoom

BOX = "bot@mail.test"
ANA = "Ana <ana@example.com>"
EMAILS = TableRef("emails", ("dataset:", "agents", "bot", "threads"))
OPEN = TableRef("emails_open", EMAILS.namespace)


def letter(text: str = "hello", sender: str = ANA, to: str = BOX, **headers: str) -> EmailMessage:
    """A mail; underscores in names of headers are dashes, and a given header replaces one of these."""
    message = EmailMessage()
    values = {"From": sender, "To": to, "Subject": "Question", "Message-ID": "<question@example.com>"}
    values.update({name.replace("_", "-"): value for name, value in headers.items()})
    for name, value in values.items():
        if value:
            message[name] = value
    message.set_content(text)
    return message


def item(message: EmailMessage | bytes) -> dict[str, Json]:
    """What MeshAgent puts in the queue of a mailbox."""
    raw = message if isinstance(message, bytes) else message.as_bytes()
    return {"base64": base64.b64encode(raw).decode()}


class MailRoom(ChannelRoom):
    """The room of such an agent; `smtp` takes its answers."""

    def __init__(self, folder: Path, smtp: SmtpRoom, *channels: str) -> None:
        super().__init__(folder, *(channels or (f"mail:{BOX}",)))
        self.smtp = smtp
        self.datasets = MemoryDatasets()

    def write(self, *messages: EmailMessage | bytes) -> None:
        """Mail arrives."""
        self.queues.put(BOX, *(item(message) for message in messages))

    def rows(self) -> list[dict[str, Any]]:
        return self.datasets.rows(EMAILS)

    @property
    def options(self) -> ChannelOptions:
        return ChannelOptions(smtp=SmtpSettings(hostname="127.0.0.1", port=self.smtp.port))

    @property
    def inside(self) -> AgentRoom:
        return AgentRoom(self.messaging, self.store, self.datasets, self.queues, self.files, self.toolkits)

    @asynccontextmanager
    async def agent(
        self, isolation: IsolationMode = "global", tools: ToolOptions | None = None
    ) -> AsyncIterator[Agent]:
        config = AgentConfig(
            "bot",
            BackendConfig("bot", self.folder, self.folder),
            backends=("codex",),
            channels=self.channels,
            channel_options=self.options,
            isolation=isolation,
            tools=tools or ToolOptions(),
        )
        async with started([self.backend]) as backends, Agent(config, self.inside, backends) as agent:
            yield agent
