"""The llm backend with the shell of an agent: the scripted model calls it, and the commands are real."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.llm.backend import LlmBackend
from process_agent.agent.tools.shell.source import Shell
from process_agent.agent.tools.tool import Scope
from process_agent.agent.tools.toolbox import TurnTools
from process_agent.agent.tools.tooling import Tooling
from process_agent.config import load, load_providers
from process_agent.core.backend import BackendConfig, BackendThread, HistoryItem, TurnInput
from process_agent.core.content import ErrorInfo, TextPart
from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested, BackendEvent, ToolLog, TurnEnded
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.providers import behind
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import PlayedState, Told
from tests.fakes.llm_room import MODELS, QUICK
from tests.fakes.memory_store import MemoryLog, MemoryThreadStore

ENVIRONMENT = ("PATH", "HOME", "LANG")
THREAD = ThreadId("dataset://t")

type Decide = Callable[[ApprovalRequested], Decision | None]


@dataclass
class ShellHouse:
    """A backend that has been started, a shell that is open, and the turns of one thread."""

    backend: LlmBackend
    shell: Shell
    model: ScriptedServer
    folder: Path
    tooling: Tooling
    turns: int = 0
    box: TurnTools | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def thread(self, history: tuple[HistoryItem, ...] = ()) -> BackendThread:
        return await self.backend.open_thread(THREAD, history, PlayedState())

    async def turn(
        self,
        prompt: str,
        *,
        thread: BackendThread | None = None,
        decide: Decide | Decision = Decision.DECLINE,
        model: ModelChoice | None = None,
        on_event: Callable[[BackendEvent], object] | None = None,
        stop: bool = False,
    ) -> Told:
        """Run a turn to its end, with what its tools tell in between; `stop` when somebody stopped it."""
        self.turns += 1
        turn_id, told = TurnId(f"turn-{self.turns}"), Told()

        def report(_: TurnId, event: BackendEvent) -> None:
            told.events.append(event)
            if on_event is not None:
                on_event(event)
            if isinstance(event, ApprovalRequested):
                decision = decide if isinstance(decide, Decision) else decide(event)
                if decision is not None:
                    asyncio.get_running_loop().call_soon(self._decide, event, decision)

        scope = Scope(THREAD, turn_id, "ada", MemoryLog(MemoryThreadStore(), [], []))
        box = self.box = (await self.tooling.open(scope, report)).tools
        given = TurnInput(turn_id, (TextPart(prompt),), "ada", model or MODELS["responses"], toolbox=box)
        running = (thread or await self.thread()).run(given)
        ended: list[BackendEvent] = []
        async for event in running:
            # The end of a turn comes last, whatever its tools still tell.
            (ended if isinstance(event, TurnEnded) else told.events).append(event)
            if on_event is not None:
                on_event(event)
        if box is not None:
            box.close(stopped=stop)
        told.events += ended
        return told

    def _decide(self, event: ApprovalRequested, decision: Decision) -> None:
        if self.box is not None:
            self.box.decide(event.ref.item_id, decision)


@asynccontextmanager
async def shell_house(
    base: Path, *, one_shot: bool = True, lasting: bool = False, **settings: Any
) -> AsyncIterator[ShellHouse]:
    """The house, in `base/work`, its data in `base/data`."""
    folder = base / "work"
    folder.mkdir(exist_ok=True)
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    environment |= settings.pop("environment", {})
    async with ScriptedServer() as model:
        known = load_providers(load({"HOME": str(base)}), {})
        providers = behind(known, model.base_url, model.api_key, "The scripted model")
        config = BackendConfig(
            "bot", folder, base / "data", tuple(MODELS.values()), providers=providers, environment=environment
        )
        config = replace(config, **settings)
        shell = Shell(config, one_shot=one_shot, lasting=lasting)
        backend = LlmBackend(config, retries=QUICK)
        try:
            await shell.open()
            await backend.start()
            tooling = Tooling([shell])
            await tooling.start()
            yield ShellHouse(backend, shell, model, folder, tooling)
        finally:
            await backend.close()
            await shell.close()


def logged(told: Told) -> str:
    """What commands wrote while they ran."""
    return "".join(line.text for event in told.of(ToolLog) for line in event.lines)


def outcome(told: Told, tool: str = "shell", number: int = -1) -> dict[str, Any]:
    """The result of a call as people see it, or its error."""
    _, end = told.tools(tool)[number]
    if isinstance(end.error, ErrorInfo):
        return {"error": end.error.message, "code": end.error.code}
    result = end.result
    return dict(getattr(result, "json", None) or {"text": getattr(result, "text", "")})
