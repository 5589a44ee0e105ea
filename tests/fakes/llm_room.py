"""The llm backend with the scripted model in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends.llm.backend import LlmBackend
from backends.llm.calling import Retries
from process_agent.config import load, load_providers
from process_agent.core.backend import BackendConfig, BackendThread, HistoryItem, TurnInput
from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.providers import behind
from process_agent.io.backoff import Backoff
from process_agent.io.http_stream import HttpLimits
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import OnEvent, PlayedState, Told

MODELS = {
    "responses": ModelChoice("llm", "openai", "gpt-5.5"),
    "messages": ModelChoice("llm", "anthropic", "claude-sonnet-4-6"),
    "chat": ModelChoice("llm", "kimi", "kimi-k2"),
}
"""One model of each dialect."""

QUICK = Retries(backoff=Backoff(first=0.001, ceiling=0.01))


@dataclass
class LlmRoom:
    """A backend that has been started, and its model."""

    backend: LlmBackend
    model: ScriptedServer
    turns: int = 0

    async def thread(self, history: Sequence[HistoryItem] = ()) -> BackendThread:
        return await self.backend.open_thread(ThreadId("dataset://t"), history, PlayedState())

    async def turn(
        self,
        thread: BackendThread,
        prompt: str | None,
        on_event: OnEvent | None = None,
        files: Sequence[FilePart] = (),
        **options: Any,
    ) -> Told:
        """Run a turn to its end; `on_event` hears each event and may return something to await."""
        self.turns += 1
        content: tuple[ContentPart, ...] = () if prompt is None else (TextPart(prompt), *files)
        model = options.pop("model", self.backend.default_model())
        given = TurnInput(TurnId(f"turn-{self.turns}"), content, "ada", model, **options)
        told = Told()
        async for event in thread.run(given):
            told.events.append(event)
            waiting = on_event(event) if on_event else None
            if waiting is not None:
                await waiting  # type: ignore[misc]
        return told


@asynccontextmanager
async def llm_room(
    base: Path, *, limits: HttpLimits | None = None, retries: Retries = QUICK, **settings: Any
) -> AsyncIterator[LlmRoom]:
    """A started backend with the scripted model behind every provider."""
    async with ScriptedServer() as model:
        known = load_providers(load({"HOME": str(base)}), {})
        providers = behind(known, model.base_url, model.api_key, "The scripted model")
        config = BackendConfig("bot", base, base, tuple(MODELS.values()), providers=providers)
        backend = LlmBackend(replace(config, **settings), limits=limits, retries=retries)
        await backend.start()
        try:
            yield LlmRoom(backend, model)
        finally:
            await backend.close()
