"""A turn of a language model in a thread that has 10, 100 and 1,000 turns already."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import msgspec

from benchmarks.chat import Chat
from benchmarks.codex_turn import SETTLE_SECONDS, Talk, talk
from benchmarks.figures import BARE, OURS, REFERENCE, Figure, Section
from benchmarks.llm_turn import LABELS, scripted
from benchmarks.programs import cpu_ms
from benchmarks.stage import LLM_MODEL, Stage
from process_agent.wire.sse import SseParser

COUNTS = (10, 100, 1_000)
"""Turns that a thread has before."""

TURNS = 10
"""Turns that are measured at each."""


async def measure(stage: Stage, counts: tuple[int, ...] = COUNTS, turns: int = TURNS) -> Section:
    """Programs take turns, each with one thread that grows."""
    first = {n: Figure(f"{n:,} turns before: request to first delta", "ms") for n in counts}
    cpu = {n: Figure(f"{n:,} turns before: the program's processor time for each turn", "ms") for n in counts}
    async with bare_client(stage.model) as client:
        for count in counts:
            for number in range(turns + 1):
                before = time.process_time()
                took = await _asked(client, count)
                if number:  # the first opens the connection
                    first[count].add(BARE, took)
                    cpu[count].add(BARE, (time.process_time() - before) * 1000)
    for program, agent in stage.agents(LLM_MODEL).items():
        async with talk(stage, agent) as talking:
            done = 0
            for count in counts:
                done = await _grow(talking, done, count)
                before = cpu_ms(talking.pid)
                for _ in range(turns):
                    first[count].add(program, await _turn(talking.chat, talking.thread_id, done))
                    done += 1
                await asyncio.sleep(SETTLE_SECONDS)
                cpu[count].add(program, (cpu_ms(talking.pid) - before) / turns)
    notes = (
        f"One thread for each program, {turns} measured turns at each length; every turn asks and answers "
        "some 40 characters. *Bare* is a streamed httpx request that carries the same conversation, its "
        "body made anew each time: what a longer conversation costs at least. An instant scripted model in "
        "its own process, which reads the whole conversation too."
    )
    figures = [figure for count in counts for figure in (first[count], cpu[count])]
    labels = {BARE: LABELS[BARE], OURS: LABELS[OURS], REFERENCE: LABELS[REFERENCE]}
    return Section("llm-long", "A long thread of a language model", labels, figures, notes)


def bare_client(model: dict[str, str]) -> httpx.AsyncClient:
    """A client of the scripted model and nothing else."""
    headers = {"authorization": f"Bearer {model['api_key']}", "content-type": "application/json"}
    return httpx.AsyncClient(base_url=model["base_url"], headers=headers, timeout=60)


async def _grow(talking: Talk, done: int, count: int) -> int:
    while done < count:
        await _turn(talking.chat, talking.thread_id, done)
        done += 1
    return done


async def _turn(chat: Chat, thread: str, number: int) -> float:
    text = f"turn number {number}"
    turn = await chat.turn(thread, scripted(text))
    if turn.text != text:
        raise RuntimeError(f"the answer was {turn.text!r}, not {text!r}")
    return turn.first_delta_ms


async def _asked(client: httpx.AsyncClient, count: int) -> float:
    """Milliseconds to the first delta of a request with so many turns before it."""
    began = time.perf_counter()
    messages: list[dict[str, Any]] = []
    for number in range(count):
        messages.append(_message("user", scripted(f"turn number {number}")))
        messages.append(_message("assistant", f"turn number {number}"))
    messages.append(_message("user", scripted("the last")))
    body = {"model": "m", "max_tokens": 8192, "stream": True, "messages": messages}
    first, parser = None, SseParser()
    async with client.stream("POST", "/messages", content=msgspec.json.encode(body)) as answer:
        async for piece in answer.aiter_raw():
            for event in parser.feed(piece):
                if first is None and msgspec.json.decode(event.data)["type"] == "content_block_delta":
                    first = (time.perf_counter() - began) * 1000
    if first is None:
        raise RuntimeError("the model said nothing")
    return first


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}
