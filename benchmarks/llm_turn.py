"""Turns of a language model: short ones, long streamed ones, many at once, beside a bare httpx call."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx
import msgspec

from benchmarks import many_threads
from benchmarks.bare_codex import BareTurn
from benchmarks.chat import Chat, TurnSeen
from benchmarks.codex_turn import (
    DELTAS,
    PACE_MS,
    ROUNDS,
    STREAM_ROUNDS,
    TURNS,
    Talk,
    add,
    medians,
    one_round,
    stream,
    talk,
)
from benchmarks.figures import BARE, EQUAL, OURS, REFERENCE, Figure, Section
from benchmarks.many_threads import ACCEPTED, FIGURES, Together
from benchmarks.programs import resident_mb
from benchmarks.stage import LLM_MODEL, Stage
from process_agent.wire.sse import SseParser

LABELS = {BARE: "bare `httpx`", OURS: "`process join`", REFERENCE: "`meshagent process join`"}
SHORT_LABELS = {BARE: LABELS[BARE], EQUAL: "bare `httpx`, with the same conversation", **LABELS}


def script(action: object) -> str:
    """A prompt with a script; the reference writes who sent it before the first line."""
    return f"\n```script\n{msgspec.json.encode([action]).decode()}\n```"


def scripted(text: str) -> str:
    """A prompt whose answer is this text."""
    return script({"say": text})


async def _say(chat: Chat, thread: str, text: str) -> TurnSeen:
    return await chat.turn(thread, scripted(text.removeprefix("say ")))


class BareCall:
    """What a program does that streams an answer with httpx and nothing else."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def of_thread(self, thread: str, text: str) -> BareTurn:
        """A turn of one of many threads, which bare calls know nothing of."""
        first, ended = await self.turn(scripted(text.removeprefix("say ")))
        return BareTurn(first, first, ended)

    async def turn(self, text: str, before: Sequence[Mapping[str, str]] = ()) -> tuple[float, float]:
        """Milliseconds to the first delta and to the end; `before` are the messages before this one."""
        began = time.perf_counter()
        first = None
        parser = SseParser()
        messages = [*before, {"role": "user", "content": text}]
        body = {"model": "m", "max_tokens": 8192, "stream": True, "messages": messages}
        async with self._client.stream("POST", "/messages", json=body) as answer:
            async for piece in answer.aiter_raw():
                for event in parser.feed(piece):
                    kind = msgspec.json.decode(event.data)["type"]
                    if kind == "content_block_delta" and first is None:
                        first = time.perf_counter()
        if first is None:
            raise RuntimeError("the model said nothing")
        return (first - began) * 1000, (time.perf_counter() - began) * 1000


class BareThread:
    """Bare calls that send what was said so far, as agents do."""

    def __init__(self, call: BareCall) -> None:
        self._call = call
        self._said: list[dict[str, str]] = []

    async def turn(self, text: str) -> tuple[float, float]:
        """Milliseconds to the first delta and to the end of an answer that is this text."""
        prompt = scripted(text)
        times = await self._call.turn(prompt, self._said)
        self._said += [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
        return times


@asynccontextmanager
async def bare_call(model: dict[str, str]) -> AsyncIterator[BareCall]:
    """A client of the scripted model."""
    headers = {"authorization": f"Bearer {model['api_key']}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx.AsyncClient(
        base_url=model["base_url"], headers=headers, timeout=60, limits=limits
    ) as client:
        yield BareCall(client)


async def measure(stage: Stage, rounds: int = ROUNDS, turns: int = TURNS) -> Section:
    """Programs take rounds of short turns; the first round is not counted."""
    first, ended = Figure("request to first delta", "ms"), Figure("request to end of turn", "ms")
    later = Figure("first delta later than that of a bare request with the same conversation", "ms")
    over = Figure("end of turn later than that of a bare request with the same conversation", "ms")
    cpu = Figure("the agent's processor time for each turn", "ms")
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(bare_call(stage.model))
        talks = {
            program: await stack.enter_async_context(talk(stage, agent))
            for program, agent in stage.agents(LLM_MODEL).items()
        }
        thread = BareThread(bare)
        for number in range(rounds + 1):
            counted = number > 0
            texts = [f"turn {number}.{n}" for n in range(turns)]
            add(first, ended, BARE, [await bare.turn(scripted(text)) for text in texts], counted)
            times = [await thread.turn(text) for text in texts]
            add(first, ended, EQUAL, times, counted)
            begun, done = medians(times)
            for program, running_talk in talks.items():
                times, used = await one_round(running_talk, number, turns, scripted)
                add(first, ended, program, times, counted)
                if counted:
                    later.add(program, medians(times)[0] - begun)
                    over.add(program, medians(times)[1] - done)
                    cpu.add(program, used)
    notes = (
        f"{rounds} rounds of {turns} turns each, in turn, one thread each, an instant scripted model in "
        "its own process, asked by both agents in Anthropic's dialect over HTTP (with OpenAI's the reference "
        "takes the websocket). *Bare* is a streamed httpx request with the last message alone; *with the "
        "same conversation*, it holds all messages of the thread, which agents send too. Processor time is "
        "that of the agent, until half a second after the last turn of a round."
    )
    figures = [first, ended, later, over, cpu]
    return Section("llm", "A short turn of a language model", SHORT_LABELS, figures, notes)


async def measure_streaming(
    stage: Stage, rounds: int = STREAM_ROUNDS, deltas: int = DELTAS, pace_ms: float = PACE_MS
) -> Section:
    """Long answers at the pace of a fast model and all at once; the first round is not counted."""
    kinds = {
        "paced": {"say": "word ", "times": deltas, "every_ms": pace_ms},
        "at once": {"say": "word ", "times": deltas},
    }
    figures = {kind: Figure(f"{kind}: the program's processor time for each delta", "µs") for kind in kinds}
    async with bare_call(stage.model) as bare:
        for number in range(rounds + 1):
            for kind, action in kinds.items():
                before = time.process_time()
                await bare.turn(script(action))
                if number:
                    figures[kind].add(BARE, (time.process_time() - before) * 1e6 / deltas)
    for program, agent in stage.agents(LLM_MODEL).items():
        async with talk(stage, agent) as running_talk:
            for number in range(rounds + 1):
                for kind, action in kinds.items():
                    used, _, _ = await stream(running_talk, action, deltas)
                    if number:
                        figures[kind].add(program, used)
    notes = (
        f"{rounds} answers of {deltas} deltas each, paced at {pace_ms:g} ms or all at once. The viewer is a "
        "published RoomClient in the measuring process. *Bare* reads and parses the stream with httpx."
    )
    ordered = list(figures.values())
    return Section("llm-stream", "Streaming of a language model", LABELS, ordered, notes)


async def open_threads(talking: Talk, count: int) -> list[str]:
    """So many threads with an agent, the first one included."""
    threads = [talking.thread_id]
    while len(threads) < count:
        threads.append(await talking.chat.new_thread(talking.agent))
    return threads


async def measure_threads(
    stage: Stage, rounds: int = many_threads.ROUNDS, counts: tuple[int, ...] = many_threads.COUNTS
) -> Section:
    """Short turns in many threads at once; programs take turns, each has its threads for itself."""
    together = Together(counts, rounds)
    memory = Figure(f"the agent's memory for each of {counts[-1]} open threads", "MB")
    async with bare_call(stage.model) as bare:
        names = FIGURES.keys() - {ACCEPTED}
        await together.measure(BARE, [str(n) for n in range(counts[-1])], bare.of_thread, names)
    async with talk(stage, stage.echo()) as talking:
        await together.measure(BARE, await open_threads(talking, counts[-1]), talking.chat.turn, [ACCEPTED])
    for program, agent in stage.agents(LLM_MODEL).items():
        async with talk(stage, agent) as talking:
            before = resident_mb(talking.pid)
            threads = await open_threads(talking, counts[-1])
            await together.measure(program, threads, partial(_say, talking.chat))
            memory.add(program, (resident_mb(talking.pid) - before) / counts[-1])
    notes = (
        f"{rounds} rounds of one short turn in each thread, an instant scripted model, one viewer with a "
        "stream for each thread. *Bare* is a streamed httpx request for each, with nothing before or after; "
        "accepted, it is a published RoomClient that says yes at once, without model or storage: what room, "
        "viewer and machine take by themselves. "
        + (f"{'; '.join(together.failed)}." if together.failed else "No turn failed.")
    )
    figures = [figure for group in together.figures.values() for figure in group]
    return Section("llm-threads", "Many threads of a language model", LABELS, [*figures, memory], notes)
