"""The real Codex program with the scripted model, for contract tests."""

from __future__ import annotations

import asyncio
import json
import os
import select
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.codex import create_backend
from backends.codex.backend import CodexBackend
from process_agent.core.backend import (
    BackendConfig,
    BackendSummary,
    BackendThread,
    HistoryItem,
    KeptState,
    ThreadState,
    TurnInput,
)
from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.events import BackendEvent, TextDelta, TextStarted, ToolEnded, ToolStarted, TurnEnded
from process_agent.core.ids import ThreadId, TurnId
from process_agent.scripted.server import RecordedRequest, ScriptedServer

type OnEvent = Callable[[BackendEvent], object]


def script(*actions: dict[str, Any]) -> str:
    """A prompt the scripted model follows to the letter."""
    return f"```script\n{json.dumps(actions)}\n```"


@dataclass
class PlayedState:
    """See `core.backend.ThreadState`; `written` is all that was ever kept."""

    kept: KeptState | None = None
    durable: bool = True
    written: list[KeptState] = field(default_factory=list)
    flushed: int = 0

    def keep(self, state: KeptState) -> None:
        self.kept = state
        self.written.append(state)

    async def flush(self) -> None:
        self.flushed = len(self.written)


@dataclass
class Room:
    """A backend that has been started, and what it needs."""

    backend: CodexBackend
    model: ScriptedServer
    folder: Path
    data: Path
    summary: BackendSummary
    turns: int = 0

    def processes(self) -> dict[int, str]:
        """Names of everything that runs below the guard, by process id."""
        server = self.backend._server
        assert server is not None
        assert server._child is not None
        return processes_below(server._child.pid)

    def app_server(self) -> int:
        """Process id of Codex itself."""
        return next(pid for pid, name in self.processes().items() if name == "codex")

    def sent(self, request: int = -1) -> list[tuple[str, str]]:
        """Role and text of what the model got in a request, without Codex's own prompt; calls as `call`."""
        return self.said_in(self.model.requests[request])

    def said_in(self, request: RecordedRequest) -> list[tuple[str, str]]:
        """The same of a request to any scripted model."""
        return [said for item in request.body["input"] for said in _sent(item)]

    def rules(self, request: int = -1) -> list[str]:
        """What the model was told to heed in a request, one text for each time that it changed."""
        items = self.model.requests[request].body["input"]
        parts = [str(part.get("text")) for item in items for part in item.get("content") or ()]
        begin, end = "<collaboration_mode>", "</collaboration_mode>"
        return [text.removeprefix(begin).removesuffix(end) for text in parts if text.startswith(begin)]

    async def thread(
        self,
        history: Sequence[HistoryItem] = (),
        state: ThreadState | None = None,
        thread_id: str = "dataset://t",
    ) -> BackendThread:
        return await self.backend.open_thread(ThreadId(thread_id), history, state or PlayedState())

    async def turn(
        self,
        thread: BackendThread,
        prompt: str | None,
        on_event: OnEvent | None = None,
        files: Sequence[FilePart] = (),
        **options: Any,
    ) -> Told:
        """Run a turn to its end; `on_event` hears each event and may return something to await.

        `options` are further members of the turn's input.
        """
        self.turns += 1
        content: tuple[ContentPart, ...] = () if prompt is None else (TextPart(prompt), *files)
        sender = options.pop("sender", "ada")
        model = options.pop("model", self.backend.default_model())
        given = TurnInput(TurnId(f"turn-{self.turns}"), content, sender, model, **options)
        told = Told()
        async with aclosing(thread.run(given)) as events:  # type: ignore[type-var]
            async for event in events:
                told.events.append(event)
                waiting = on_event(event) if on_event else None
                if waiting is not None:
                    await waiting  # type: ignore[misc]
        return told


@dataclass
class Told:
    """The events of one turn."""

    events: list[BackendEvent] = field(default_factory=list)

    @property
    def end(self) -> TurnEnded:
        (end,) = [event for event in self.events if isinstance(event, TurnEnded)]
        assert self.events[-1] is end
        return end

    def of[E: BackendEvent](self, kind: type[E]) -> list[E]:
        """All events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> str:
        """All messages, joined by newlines."""
        texts: dict[str, str] = {}
        for event in self.events:
            if isinstance(event, TextStarted):
                texts[event.item_id] = ""
            elif isinstance(event, TextDelta):
                texts[event.item_id] += event.text
        return "\n".join(texts.values())

    def tools(self, name: str) -> list[tuple[ToolStarted, ToolEnded]]:
        starts = {e.ref.item_id: e for e in self.events if isinstance(e, ToolStarted) and e.ref.tool == name}
        ends = {e.ref.item_id: e for e in self.events if isinstance(e, ToolEnded)}
        return [(start, ends[item]) for item, start in starts.items()]


def _sent(item: dict[str, Any]) -> list[tuple[str, str]]:
    if item["type"] != "message":
        return [("call", str(item.get("name") or item.get("output") or ""))]
    texts = [str(part.get("text") or part.get("image_url")) for part in item["content"]]
    added = ("<environment_context>", "<skills_", "<permissions", "You are Codex", "<apps_", "<collab")
    return [(item["role"], text) for text in texts if not text.startswith(added)]


@asynccontextmanager
async def codex_room(base: Path, *, connect: bool = True, **settings: Any) -> AsyncIterator[Room]:
    """A started backend with the scripted model; all is gone afterwards but a `model` that was given."""
    folder, data = base / "work", base / "data"
    folder.mkdir(exist_ok=True)
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    async with AsyncExitStack() as leaving:
        model: ScriptedServer | None = settings.pop("model", None)
        if model is None:
            model = await leaving.enter_async_context(ScriptedServer())
        values: dict[str, Any] = {
            "agent_name": "codex-agent",
            "working_dir": folder,
            "data_dir": data,
            "environment": environment | settings.pop("environment", {}),
        }
        if connect:
            values |= {"provider": "scripted", "base_url": model.base_url, "api_key": model.api_key}
        backend = create_backend(BackendConfig(**(values | settings)))
        assert isinstance(backend, CodexBackend)
        try:
            summary = await backend.start()
            yield Room(backend, model, folder, data, summary)
        finally:
            await backend.close()


def processes_below(root: int) -> dict[int, str]:
    """Names of all processes below one, by their id."""
    parents: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            head, _, tail = (entry / "stat").read_text().rpartition(")")
        except OSError:
            continue
        pid = int(entry.name)
        names[pid] = head.partition("(")[2]
        parents.setdefault(int(tail.split()[1]), []).append(pid)
    found, todo = {}, [root]
    while todo:
        children = parents.get(todo.pop(), [])
        found.update({pid: names[pid] for pid in children})
        todo += children
    return found


async def gone(pid: int, within: float) -> bool:
    """Wait until a process has ended; False when it has not in time."""
    return await asyncio.to_thread(_ended, pid, within)


def _ended(pid: int, within: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], max(within, 0))[0])
    finally:
        os.close(handle)
