"""What the agent answers to one participant, or tells those who watch the thread list.

Unlike events these do not belong to a turn and are never stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from process_agent.core.backend import ToolkitInfo
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import MessageId, ThreadId
from process_agent.core.models import ProviderModels
from process_agent.core.store import ThreadEntry


@dataclass(frozen=True, slots=True)
class ThreadStarted:
    """The thread asked for exists; the asker views it now."""

    source: MessageId
    thread_id: ThreadId


@dataclass(frozen=True, slots=True)
class ThreadStartRejected:
    """The thread asked for was not created. Dart clients wait for this one, Python clients for a rejected
    turn with an empty thread id: send both.
    """

    source: MessageId
    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class ThreadLoaded:
    """The replay asked for is complete; everything after it is live. `older` is the cursor of the turns
    before it, if there are any.
    """

    source: MessageId
    thread_id: ThreadId
    since_turn: str | None = None
    older: str | None = None


@dataclass(frozen=True, slots=True)
class ThreadsListed:
    """A page of the thread list; `total` counts all threads."""

    source: MessageId
    threads: tuple[ThreadEntry, ...]
    total: int
    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class ThreadCreated:
    """A thread was added to the list."""

    thread: ThreadEntry


@dataclass(frozen=True, slots=True)
class ThreadUpdated:
    """The name or the time of a listed thread changed."""

    thread: ThreadEntry


@dataclass(frozen=True, slots=True)
class ThreadDeleted:
    """A thread was removed."""

    path: ThreadId


@dataclass(frozen=True, slots=True)
class ModelsListed:
    """The models on offer."""

    source: MessageId
    providers: tuple[ProviderModels, ...]


@dataclass(frozen=True, slots=True)
class CapabilitiesListed:
    """What the agent can do in a thread: the toolkits of the backend that the thread uses."""

    source: MessageId
    thread_id: ThreadId
    version: str
    toolkits: tuple[ToolkitInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """A request other than a turn or a steer was refused, like an unknown model."""

    source: MessageId
    thread_id: ThreadId
    error: ErrorInfo


type Reply = (
    ThreadStarted
    | ThreadStartRejected
    | ThreadLoaded
    | ThreadsListed
    | ThreadCreated
    | ThreadUpdated
    | ThreadDeleted
    | ModelsListed
    | CapabilitiesListed
    | RequestRejected
)
