"""The client half of the agent protocol: talk to one agent in a joined room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import uuid4

from process_agent.core.events import ModelChanged
from process_agent.core.ids import Clock, IdSource, MessageId, ThreadId
from process_agent.core.models import ProviderModels
from process_agent.core.participants import Participant
from process_agent.core.replies import (
    ModelsListed,
    Reply,
    ThreadCreated,
    ThreadDeleted,
    ThreadsListed,
    ThreadStarted,
    ThreadUpdated,
)
from process_agent.core.requests import (
    ChangeModel,
    DeleteThread,
    ListModels,
    ListThreads,
    ModelWish,
    StartThread,
    WatchThreads,
)
from process_agent.core.room import Messaging
from process_agent.core.store import ThreadEntry
from process_agent.errors import RoomError, WireError
from process_agent.io.tasks import Tasks
from process_agent.viewer.link import AgentLink
from process_agent.viewer.received import Received
from process_agent.viewer.view import History, ThreadView

PAGE = 200
"""Threads per page, the most an agent sends at once."""

WATCH_AGAIN_SECONDS = 1.0
"""Pause after a request to watch the thread list could not be sent."""

type ListChange = ThreadCreated | ThreadUpdated | ThreadDeleted


def _new_id() -> str:
    return str(uuid4())


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AgentClient:
    """Talks to the agent `agent_name`, or, with None, to the first one in the room.

    An async context manager: it listens from entering to leaving, and closes its views.
    """

    def __init__(
        self,
        messaging: Messaging,
        agent_name: str | None = None,
        *,
        new_id: IdSource = _new_id,
        now: Clock = _utc_now,
    ) -> None:
        self._link = AgentLink(messaging, agent_name, new_id=new_id, now=now)
        self._views: dict[ThreadId, ThreadView] = {}
        self._starting: set[MessageId] = set()
        self._deleting: dict[ThreadId, MessageId] = {}
        self._on_list: Callable[[ListChange], None] | None = None
        self._tasks = Tasks("agent client")

    async def __aenter__(self) -> Self:
        self._link.start(self._received)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.close()
        for view in list(self._views.values()):
            await view.close()
        self._link.close()

    @property
    def agent_name(self) -> str:
        """The agent's name for messages to people."""
        return self._link.name

    @property
    def me(self) -> Participant:
        """Who we are in the room."""
        return self._link.me

    @property
    def online(self) -> bool:
        """Whether the room connection is up."""
        return self._link.online

    @property
    def others(self) -> list[str]:
        """Who else is in the room, each by name once."""
        return self._link.others

    async def find(self, limit: float = 30.0) -> Participant:
        """Wait up to `limit` seconds for the agent. Raises `RoomError` that says who is there."""
        return await self._link.find(limit)

    def waiting_for(self, limit: float) -> str | None:
        """What `find` is going to wait for, and who is there instead; None when the agent is there."""
        return self._link.waiting_for(limit)

    async def start_thread(self, name: str | None = None) -> ThreadView:
        """Create a thread without a turn and view it.

        Events of a turn that starts together with its thread would come on two ways, in no certain order.

        Raises `TurnRefusedError` when the agent refuses, `TimeLimitError` when it does not answer.
        """
        request = StartThread(self._link.envelope(), name=name)
        source = request.envelope.message_id
        self._starting.add(source)
        try:
            received = await self._link.ask(request)
        finally:
            self._starting.discard(source)
        if not isinstance(received.reply, ThreadStarted):
            raise _unexpected(received)
        view = self._views[received.reply.thread_id]
        view.start()
        return view

    def open_thread(self, thread_id: ThreadId, *, load: bool = True, recent: int | None = None) -> ThreadView:
        """View a thread; with `load`, its stored history comes first: its last `recent` turns, or as many as
        the agent sends. An agent that does not page sends as many as it likes.
        """
        if thread_id in self._views:
            raise RoomError(f"{thread_id} is open already.")
        view = self._add_view(thread_id, "load" if load else "skip", recent)
        view.start()
        return view

    async def threads(self, limit: int = PAGE, offset: int = 0) -> ThreadsListed:
        """One page of the thread list, newest first."""
        received = await self._link.ask(ListThreads(self._link.envelope(), limit, offset))
        if not isinstance(received.reply, ThreadsListed):
            raise _unexpected(received)
        return received.reply

    async def all_threads(self, most: int) -> list[ThreadEntry]:
        """Up to `most` threads, newest first, page by page."""
        found: dict[ThreadId, ThreadEntry] = {}
        offset = 0
        while len(found) < most:
            page = await self.threads(min(PAGE, most - len(found)), offset)
            found |= {entry.path: entry for entry in page.threads}
            offset += len(page.threads)
            if not page.threads or offset >= page.total:
                break
        return list(found.values())

    async def watch_threads(self, handler: Callable[[ListChange], None]) -> None:
        """Call `handler` when a thread is created, changed or deleted, as long as this client is open."""
        self._on_list = handler
        self._tasks.start(self._keep_watching(), "watch the thread list")

    async def models(self) -> tuple[ProviderModels, ...]:
        """The models on offer."""
        received = await self._link.ask(ListModels(self._link.envelope()))
        if not isinstance(received.reply, ModelsListed):
            raise _unexpected(received)
        return received.reply.providers

    async def change_model(self, thread_id: ThreadId, wish: ModelWish) -> ModelChanged:
        """Use another model on a thread. Raises `TurnRefusedError` with the agent's reason."""
        received = await self._link.ask(ChangeModel(self._link.envelope(), thread_id, wish))
        if received.event is None or not isinstance(received.event.body, ModelChanged):
            raise _unexpected(received)
        return received.event.body

    async def delete_thread(self, thread_id: ThreadId, *, keep_files: bool = False) -> None:
        """Have a thread deleted; returns once it is. Raises `TurnRefusedError` with the agent's reason."""
        request = DeleteThread(self._link.envelope(), thread_id, keep_files)
        self._deleting[thread_id] = request.envelope.message_id
        try:
            await self._link.ask(request)
        finally:
            del self._deleting[thread_id]

    async def _keep_watching(self) -> None:
        while True:
            agent = await self._link.present()
            try:
                await self._link.send(WatchThreads(self._link.envelope()))
            except RoomError:
                await asyncio.sleep(WATCH_AGAIN_SECONDS)
                continue
            await self._link.absent(agent.id)

    def _received(self, received: Received) -> None:
        reply = received.reply
        if isinstance(reply, ThreadStarted) and reply.source in self._starting:
            # Before the asker wakes up: messages about the new thread may be right behind.
            self._add_view(reply.thread_id, "new").receive(received)
            return
        if isinstance(reply, ThreadDeleted) and (source := self._deleting.get(reply.path)) is not None:
            self._link.answered(source, received)
        if isinstance(reply, ThreadCreated | ThreadUpdated | ThreadDeleted):
            if self._on_list is not None:
                self._on_list(reply)
            return
        thread_id = received.thread_id
        view = None if thread_id is None else self._views.get(ThreadId(thread_id))
        if view is not None:
            view.receive(received)

    def _add_view(self, thread_id: ThreadId, history: History, recent: int | None = None) -> ThreadView:
        view = ThreadView(self._link, thread_id, history=history, forget=self._forget, recent=recent)
        self._views[thread_id] = view
        return view

    def _forget(self, view: ThreadView) -> None:
        if self._views.get(view.thread_id) is view:
            del self._views[view.thread_id]


def _unexpected(received: Received) -> WireError:
    reply: Reply | None = received.reply
    return WireError(f"the agent answered with {received.body.get('type')!r} ({type(reply).__name__})")
