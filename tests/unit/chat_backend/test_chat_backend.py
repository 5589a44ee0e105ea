"""The backend without a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.chat import create_backend
from process_agent.core.backend import BackendConfig, KeptState, TurnInput
from process_agent.core.content import ErrorInfo, TextPart
from process_agent.core.decisions import Decision
from process_agent.core.events import BackendEvent, EndReason, TextDelta, TurnEnded
from process_agent.core.ids import AskId, ItemId, ThreadId, TurnId
from process_agent.core.model_names import parse
from process_agent.core.models import ModelChoice
from process_agent.errors import TurnRefusedError, UsageError


class NoState:
    """See `core.backend.ThreadState`."""

    durable = False
    kept = None

    def keep(self, state: KeptState) -> None:
        raise AssertionError("nothing is kept")

    async def flush(self) -> None:
        raise AssertionError("nothing is kept")


HELLO = (TextPart("hello"),)


def config(*models: str) -> BackendConfig:
    return BackendConfig("bot", Path(), Path(), tuple(parse(text) for text in models))


async def run(*, compact: bool = False) -> list[BackendEvent]:
    backend = create_backend(config("chat/none"))
    thread = await backend.open_thread(ThreadId("T"), (), NoState())
    turn = TurnInput(TurnId("u"), HELLO, "ana", backend.default_model(), compact=compact)
    return [event async for event in thread.run(turn)]


async def test_a_turn_is_what_was_said_and_nothing_else() -> None:
    assert await run() == [TurnEnded(EndReason.COMPLETED)]


async def test_there_is_nothing_to_shorten() -> None:
    events = await run(compact=True)
    assert [event.text for event in events if isinstance(event, TextDelta)] == [
        "No model answers in this thread, so there is nothing to shorten."
    ]
    assert events[-1] == TurnEnded(EndReason.COMPLETED)


async def test_nothing_can_be_asked_of_a_turn_that_is_over() -> None:
    thread = await create_backend(config()).open_thread(ThreadId("T"), (), NoState())
    with pytest.raises(TurnRefusedError) as refused:
        await thread.steer(HELLO, "ana")
    assert refused.value.code == "turn_ended"
    await thread.interrupt()
    assert not await thread.answer(AskId("a"), ErrorInfo("no", "no"))
    assert not await thread.decide(ItemId("i"), Decision.ACCEPT)


@pytest.mark.parametrize("name", ["chat/gpt-5.5", "chat/openai/none"])
def test_it_has_one_model(name: str) -> None:
    with pytest.raises(UsageError, match="has no model"):
        create_backend(config(name))
    assert create_backend(config("chat/chat/none")).default_model() == ModelChoice("chat", "chat", "none")
