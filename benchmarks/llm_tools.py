"""Tools that the agent runs for a language model, beside the same requests with httpx and nothing else."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import httpx
import msgspec

from benchmarks.codex_turn import SETTLE_SECONDS, talk
from benchmarks.figures import BARE, OURS, Figure, Section
from benchmarks.llm_long import bare_client
from benchmarks.llm_turn import LABELS
from benchmarks.programs import cpu_ms
from benchmarks.stage import LLM_MODEL, Agent, Stage
from process_agent.wire.sse import SseParser

CALLS = 20
"""Calls of a turn, one after the other: each is a request of its own."""

ROUNDS = 6

TOOL = "storage__list"


async def measure(stage: Stage, calls: int = CALLS, rounds: int = ROUNDS) -> Section:
    """Programs take rounds; the first is not counted. A turn without calls is taken off."""
    took = Figure("time for each call", "ms")
    cpu = Figure("the program's processor time for each call", "ms")
    async with bare_client(stage.model) as client, talk(stage, _with_tools(stage.ours(LLM_MODEL))) as talking:
        chat, thread = talking.chat, talking.thread_id
        for number in range(rounds + 1):
            before, began = time.process_time(), time.perf_counter()
            await _bare_turn(client, calls)
            with_calls, used = time.perf_counter() - began, time.process_time() - before
            before, began = time.process_time(), time.perf_counter()
            await _bare_turn(client, 0)
            with_calls -= time.perf_counter() - began
            used -= time.process_time() - before
            if number:
                took.add(BARE, with_calls * 1000 / calls)
                cpu.add(BARE, used * 1000 / calls)
            ended, used_by = 0.0, 0.0
            for count, sign in ((calls, 1), (0, -1)):
                start = cpu_ms(talking.pid)
                turn = await chat.turn(thread, _prompt(count))
                if turn.text != "done":
                    raise RuntimeError(f"the answer was {turn.text!r}")
                await asyncio.sleep(SETTLE_SECONDS)
                ended += sign * turn.ended_ms
                used_by += sign * (cpu_ms(talking.pid) - start)
            if number:
                took.add(OURS, ended / calls)
                cpu.add(OURS, used_by / calls)
    notes = (
        f"{rounds} turns of {calls} calls of `storage.list`, which asks the room, each with a request of its "
        "own that carries everything so far; a turn without calls is taken off. *Bare* makes the same "
        "requests one after the other and gives back a fixed result. Processor time is that of the "
        "agent alone."
    )
    return Section(
        "llm-tools", "Tools of a language model", {BARE: LABELS[BARE], OURS: LABELS[OURS]}, [took, cpu], notes
    )


def _with_tools(agent: Agent) -> Agent:
    return replace(agent, command=[*agent.command, "--storage"])


def _prompt(calls: int) -> str:
    actions: list[dict[str, Any]] = [{"call": TOOL, "arguments": {}} for _ in range(calls)]
    return f"\n```script\n{msgspec.json.encode([*actions, {'say': 'done'}]).decode()}\n```"


async def _bare_turn(client: httpx.AsyncClient, calls: int) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": _prompt(calls)}]
    tools = [{"name": TOOL, "description": "", "input_schema": {"type": "object", "properties": {}}}]
    for number in range(calls + 1):
        body = {"model": "m", "max_tokens": 8192, "stream": True, "messages": messages, "tools": tools}
        called = await _call(client, body)
        if (called is None) != (number == calls):
            raise RuntimeError("the model did not do as the script says")
        if called is not None:
            result = {"type": "tool_result", "tool_use_id": called["id"], "content": "[]"}
            messages.append({"role": "assistant", "content": [{**called, "input": {}}]})
            messages.append({"role": "user", "content": [result]})


async def _call(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any] | None:
    """The call that the model makes, None when it makes none."""
    parser, called = SseParser(), None
    async with client.stream("POST", "/messages", content=msgspec.json.encode(body)) as answer:
        async for piece in answer.aiter_raw():
            for event in parser.feed(piece):
                told = msgspec.json.decode(event.data)
                block = told.get("content_block", {})
                if told["type"] == "content_block_start" and block["type"] == "tool_use":
                    called = {"type": "tool_use", "id": block["id"], "name": block["name"]}
    return called
