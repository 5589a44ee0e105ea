"""`python -m benchmarks.played_agent URL TOKEN NAME FOLDER`: our agent with a backend that only streams.

Each turn streams a word every `PACE_SECONDS` until it is interrupted. So many threads can stream without a
model or Codex, and what is measured is the agent and the room.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from process_agent.agent.assemble import Agent, AgentConfig, started
from process_agent.agent.channels import AgentRoom
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
from process_agent.rooms.join import JoinTarget, join_room
from process_agent.threads.store import DatasetThreadStore

PACE_SECONDS = 0.05
_MODEL = "gpt-5.5"


class PlayedThread:
    """See `core.backend.BackendThread`."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()

    async def run(self, turn: TurnInput) -> AsyncIterator[BackendEvent]:
        item = ItemId(f"text of {turn.turn_id}")
        self._stop.clear()
        yield TextStarted(item)
        while not self._stop.is_set():
            yield TextDelta(item, "word ")
            await asyncio.sleep(PACE_SECONDS)
        yield TextEnded(item)
        yield TurnEnded(EndReason.INTERRUPTED)

    async def steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        pass

    async def interrupt(self) -> None:
        self._stop.set()

    async def decide(self, item_id: ItemId, decision: Decision, answers: Answers = NO_ANSWERS) -> bool:
        return False

    async def answer(self, ask_id: AskId, answer: Answered) -> bool:
        return False

    async def close(self) -> None:
        self._stop.set()


class PlayedBackend:
    """See `core.backend.Backend`."""

    name = "codex"
    takes_tools = True
    takes_mcp = True
    runs_commands = True

    async def start(self) -> BackendSummary:
        return BackendSummary((("played", "by a benchmark"),))

    def models(self) -> Sequence[ProviderModels]:
        return [ProviderModels("openai", "OpenAI", self.name, _MODEL, (ModelInfo(_MODEL, active=True),))]

    def default_model(self) -> ModelChoice:
        return ModelChoice(self.name, "openai", _MODEL)

    def toolkits(self) -> Sequence[ToolkitInfo]:
        return ()

    async def title(self, text: str, meter: Meter = UNMETERED) -> str | None:
        return None

    async def open_thread(
        self, thread_id: ThreadId, history: Sequence[HistoryItem], state: ThreadState
    ) -> BackendThread:
        return PlayedThread()

    async def discard(self, thread_id: ThreadId, state: KeptState) -> None:
        pass

    def command(self, thread_id: ThreadId, state: KeptState) -> str | None:
        return None

    async def close(self) -> None:
        pass


async def main(url: str, token: str, name: str, folder: Path) -> None:
    config = AgentConfig(name, BackendConfig(name, folder, folder), backends=("codex",))
    address, _, room_name = url.partition("/rooms/")
    async with join_room(JoinTarget(room_name, address, token)) as room:
        store = DatasetThreadStore(
            room.datasets, name, clock=lambda: datetime.now(UTC), new_id=lambda: str(uuid.uuid4())
        )
        async with (
            started([PlayedBackend()]) as backends,
            Agent(config, AgentRoom(room.messaging, store), backends),
        ):
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
