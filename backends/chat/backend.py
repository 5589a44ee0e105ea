"""The backend `chat` with its one model, `chat/none`: a thread in which people talk, without a model.

Each message is a turn like any other: accepted, started, stored and ended at once, so that everybody who
views the thread sees it, also later. A thread can go over to a model and back; the model then knows what was
said.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from process_agent.core.backend import (
    Answered,
    BackendConfig,
    BackendSummary,
    BackendThread,
    HistoryItem,
    KeptState,
    ThreadState,
    ToolkitInfo,
    TurnInput,
)
from process_agent.core.content import ContentPart
from process_agent.core.decisions import NO_ANSWERS, Answers, Decision
from process_agent.core.events import BackendEvent, EndReason, TextDelta, TextEnded, TextStarted, TurnEnded
from process_agent.core.ids import AskId, ItemId, ThreadId
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.usage import UNMETERED, Meter
from process_agent.errors import TurnRefusedError, UsageError

NAME = "chat"
MODEL = "none"

NOTHING = "No model answers in this thread, so there is nothing to shorten."


class ChatBackend:
    """See `core.backend.Backend`."""

    takes_tools = False
    takes_mcp = False
    runs_commands = False

    def __init__(self, config: BackendConfig) -> None:
        for choice in config.models:
            if choice.provider not in (None, NAME) or choice.model not in (None, MODEL):
                named = "/".join(part for part in (choice.provider, choice.model) if part)
                fix = f"Its one model is {NAME}/{MODEL}."
                raise UsageError(f"The backend {NAME} has no model {named!r}.", fix=fix)

    @property
    def name(self) -> str:
        """The name in model specs."""
        return NAME

    async def start(self) -> BackendSummary:
        """There is nothing to start."""
        return BackendSummary((("model", "none: people talk, nobody answers"),))

    def models(self) -> Sequence[ProviderModels]:
        """The one that is none."""
        info = ModelInfo(MODEL, "No model", "people talk, nobody answers", active=True)
        return (ProviderModels(NAME, "People only", NAME, MODEL, (info,)),)

    def default_model(self) -> ModelChoice:
        """The only one."""
        return ModelChoice(NAME, NAME, MODEL)

    def toolkits(self) -> Sequence[ToolkitInfo]:
        """None."""
        return ()

    async def title(self, text: str, meter: Meter = UNMETERED) -> str | None:
        """Threads keep the beginning of their first message as their name."""
        return None

    async def open_thread(
        self, thread_id: ThreadId, history: Sequence[HistoryItem], state: ThreadState
    ) -> BackendThread:
        """Nobody has to know what was said."""
        return ChatThread()

    async def discard(self, thread_id: ThreadId, state: KeptState) -> None:
        """Nothing was kept."""

    def command(self, thread_id: ThreadId, state: KeptState) -> str | None:
        """There is no conversation elsewhere."""
        return None

    async def close(self) -> None:
        """Nothing was started."""


class ChatThread:
    """See `core.backend.BackendThread`."""

    async def run(self, turn: TurnInput) -> AsyncIterator[BackendEvent]:
        """What was said is the whole turn; only a wish to shorten what a model remembers needs a word."""
        if turn.compact:
            item = ItemId(f"{turn.turn_id}-notice")
            yield TextStarted(item, "final_answer")
            yield TextDelta(item, NOTHING, "final_answer")
            yield TextEnded(item, "final_answer")
        yield TurnEnded(EndReason.COMPLETED)

    async def steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        """A turn is over before anybody can add to it."""
        raise TurnRefusedError("The turn has ended; send the message as a new turn.", code="turn_ended")

    async def interrupt(self) -> None:
        """A turn is over before anybody can stop it."""

    async def decide(self, item_id: ItemId, decision: Decision, answers: Answers = NO_ANSWERS) -> bool:
        """Nothing waits."""
        return False

    async def answer(self, ask_id: AskId, answer: Answered) -> bool:
        """Nothing was asked."""
        return False

    async def close(self) -> None:
        """Nothing is held."""
