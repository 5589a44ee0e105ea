"""The fault matrix: what each failure of a provider comes to, in each dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from process_agent.core import events as e
from process_agent.core.content import TextResult
from process_agent.core.requests import ClientTool
from process_agent.core.usage import Usage
from process_agent.io.http_stream import HttpLimits
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import Told, script
from tests.fakes.llm_room import MODELS, LlmRoom, llm_room

HALF = {"say": "half an answer"}
WHOLE = {"say": "the whole answer"}
ONCE = {"times": 1}

PASSES: list[tuple[str, dict[str, Any]]] = [
    ("429 with retry-after", {"fault": 429, "code": "rate_limit_exceeded", "retry_after": 0, **ONCE}),
    ("429", {"fault": 429, "code": "rate_limit_exceeded", **ONCE}),
    ("500", {"fault": 500, **ONCE}),
    ("503 twice", {"fault": 503, "times": 2}),
    ("cut before anything was said", {"fault": "disconnect", **ONCE}),
    ("end before anything was said", {"fault": "unfinished", **ONCE}),
    ("garbage before anything was said", {"fault": "garbage", **ONCE}),
    ("failed before anything was said", {"fault": "failed", "code": "server_error", **ONCE}),
    ("silence before anything was said", {"fault": "silence", **ONCE}),
]

STAYS: list[tuple[str, list[dict[str, Any]], str, str, int]] = [
    ("429 that lasts", [{"fault": 429, "code": "rate_limit_exceeded"}], "model_rate_limited", "", 5),
    (
        "429 with a long retry-after",
        [{"fault": 429, "code": "rate_limit_exceeded", "retry_after": 7200}],
        "model_rate_limited",
        "",
        1,
    ),
    ("500 that lasts", [{"fault": 500}], "model_server_error", "", 5),
    ("401", [{"fault": 401, "code": "invalid_api_key"}], "model_auth_failed", "", 1),
    ("404", [{"fault": 404, "code": "model_not_found"}], "model_not_found", "", 1),
    ("400", [{"fault": 400, "code": "invalid_request_error"}], "model_request_refused", "", 1),
    ("quota", [{"fault": 429, "code": "insufficient_quota"}], "model_quota_exceeded", "", 1),
    ("cut in the text", [HALF, {"fault": "disconnect"}], "model_answer_cut", "half an answer", 1),
    ("end in the text", [HALF, {"fault": "unfinished"}], "model_answer_cut", "half an answer", 1),
    ("garbage in the text", [HALF, {"fault": "garbage"}], "model_answer_garbled", "half an answer", 1),
    ("failed in the text", [HALF, {"fault": "failed"}], "model_server_error", "half an answer", 1),
    ("silence in the text", [HALF, {"fault": "silence"}], "model_silent", "half an answer", 1),
    (
        "the longest answer",
        [HALF, {"fault": "incomplete", "code": "max_output_tokens"}],
        "output_limit_reached",
        "half an answer",
        1,
    ),
]

LIMITS = HttpLimits(first=0.5, idle=0.5)


def charged_once(room: LlmRoom, *turns: Told) -> None:
    """What was taken down is what the provider wrote down, answer for answer, and what the turns said."""
    heard = [(call.usage.input, call.usage.output) for call in room.calls.heard if call.usage is not None]
    assert heard == room.charged
    told = [turn.of(e.UsageUpdated)[-1].usage for turn in turns if turn.of(e.UsageUpdated)]
    assert sum(told, Usage()) == room.calls.total
    assert [call.whole for call in room.calls.heard if call.usage is not None] == room.ended


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize(("name", "fault"), PASSES, ids=[name for name, _ in PASSES])
async def test_what_passes_is_tried_again(
    tmp_path: Path, dialect: str, name: str, fault: dict[str, Any]
) -> None:
    async with llm_room(tmp_path, limits=LIMITS) as room:
        told = await room.turn(await room.thread(), script(fault, WHOLE), model=MODELS[dialect])
    assert (told.text, told.end.reason) == ("the whole answer", e.EndReason.COMPLETED)
    assert room.model.total_requests == 1 + fault["times"]
    assert any("trying again" in working.text for working in told.of(e.Working))
    assert len(told.of(e.UsageUpdated)) == 1
    charged_once(room, told)


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize(
    ("name", "faults", "code", "text", "requests"), STAYS, ids=[name for name, *_ in STAYS]
)
async def test_what_stays_ends_the_turn_with_its_reason_and_what_was_said(
    tmp_path: Path, dialect: str, name: str, faults: list[dict[str, Any]], code: str, text: str, requests: int
) -> None:
    async with llm_room(tmp_path, limits=LIMITS) as room:
        thread = await room.thread()
        told = await room.turn(thread, script(*faults), model=MODELS[dialect])
        assert told.end.error is not None
        assert (told.end.error.code, told.text) == (code, text)
        assert room.model.total_requests == requests
        assert room.model.api_key not in told.end.error.message
        assert "127.0.0.1" not in told.end.error.message
        again = await room.turn(thread, "say better", model=MODELS[dialect])
        assert again.text == "better"
        charged_once(room, told, again)
        assert str(room.model.requests[-1].body).count("'half an answer'") == (1 if text else 0)


@pytest.mark.parametrize("dialect", MODELS)
async def test_a_server_that_is_not_there(tmp_path: Path, dialect: str) -> None:
    async with llm_room(tmp_path) as room:
        await room.model.close()
        told = await room.turn(await room.thread(), "say x", model=MODELS[dialect])
    assert told.end.error is not None
    assert told.end.error.code == "model_unreachable"
    assert "127.0.0.1" not in told.end.error.message


@pytest.mark.parametrize("dialect", MODELS)
async def test_a_wrong_key_is_said_without_the_key(tmp_path: Path, dialect: str) -> None:
    async with ScriptedServer() as other, llm_room(tmp_path) as room:
        room.model.api_key = other.api_key
        told = await room.turn(await room.thread(), "say x", model=MODELS[dialect])
    assert told.end.error is not None
    assert told.end.error.code == "model_auth_failed"
    assert "scripted-" not in told.end.error.message


@pytest.mark.parametrize("dialect", MODELS)
async def test_an_answer_that_is_stopped_is_taken_down_with_what_the_provider_had_told(
    tmp_path: Path, dialect: str
) -> None:
    async with llm_room(tmp_path) as room:
        thread = await room.thread()
        text = script({"say": "word ", "times": 500, "every_ms": 20})

        def stop(event: object) -> object:
            return thread.interrupt() if isinstance(event, e.TextDelta) else None

        told = await room.turn(thread, text, stop, model=MODELS[dialect])
        assert told.end.reason is e.EndReason.INTERRUPTED
        (call,) = room.calls.heard
        assert (call.usage is not None, call.whole) == (dialect == "messages", False)
        known = [] if call.usage is None else [(call.usage.input, call.usage.output)]
        assert known == room.charged
        await room.turn(thread, "say on", model=MODELS[dialect])
        assert [call.whole for call in room.calls.heard] == [False, True]


async def test_each_call_of_a_turn_with_tools_is_taken_down_once(tmp_path: Path) -> None:
    tool = ClientTool("look", {"type": "object", "properties": {}})
    async with llm_room(tmp_path) as room:
        thread = await room.thread()

        def answer(event: object) -> object:
            if isinstance(event, e.ClientToolRequested):
                return thread.answer(event.ask_id, TextResult("seen"))
            return None

        text = script({"call": "look", "arguments": {}}, {"say": "done"})
        told = await room.turn(thread, text, answer, client_tools=(tool,))
        assert told.end.reason is e.EndReason.COMPLETED
        assert len(room.calls.heard) == 2
        charged_once(room, told)
