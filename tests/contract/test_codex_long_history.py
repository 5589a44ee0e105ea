"""A thread that is longer than what Codex is told at once: its model summarises the beginning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, HistoryItem, UserMessage
from process_agent.core.content import TextPart
from tests.contract.codex_room import Room, Told, codex_room, script
from tests.fakes.llm_room import Calls


def long_history(words: int = 2_000) -> list[HistoryItem]:
    """More than twice what fits."""
    found: list[HistoryItem] = []
    for number in range(40):
        found.append(UserMessage((TextPart(f"question-{number}-here " + "about it " * words),), "ada"))
        found.append(AgentMessage(f"answer-{number}-here " + "to it " * words))
    return found


def notices(told: Told) -> str:
    return " ".join(str((start.arguments, end.result)) for start, end in told.tools("notice"))


def asked(room: Room) -> list[str]:
    return [json.dumps(request.body["input"]) for request in room.model.requests]


@pytest.mark.timeout(300)
async def test_the_beginning_is_summarised_and_the_thread_says_so(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        calls = Calls()
        thread = await room.thread(long_history())
        told = await room.turn(thread, "say it-goes-on", meter=calls)
        assert told.end.reason is e.EndReason.COMPLETED
        assert "it-goes-on" in told.text
        assert "longer than what Codex takes at once: the model summarised the first" in notices(told)
        *parts, answer = asked(room)
        assert len(parts) >= 2
        for number in range(40):  # no word was left out on the way
            for word in (f"question-{number}-here", f"answer-{number}-here"):
                assert sum(text.count(word) for text in (*parts, answer)) >= 1, word
        assert answer.count("Summary by the scripted model") == 1
        assert "answer-39-here" in answer
        assert "answer-0-here" not in answer
        assert [call.purpose for call in calls.heard] == ["compaction"] * len(parts) + ["turn"]
        again = await room.turn(thread, "say next")
        assert "longer than" not in notices(again)
        assert asked(room)[-1].count("Summary by the scripted model") == 1


@pytest.mark.timeout(300)
async def test_a_summary_that_fails_is_said_with_what_is_known(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        history = long_history()
        fails = script({"when_compacted": [{"fault": 400, "code": "bad"}]})
        history.insert(0, UserMessage((TextPart(fails),), "ada"))
        thread = await room.thread(history)
        told = await room.turn(thread, "say on")
        assert told.end.reason is e.EndReason.COMPLETED
        assert "its beginning could not be summarised" in notices(told)
        assert "of 81 messages and calls Codex knows the last" in notices(told)
        assert "Summary by the scripted model" not in asked(room)[-1]
