"""The port of the thread store: where the room keeps threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from process_agent.core.backend import HistoryItem, KeptState
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.room_ports import RoomImages


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """One row of the thread list."""

    path: ThreadId
    name: str
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody else added a thread to the list (`new`), or changed its entry."""

    entry: ThreadEntry
    new: bool


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Somebody else removed a thread from the list."""

    path: ThreadId


type ListChange = Listed | Unlisted


@dataclass(frozen=True, slots=True)
class Page:
    """Which turns of a thread to replay: the last `limit` ones, or the last before a cursor. Where there are
    older ones, their cursor is told to `on_older` before the first event. Cursors mean something to the log
    that told them, until the thread is cleared.
    """

    before: str | None = None
    limit: int | None = None
    on_older: Callable[[str], None] = lambda _cursor: None
    as_opened: bool = False
    """What others stored since the log was opened need not be in it: it was asked for before."""


LAST = Page()
"""The last turns, as many as a replay may have."""


class ThreadLog(Protocol):
    """The durable history of one thread, written by one agent.

    Writing never blocks a turn: `append` folds deltas into their item and returns at once; rows go out in
    the background, at item ends, at turn ends and at least once a second.
    """

    def append(self, event: ThreadEvent) -> None:
        """Remember an event. Live-only events (`Working`, `Status`) are ignored."""
        ...

    def hand_over(self, *, open_items: bool = False) -> bool:
        """Begin to store what was appended, what items that still grow have so far only with `open_items`.
        Whether it gets to the room before whatever is said there from now on, and is stored even if we are
        killed; otherwise `flush` tells when it is.
        """
        ...

    async def flush(self, *, open_items: bool = True) -> None:
        """Return when everything appended so far is durable, what items that still grow have so far only
        with `open_items`. Raises `RoomError` when it cannot be.
        """
        ...

    def watch_saving(self, told: Callable[[bool], None]) -> None:
        """Call `told` with True when what was appended cannot be stored for now, with False once it is."""
        ...

    def watch_closed(self, told: Callable[[TurnId], None]) -> None:
        """Call `told` with each turn of ours that another agent closed, since we were away for too long;
        nothing more is stored of it.
        """
        ...

    def replay(self, since: str | None = None, page: Page = LAST) -> AsyncIterator[ThreadEvent]:
        """What is stored, in order, after an implicit flush. `since` is a turn or message id, itself
        included; one that is not there replays nothing, unless the thread was cleared after it. A text that
        is over is one delta that says it is `whole`. Unfinished items follow last, each as one delta with
        all text so far, but not where an older page is asked for.

        Raises `RoomRequestError` for a cursor that is not known (any more).
        """
        ...

    async def history(self) -> Sequence[HistoryItem]:
        """What a backend that opens this thread must know, oldest first."""
        ...

    @property
    def durable(self) -> bool:
        """Whether what is flushed outlives the agent."""
        ...

    def keep(self, backend: str, state: KeptState) -> None:
        """Remember what a backend keeps with the thread, at this point of it; goes out like an event."""
        ...

    async def kept(self) -> Mapping[str, KeptState]:
        """What each backend kept last since the thread was cleared, by the backend's name."""
        ...

    async def ever_kept(self) -> Sequence[tuple[str, KeptState]]:
        """All that backends kept since the thread was made, with their names."""
        ...

    async def usage(self) -> ThreadEvent | None:
        """The usage told last, if it is near the end of the thread; nothing is searched for it."""
        ...

    async def model(self) -> ModelChoice | None:
        """The model last chosen on this thread, or None."""
        ...

    @property
    def model_known(self) -> bool:
        """Whether `model` answers at once."""
        ...

    async def close(self) -> None:
        """Flush and release. Idempotent."""
        ...


class ThreadStore(Protocol):
    """All threads of one agent."""

    @property
    def directory(self) -> str:
        """The folder of the threads, like `dataset://agents/codex-agent/threads`."""
        ...

    @property
    def images(self) -> RoomImages | None:
        """Where the room keeps the images of threads; None where it keeps none."""
        ...

    async def start(self) -> None:
        """Create the index if it is missing, and close turns that nobody runs any more (LOST)."""
        ...

    async def create(self, name: str, owner: str | None = None) -> ThreadEntry:
        """Create a thread with a new id and list it. With an `owner` it is somebody's from the beginning."""
        ...

    async def fork(
        self,
        thread_id: ThreadId,
        name: str | None = None,
        *,
        without: Collection[TurnId] = (),
        owner: str | None = None,
    ) -> ThreadEntry:
        """Make and list a thread that begins with the last turns of another one, as many as a replay of it
        gives, but those in `without`; what backends kept there is in it too. Without a `name` its own tells
        where it comes from. Raises `RoomRequestError` when there is no such thread.
        """
        ...

    async def owner(
        self, thread_id: ThreadId, claim: str | None = None, *, create: bool = False
    ) -> str | None:
        """Whose a thread is. One without an owner becomes that of who began it, as far as it is known who
        that was, and else stays nobody's: None. With `create` the thread itself may come later, and is
        `claim`'s then.

        Raises `RoomRequestError` for a thread that is not there.
        """
        ...

    async def open(
        self, thread_id: ThreadId, *, create: str | None = None, turns: int | None = None
    ) -> ThreadLog:
        """Open an existing thread; with `create`, make and list it under that name when it is missing. A
        replay `as_opened` of its last `turns`, or without it of as many as there may be, is to be expected.

        Raises `RoomRequestError` when there is none of that id, or it is not one of this agent's folder.
        """
        ...

    async def list(
        self, limit: int, offset: int, owner: str | None = None
    ) -> tuple[Sequence[ThreadEntry], int]:
        """A page of the list, newest first, and the number of all threads; with an `owner`, of its."""
        ...

    async def rename(self, thread_id: ThreadId, name: str, *, instead_of: str | None = None) -> ThreadEntry:
        """Rename; `created_at` stays. With `instead_of` nothing changes unless that is its name now; a thread
        that is not listed is not listed by it, but raises `RoomRequestError`.
        """
        ...

    def changes(self) -> AsyncIterator[ListChange]:
        """What others do to the list, from now on and over lost connections; not what this store does. One
        reader. Ends where nobody else can change it.
        """
        ...

    async def begin(self, thread_id: ThreadId, *, told: bool) -> ThreadEntry | None:
        """A turn begins in a thread: from now on `list` says so. It is stored with the next `touch`, so that
        a short turn costs the room no more. The entry of which watchers are to be `told`, None for none.
        """
        ...

    async def touch(self, thread_id: ThreadId) -> ThreadEntry:
        """Set `modified_at` to now and nothing else."""
        ...

    async def delete(
        self, thread_id: ThreadId, *, keep_files: bool = False
    ) -> Sequence[tuple[str, KeptState]]:
        """Remove the rows, the entry, and the images that were made in the thread; returns all that backends
        ever kept there. Files that were attached or shown there are removed soon after, unless another
        thread speaks of them or `keep_files` says so.
        """
        ...

    async def expire(self, thread_id: ThreadId, before: datetime) -> Sequence[tuple[str, KeptState]] | None:
        """Delete a thread that is listed, was not used since, and is not open here; None when it stays."""
        ...

    async def close(self) -> None:
        """Flush and release every open log."""
        ...
