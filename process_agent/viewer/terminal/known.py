"""What the terminal knows of the agent beside the open thread: its models, its threads and their names."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import RenderableType

from process_agent.core.ids import ThreadId
from process_agent.core.models import ModelChoice, ProviderModels
from process_agent.core.replies import ThreadDeleted
from process_agent.core.requests import ModelWish
from process_agent.core.store import ThreadEntry
from process_agent.errors import ProcessError
from process_agent.viewer.client import AgentClient, ListChange
from process_agent.viewer.terminal import listings, naming, render

LISTED_THREADS = 50
"""Threads that `/threads` shows and `/open` can name by number."""


class Known:
    """`changed` is called when something new is known."""

    def __init__(self, client: AgentClient, changed: Callable[[], None]) -> None:
        self.providers: tuple[ProviderModels, ...] = ()
        self.listed: list[ThreadEntry] = []
        self._client = client
        self._changed = changed
        self._names: dict[ThreadId, str] = {}

    def name(self, thread_id: ThreadId) -> str | None:
        """The name of a thread."""
        return self._names.get(thread_id)

    async def watch(self) -> None:
        """Hear of threads that come, go and are renamed."""
        await self._client.watch_threads(self._list_changed)

    async def learn(self) -> None:
        """Ask once for models and threads."""
        try:
            self.providers = await self._client.models()
            await self._list()
        except ProcessError:
            return  # only completion misses them; /models and /threads ask again and say why not
        self._changed()

    async def model(self, name: str, current: ModelChoice | None) -> ModelWish:
        """The model that a text names, as things stand now; `current` is the thread's. Raises `UsageError`,
        `RoomError`.
        """
        self.providers = await self._client.models()
        return naming.resolve_model(name, self.providers, current)

    async def thread(self, ref: str) -> ThreadId:
        """The thread that a text names: see `naming.resolve_thread`. Raises `UsageError`, `RoomError`."""
        if "://" in ref:
            return ThreadId(ref)
        await self._list()
        return naming.resolve_thread(ref, self.listed).path

    async def models_shown(self, current: str | None) -> list[RenderableType]:
        """The models on offer."""
        self.providers = await self._client.models()
        return [render.table(listings.models(self.providers, current))]

    async def threads_shown(self, here: ThreadId | None) -> list[RenderableType]:
        """The agent's threads, newest first."""
        await self._list()
        if not self.listed:
            return [render.notice("There are no threads yet.")]
        return [render.table(listings.threads(self.listed, here)), render.notice("/open N opens one.")]

    async def _list(self) -> None:
        self.listed = await self._client.all_threads(LISTED_THREADS)
        self._names |= {entry.path: entry.name for entry in self.listed}

    def _list_changed(self, change: ListChange) -> None:
        if isinstance(change, ThreadDeleted):
            self._names.pop(change.path, None)
        else:
            self._names[change.thread.path] = change.thread.name
        while len(self._names) > 10 * LISTED_THREADS:
            del self._names[next(iter(self._names))]
        self._changed()
