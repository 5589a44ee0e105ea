"""Makes the channels of an agent from what the command line says.

Each channel is imported when it is made: an agent that only chats loads no mail and no web server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from process_agent.channels.specs import ChannelSpec, ChatSpec, MemorySpec, QueueSpec, ToolkitSpec
from process_agent.core.channel import Channel
from process_agent.core.ids import Clock, IdSource, ThreadId
from process_agent.core.room import Datasets, Messaging
from process_agent.core.room_ports import Queues, RoomFiles, Toolkits
from process_agent.core.store import ThreadStore
from process_agent.errors import UsageError


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


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """What flags and environment say about channels. `environment` is all that a channel program gets."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ChannelProfile:
    """What all channels of one agent share."""

    agent_name: str
    options: ChannelOptions
    new_id: IdSource
    clock: Clock
    single_thread: ThreadId | None = None
    """The one thread for everybody, in an agent that has no others."""


def create_channels(specs: Sequence[ChannelSpec], profile: ChannelProfile, room: AgentRoom) -> list[Channel]:
    """The channels, not started. Raises `UsageError` for one that this room cannot have."""
    return [_create(spec, profile, room) for spec in specs]


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
        case _:
            raise UsageError(f"The channel {spec.text} is not there in this version.")


def _chat(profile: ChannelProfile, room: AgentRoom, messaging: Messaging, name: str) -> Channel:
    from process_agent.channels.chat import ChatChannel, ChatProfile

    described = ChatProfile(profile.agent_name, room.store.directory, profile.single_thread)
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


def missing(spec: ChannelSpec, what: str) -> UsageError:
    """The error of a channel that needs something this room has not."""
    return UsageError(f"The channel {spec.text} needs {what} of the room, which are not there.")
