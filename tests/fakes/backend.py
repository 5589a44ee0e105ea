"""A backend whose turns the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from process_agent.core.backend import (
    Answered,
    BackendSummary,
    BackendThread,
    HistoryItem,
    KeptState,
    ThreadState,
    ToolkitInfo,
    TurnInput,
)
from process_agent.core.content import ContentPart, plain_text
from process_agent.core.decisions import NO_ANSWERS, Answers, Decision
from process_agent.core.events import BackendEvent, EndReason, TextDelta, TextEnded, TextStarted, TurnEnded
from process_agent.core.ids import AskId, ItemId, ThreadId
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.usage import UNMETERED, Meter
from process_agent.errors import ProcessError, TurnRefusedError


@dataclass
class PlayedTurn:
    """One turn as the backend got it."""

    thread_id: ThreadId
    input: TurnInput
    steers: list[str] = field(default_factory=list)
    decisions: list[tuple[ItemId, Decision]] = field(default_factory=list)
    answers: list[tuple[AskId, Answered]] = field(default_factory=list)
    form_answers: list[dict[str, tuple[str, ...]]] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    _events: asyncio.Queue[BackendEvent | None] = field(default_factory=asyncio.Queue)

    @property
    def text(self) -> str:
        return plain_text(self.input.content)

    def say(self, *events: BackendEvent) -> None:
        for event in events:
            self._events.put_nowait(event)

    def answer(self, text: str, item: str = "answer") -> None:
        """A whole message, and the end of the turn."""
        item_id = ItemId(item)
        self.say(TextStarted(item_id, "final_answer"), TextDelta(item_id, text, "final_answer"))
        self.say(TextEnded(item_id, "final_answer"), TurnEnded(EndReason.COMPLETED))

    def end(self, reason: EndReason = EndReason.COMPLETED) -> None:
        self.say(TurnEnded(reason))

    def vanish(self) -> None:
        """Stop without saying how."""
        self._events.put_nowait(None)

    async def events(self) -> AsyncIterator[BackendEvent]:
        try:
            while (event := await self._events.get()) is not None:
                yield event
        finally:
            self.closed = True


class FakeThread:
    """See `core.backend.BackendThread`."""

    def __init__(
        self, backend: FakeBackend, thread_id: ThreadId, history: Sequence[HistoryItem], state: ThreadState
    ) -> None:
        self.backend = backend
        self.thread_id = thread_id
        self.history = tuple(history)
        self.state = state
        self.closed = False
        self.turn: PlayedTurn | None = None

    async def run(self, turn: TurnInput) -> AsyncIterator[BackendEvent]:
        played = self.turn = PlayedTurn(self.thread_id, turn)
        self.backend.played(played)
        try:
            async for event in played.events():
                yield event
        finally:
            self.turn = None

    async def steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        if self.turn is None:
            raise TurnRefusedError("nothing to steer", code="turn_not_in_progress")
        if self.backend.refuses_steers:
            raise TurnRefusedError("not now", code="turn_ended")
        self.turn.steers.append(plain_text(content))
        self.backend.stir()
        await self.backend.takes_steers.wait()

    async def interrupt(self) -> None:
        if self.turn is not None:
            self.turn.interrupted.set()
            if self.backend.obedient:
                self.turn.end(EndReason.INTERRUPTED)

    async def decide(self, item_id: ItemId, decision: Decision, answers: Answers = NO_ANSWERS) -> bool:
        if self.turn is None:
            return False
        self.turn.decisions.append((item_id, decision))
        self.turn.form_answers.append(dict(answers))
        return True

    async def answer(self, ask_id: AskId, answer: Answered) -> bool:
        if self.turn is None:
            return False
        self.turn.answers.append((ask_id, answer))
        self.turn.answered.set()
        return True

    async def close(self) -> None:
        self.closed = True


class FakeBackend:
    """See `core.backend.Backend`. `obedient` ends interrupted turns at once."""

    def __init__(self, name: str = "codex", models: Sequence[str] = ("gpt-5.5", "gpt-5.5-mini")) -> None:
        self._name = name
        self._models = tuple(models)
        self.obedient = True
        self.takes_tools = True
        self.takes_mcp = True
        self.runs_commands = True
        self.refuses_steers = False
        self.takes_steers = asyncio.Event()
        self.takes_steers.set()
        self.started = False
        self.closed = False
        self.threads: list[FakeThread] = []
        self.turns: list[PlayedTurn] = []
        self.caution: str | None = None
        self.start_error: ProcessError | None = None
        self.open_error: Exception | None = None
        self.offers: Sequence[ToolkitInfo] = ()
        self.discarded: list[tuple[ThreadId, KeptState]] = []
        self.titled: list[str] = []
        self.titles: Callable[[str], Awaitable[str | None]] | None = None
        self.opening = asyncio.Event()
        self.opening.set()
        self._wake = asyncio.Event()

    @property
    def name(self) -> str:
        return self._name

    async def start(self) -> BackendSummary:
        if self.start_error is not None:
            raise self.start_error
        self.started = True
        return BackendSummary((("fake", "played by a test"),), self.caution)

    def models(self) -> Sequence[ProviderModels]:
        infos = tuple(ModelInfo(name, active=name == self._models[0]) for name in self._models)
        return [ProviderModels("openai", f"OpenAI {self._name}", self._name, self._models[0], infos)]

    def default_model(self) -> ModelChoice:
        return ModelChoice(self._name, "openai", self._models[0])

    def toolkits(self) -> Sequence[ToolkitInfo]:
        return self.offers

    async def title(self, text: str, meter: Meter = UNMETERED) -> str | None:
        self.titled.append(text)
        return None if self.titles is None else await self.titles(text)

    async def open_thread(
        self, thread_id: ThreadId, history: Sequence[HistoryItem], state: ThreadState
    ) -> BackendThread:
        await self.opening.wait()
        if self.open_error is not None:
            raise self.open_error
        thread = FakeThread(self, thread_id, history, state)
        self.threads.append(thread)
        return thread

    async def discard(self, thread_id: ThreadId, state: KeptState) -> None:
        self.discarded.append((thread_id, state))

    def command(self, thread_id: ThreadId, state: KeptState) -> str | None:
        return f"played {state['name']}" if "name" in state else None

    async def close(self) -> None:
        self.closed = True

    def played(self, turn: PlayedTurn) -> None:
        self.turns.append(turn)
        self.stir()

    def stir(self) -> None:
        """Something happened that a test may wait for."""
        self._wake.set()

    async def steered(self, turn: PlayedTurn, count: int) -> None:
        """Wait until a turn got this many steers, whether or not they are taken yet."""
        while len(turn.steers) < count:
            self._wake.clear()
            await self._wake.wait()

    async def turn(self, number: int) -> PlayedTurn:
        """The turn of this number, counted from 0, once it runs."""
        while len(self.turns) <= number:
            self._wake.clear()
            await self._wake.wait()
        return self.turns[number]
