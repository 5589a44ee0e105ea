"""The llm backend with the scripted model in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
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
from process_agent.core.usage import ModelCall, Usage
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


class Calls:
    """A meter that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[ModelCall] = []

    def used(self, call: ModelCall) -> None:
        self.heard.append(call)

    @property
    def total(self) -> Usage:
        """What was told in all."""
        return sum((call.usage for call in self.heard if call.usage is not None), Usage())


def charged_by(model: ScriptedServer) -> list[tuple[int, int]]:
    """Input and output tokens of every answer, as the model itself wrote them down."""
    usages = [r.answer.body.get("usage") or {} for r in model.requests if r.answer is not None]
    told = [
        (
            usage.get("prompt_tokens", usage.get("input_tokens", 0))
            + usage.get("cache_read_input_tokens", 0),
            usage.get("completion_tokens", usage.get("output_tokens", 0)),
        )
        for usage in usages
    ]
    return [each for each in told if any(each)]


def ended_by(model: ScriptedServer) -> list[bool]:
    """Of each of these answers whether it came to its end: in Messages it tells tokens before, too."""
    bodies = [r.answer.body for r in model.requests if r.answer is not None]
    return [
        each.get("stop_reason", "") is not None for each in bodies if any((each.get("usage") or {}).values())
    ]


@dataclass
class LlmRoom:
    """A backend that has been started, and its model. `calls` heard of every answer."""

    backend: LlmBackend
    model: ScriptedServer
    turns: int = 0
    calls: Calls = field(default_factory=Calls)

    @property
    def charged(self) -> list[tuple[int, int]]:
        """See `charged_by`."""
        return charged_by(self.model)

    @property
    def ended(self) -> list[bool]:
        """See `ended_by`."""
        return ended_by(self.model)

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
        given = TurnInput(TurnId(f"turn-{self.turns}"), content, "ada", model, meter=self.calls, **options)
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
