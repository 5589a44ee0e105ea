"""Makes the channels of an agent from what the command line says.

Each channel is imported when it is made: an agent that only chats loads no mail and no web server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from process_agent.channels.specs import (
    ChannelSpec,
    ChatSpec,
    CommandSpec,
    MailSpec,
    MemorySpec,
    QueueSpec,
    ToolkitSpec,
    WebsocketSpec,
)
from process_agent.channels.websocket.door import Door, WebsocketOptions
from process_agent.config import SmtpSettings
from process_agent.core.channel import Channel
from process_agent.core.ids import Clock, IdSource, ThreadId
from process_agent.core.room import Datasets, Messaging
from process_agent.core.room_ports import Queues, RoomFiles, Toolkits
from process_agent.core.store import ThreadStore
from process_agent.core.usage import Ledger
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.channels.command.program import Launch
    from process_agent.channels.mail.book import MailBook
    from process_agent.channels.mail.compose import Mailbox
    from process_agent.channels.mail.first_mails import FirstMails
    from process_agent.io.smtp import SmtpSender


@dataclass(frozen=True, slots=True)
class AgentRoom:
    """What an agent needs of the room it joined: messaging and a thread store, and what its channels use."""

    messaging: Messaging
    store: ThreadStore
    datasets: Datasets | None = None
    queues: Queues | None = None
    files: RoomFiles | None = None
    toolkits: Toolkits | None = None
    terminal: Messaging | None = None
    """The other way to a person: the terminal of `process run`."""
    token: str | None = field(default=None, repr=False)
    """What the agent joined with."""
    ledger: Ledger | None = None
    """Where it is kept what models used, if it is kept."""


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """What flags and environment say about channels.

    `room` is the room's name, where the agent is in one. `environment` is all that a channel program gets,
    and `folder` where it runs; `program_users` lets its senders be people, who may approve. `smtp` is
    what mail goes out through; in a `hosted` room that may be MeshAgent's own server.
    """

    room: str | None = None
    websocket: WebsocketOptions = field(default_factory=WebsocketOptions)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path = field(default_factory=Path.cwd)
    program_users: bool = False
    smtp: SmtpSettings = field(default_factory=SmtpSettings)
    hosted: bool = False


@dataclass(frozen=True, slots=True)
class ChannelProfile:
    """What all channels of one agent share."""

    agent_name: str
    options: ChannelOptions
    new_id: IdSource
    clock: Clock
    single_thread: ThreadId | None = None
    """The one thread for everybody, in an agent that has no others."""
    caution: str | None = None
    """See `core.discovery.ChatProfile`."""
    mcp: bool = False


def create_channels(specs: Sequence[ChannelSpec], profile: ChannelProfile, room: AgentRoom) -> list[Channel]:
    """The channels, not started. Raises `UsageError` for one that this room cannot have."""
    return [_create(spec, profile, room) for spec in specs]


def check_channels(specs: Sequence[ChannelSpec], agent_name: str, options: ChannelOptions) -> None:
    """Raise `UsageError` for what is known to be wrong with channels before any room is joined."""
    for spec in specs:
        match spec:
            case WebsocketSpec():
                _check_web_server(spec)
                _door(spec, agent_name, options)
            case CommandSpec():
                _launch(spec, options).found()
            case MailSpec():
                _check_mail(spec, agent_name, options)
            case _:
                pass


def _create(spec: ChannelSpec, profile: ChannelProfile, room: AgentRoom) -> Channel:
    match spec:
        case ChatSpec():
            return _chat(profile, room, room.messaging, spec.text)
        case MemorySpec() if room.terminal is not None:
            return _chat(profile, room, room.terminal, spec.text)
        case QueueSpec():
            return _queue(spec, profile, room)
        case ToolkitSpec():
            return _toolkit(spec, profile, room)
        case MailSpec():
            return _mail(spec, profile, room)
        case WebsocketSpec():
            return _websocket(spec, profile)
        case CommandSpec():
            return _command(spec, profile, room)
        case _:
            raise UsageError(f"The channel {spec.text} is not there in this version.")


def _chat(profile: ChannelProfile, room: AgentRoom, messaging: Messaging, name: str) -> Channel:
    from process_agent.channels.chat import ChatChannel
    from process_agent.core.discovery import ChatProfile

    described = ChatProfile(
        profile.agent_name,
        room.store.directory,
        profile.single_thread,
        caution=profile.caution,
        mcp=profile.mcp,
    )
    return ChatChannel(messaging, described, name, new_id=profile.new_id, clock=profile.clock)


def _queue(spec: QueueSpec, profile: ChannelProfile, room: AgentRoom) -> Channel:
    from process_agent.channels.queue import QueueChannel, QueueProfile

    if room.queues is None or room.files is None:
        raise missing(spec, "queues and storage")
    described = QueueProfile(spec.name, room.store.directory, profile.single_thread)
    return QueueChannel(room.queues, room.files, described, new_id=profile.new_id, clock=profile.clock)


def _toolkit(spec: ToolkitSpec, profile: ChannelProfile, room: AgentRoom) -> Channel:
    from process_agent.channels.toolkit import ToolkitChannel, ToolkitProfile

    if room.toolkits is None:
        raise missing(spec, "toolkits")
    described = ToolkitProfile(spec.name, profile.agent_name, room.store.directory, profile.single_thread)
    return ToolkitChannel(room.toolkits, described, new_id=profile.new_id, clock=profile.clock)


def _mail(spec: MailSpec, profile: ChannelProfile, room: AgentRoom) -> Channel:
    from process_agent.channels.mail.answers import MailRoom
    from process_agent.channels.mail.channel import MailChannel, MailProfile
    from process_agent.channels.mail.unanswered import Unanswered

    post = _post(spec, profile, room)
    if room.queues is None or room.files is None or room.datasets is None:
        raise missing(spec, "queues, storage and tables")

    def alone() -> bool:
        others = room.messaging.participants()
        return not any(p.name == profile.agent_name and p.role == "agent" for p in others)

    unanswered = Unanswered(room.datasets, room.store.directory)
    return MailChannel(
        MailRoom(room.queues, room.files, post.book, unanswered, room.store.images),
        MailProfile(post.mailbox, profile.single_thread, alone),
        post.sender,
        new_id=profile.new_id,
        clock=profile.clock,
    )


def first_mails(specs: Sequence[ChannelSpec], profile: ChannelProfile, room: AgentRoom) -> FirstMails | None:
    """What begins conversations by mail, from the address of the first mail channel; None without one."""
    from process_agent.channels.mail.first_mails import FirstMails

    found = [spec for spec in specs if isinstance(spec, MailSpec)]
    if not found:
        return None
    post = _post(found[0], profile, room)
    own = [spec.address for spec in found]
    return FirstMails(
        post.mailbox, post.book, post.sender, own=own, new_id=profile.new_id, clock=profile.clock
    )


@dataclass(frozen=True, slots=True)
class _Post:
    """What a mailbox sends by, and keeps mails in."""

    mailbox: Mailbox
    book: MailBook
    sender: SmtpSender


def _post(spec: MailSpec, profile: ChannelProfile, room: AgentRoom) -> _Post:
    from process_agent.channels.mail.account import HostedRoom, smtp_account
    from process_agent.channels.mail.book import MailBook
    from process_agent.channels.mail.compose import Mailbox
    from process_agent.io.smtp import SmtpSender

    if room.files is None or room.datasets is None:
        raise missing(spec, "queues, storage and tables")
    hosted = None
    if profile.options.hosted and room.token is not None:
        hosted = HostedRoom(profile.agent_name, room.token)
    account = smtp_account(profile.options.smtp, spec.address, hosted)
    book = MailBook(room.datasets, room.files, room.store.directory, profile.new_id)
    return _Post(Mailbox(spec.address, profile.agent_name, spec.reply_all), book, SmtpSender(account))


def _check_mail(spec: MailSpec, agent_name: str, options: ChannelOptions) -> None:
    from process_agent.channels.mail.account import HostedRoom, smtp_account
    from process_agent.io.smtp import require_library

    require_library()
    smtp_account(options.smtp, spec.address, HostedRoom(agent_name, "") if options.hosted else None)


def _websocket(spec: WebsocketSpec, profile: ChannelProfile) -> Channel:
    _check_web_server(spec)
    from process_agent.channels.agent_messages import Origin
    from process_agent.channels.websocket.channel import Address, WebsocketChannel

    door = _door(spec, profile.agent_name, profile.options)
    origin = Origin(spec.text, profile.agent_name, profile.new_id, profile.clock)
    return WebsocketChannel(Address(spec.host, spec.port, door), origin)


def _door(spec: WebsocketSpec, agent_name: str, options: ChannelOptions) -> Door:
    return Door(options.websocket, spec.host, agent_name, options.room)


def _check_web_server(spec: WebsocketSpec) -> None:
    if any(find_spec(module) is None for module in ("starlette", "uvicorn", "websockets")):
        raise UsageError(
            f"The channel {spec.text} needs a web server, which is not installed.",
            fix='Install it with pip install "process-agent[local]".',
        )


def _command(spec: CommandSpec, profile: ChannelProfile, room: AgentRoom) -> Channel:
    from process_agent.channels.agent_messages import Origin
    from process_agent.channels.command.channel import CommandChannel, channel_name

    origin = Origin(channel_name(spec.argv), profile.agent_name, profile.new_id, profile.clock)
    launch, users = _launch(spec, profile.options), profile.options.program_users
    return CommandChannel(launch, origin, room.store.directory, users=users)


def _launch(spec: CommandSpec, options: ChannelOptions) -> Launch:
    from process_agent.channels.command.program import Launch

    return Launch(spec.argv, options.environment, options.folder)


def missing(spec: ChannelSpec, what: str) -> UsageError:
    """The error of a channel that needs something this room has not."""
    return UsageError(f"The channel {spec.text} needs {what} of the room, which are not there.")
