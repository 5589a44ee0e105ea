"""What does not fit into a model's context is summarised before the provider refuses it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.llm.estimates import of_text
from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, HistoryItem, ToolCall, UserMessage
from process_agent.core.content import TextPart, TextResult
from process_agent.core.events import ToolRef
from process_agent.core.ids import ItemId
from process_agent.core.models import KnownModels, ModelFacts
from tests.fakes.llm_room import MODELS, LlmRoom, llm_room

WINDOW = 3_000
SMALL: KnownModels = {
    (choice.provider or "", choice.model or ""): ModelFacts(context_window=WINDOW)
    for choice in MODELS.values()
}


def requests(room: LlmRoom) -> list[str]:
    """The texts of every request, instructions included."""
    return [" ".join(_texts(request.body)) for request in room.model.requests]


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for each in value.values() for text in _texts(each)]
        case list():
            return [text for each in value for text in _texts(each)]
        case _:
            return []


def all_fit(room: LlmRoom) -> None:
    """The scripted model counts four characters a token."""
    assert max(len(text) // 4 for text in requests(room)) <= WINDOW


@pytest.mark.parametrize("dialect", MODELS)
async def test_a_conversation_is_shortened_before_the_provider_refuses_it(
    tmp_path: Path, dialect: str
) -> None:
    async with llm_room(tmp_path, facts=SMALL) as room:
        thread, compacted = await room.thread(), 0
        for number in range(20):
            told = await room.turn(thread, f"say word-{number} " + "and so on " * 60, model=MODELS[dialect])
            assert told.end.reason is e.EndReason.COMPLETED
            assert [event.automatic for event in told.of(e.ContextCompacted)] in ([], [True])
            compacted += len(told.of(e.ContextCompacted))
            context = told.of(e.UsageUpdated)[-1].context
            assert context is not None
            assert context.compacts_at is not None
            assert context.total == WINDOW
            assert 0 < context.used <= WINDOW
        assert compacted >= 2
        all_fit(room)
        assert "word-19" in requests(room)[-1]  # what was said last is there
        assert room.calls.heard[-1].purpose == "turn"
        assert [call.purpose for call in room.calls.heard].count("compaction") >= compacted


def long_history() -> Sequence[HistoryItem]:
    """Four times what fits."""
    found: list[HistoryItem] = []
    for number in range(40):
        ref = ToolRef(ItemId(f"i{number}"), "codex", "shell")
        output = TextResult(f"output-{number} " + "of a command " * 40)
        found += [
            UserMessage((TextPart(f"question-{number} " + "about it " * 20),), "ada"),
            ToolCall(ref, {"command": f"run-{number}"}, result=output),
            AgentMessage(f"answer-{number} " + "to it " * 20),
        ]
    return found


@pytest.mark.parametrize("dialect", MODELS)
async def test_a_thread_that_does_not_fit_the_next_model_is_summarised_whole(
    tmp_path: Path, dialect: str
) -> None:
    async with llm_room(tmp_path, facts=SMALL) as room:
        thread = await room.thread(long_history())
        told = await room.turn(thread, "say it-goes-on", model=MODELS[dialect])
        assert told.text == "it-goes-on"
        [compacted] = told.of(e.ContextCompacted)
        assert compacted.automatic
        all_fit(room)
        *parts, answer = requests(room)
        assert len(parts) > 3
        summarised = " ".join(parts)
        for number in range(40):  # no word was left out on the way into the summary
            for word in (f"question-{number} ", f"run-{number}", f"output-{number} ", f"answer-{number} "):
                assert word in summarised, word
        assert answer.count("Summary by the scripted model") == 1
        assert "question-39 " in answer  # the newest of what people said stays as it was


@pytest.mark.parametrize("dialect", MODELS)
async def test_without_a_known_context_the_provider_s_word_shortens_a_conversation(
    tmp_path: Path, dialect: str
) -> None:
    """How much fits is found by halving what was refused; nothing of it is lost on the way."""
    async with llm_room(tmp_path, facts={}) as room:
        room.model.context = 4_000
        thread = await room.thread(long_history())
        told = await room.turn(thread, "say it-goes-on", model=MODELS[dialect])
        assert told.text == "it-goes-on", told.end
        [compacted] = told.of(e.ContextCompacted)
        assert compacted.automatic
        context = told.of(e.UsageUpdated)[-1].context
        assert context is not None
        assert (context.total, context.compacts_at) == (None, None)
        answered = [r for r in room.model.requests if r.answered]
        *parts, answer = (" ".join(_texts(request.body)) for request in answered)
        summarised = " ".join(parts)
        for number in range(40):
            assert f"question-{number} " in summarised
        assert answer.count("Summary by the scripted model") == 1
        again = await room.turn(thread, "say on-and-on", model=MODELS[dialect])
        assert (again.text, again.of(e.ContextCompacted)) == ("on-and-on", [])


async def test_a_context_that_holds_nothing_ends_the_turn(tmp_path: Path) -> None:
    async with llm_room(tmp_path, facts={}) as room:
        room.model.context = 100
        told = await room.turn(await room.thread(long_history()), "say x")
        assert told.end.error is not None
        assert told.end.error.code == "context_window_exceeded"
        assert len(room.model.requests) < 12


async def test_a_switch_to_a_provider_with_less_room_summarises(tmp_path: Path) -> None:
    small = {key: facts for key, facts in SMALL.items() if key[0] == "anthropic"}
    async with llm_room(tmp_path, facts=small) as room:
        thread = await room.thread()
        for number in range(20):
            told = await room.turn(thread, f"say word-{number} " + "and so on " * 60)
            assert told.of(e.ContextCompacted) == []
        told = await room.turn(thread, "say smaller", model=MODELS["messages"])
        assert len(told.of(e.ContextCompacted)) == 1
        assert told.text == "smaller"
        of_messages = [r for r in room.model.requests if r.path.endswith("/messages")]
        assert max(len(" ".join(_texts(r.body))) // 4 for r in of_messages) <= WINDOW
        back = await room.turn(thread, "say back")
        assert back.of(e.ContextCompacted) == []
        assert json.dumps(room.model.requests[-1].body).count("Summary by the scripted model") == 1


async def test_a_message_that_is_longer_than_the_context_ends_its_turn_and_no_other(tmp_path: Path) -> None:
    """The scripted model takes it all the same; what matters is that the rest is shortened."""
    async with llm_room(tmp_path, facts=SMALL) as room:
        thread = await room.thread()
        await room.turn(thread, "say before")
        told = await room.turn(thread, "say x " + "word " * 10_000)
        assert told.end.reason is e.EndReason.COMPLETED
        assert len(told.of(e.ContextCompacted)) == 1
        again = await room.turn(thread, "say after")
        assert again.end.reason is e.EndReason.COMPLETED
        assert of_text(requests(room)[-1]) <= WINDOW
