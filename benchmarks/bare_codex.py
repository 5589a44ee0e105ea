"""Codex alone, over its own protocol: the limit of what an agent around it can reach."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chat import StopSeen
from benchmarks.programs import codex_below, environment, started_as
from benchmarks.stage import codex_binary
from process_agent.io.child import Child, Command
from process_agent.io.leftovers import VARIABLE as LEFTOVER_MARK
from process_agent.io.rpc import Connection
from process_agent.wire.jsonrpc import Notification

_OFF = ("plugins", "apps", "remote_plugin", "plugin_sharing", "tool_suggest", "goals", "multi_agent")


@dataclass(frozen=True, slots=True)
class BareTurn:
    """A turn of Codex alone: milliseconds until it was accepted, said its first delta, had ended."""

    accepted_ms: float
    first_delta_ms: float
    ended_ms: float


class BareCodex:
    """A `codex app-server` and its threads. Made with one thread, by `bare_codex` or `equal_codex`."""

    def __init__(self, child: Child, work: Path, settings: Mapping[str, str] | None = None) -> None:
        self._thread_settings = {"cwd": str(work), **(settings or {})}
        self._arrived: dict[str, asyncio.Queue[tuple[float, Notification]]] = {}
        self.connection = Connection(child, self._told, lambda request: None)
        self.pid = child.pid
        self.threads: list[str] = []

    def _told(self, note: Notification) -> None:
        queue = self._arrived.get(str(note.params.get("threadId")))
        if queue is not None:
            queue.put_nowait((time.perf_counter(), note))

    async def new_thread(self) -> str:
        """Start a thread that Codex keeps, as our agent's are; returns its id."""
        started = await self.connection.request("thread/start", dict(self._thread_settings))
        thread = str(started["thread"]["id"])
        self._arrived[thread] = asyncio.Queue()
        self.threads.append(thread)
        return thread

    async def turn(self, text: str, thread: str | None = None) -> BareTurn:
        """Run a turn, in the first thread unless told otherwise."""
        thread = thread or self.threads[0]
        began = time.perf_counter()
        await self._start(thread, text)
        accepted = time.perf_counter()
        first, _ = await self._next(thread, "item/agentMessage/delta")
        ended, _ = await self._next(thread, "turn/completed")
        return BareTurn((accepted - began) * 1000, (first - began) * 1000, (ended - began) * 1000)

    async def stop(self, threads: list[str], text: str) -> list[StopSeen]:
        """Start a turn in each thread, and stop all of them when each has said something."""
        turns = await self.begin_all(threads, text)
        return await asyncio.gather(*map(self.stop_turn, threads, turns))

    async def begin_all(self, threads: list[str], text: str) -> list[str]:
        """Start a turn in each thread; their ids, when each has said something."""
        turns = await asyncio.gather(*(self._start(thread, text) for thread in threads))
        for thread in threads:
            await self._next(thread, "item/agentMessage/delta")
        return turns

    async def stop_turn(self, thread: str, turn: str) -> StopSeen:
        """Stop a turn and wait for its end."""
        began = time.perf_counter()
        params = {"threadId": thread, "turnId": turn}
        await self.connection.request("turn/interrupt", params, urgent=True)
        accepted = time.perf_counter()
        ended, _ = await self._next(thread, "turn/completed")
        await self.connection.request("thread/backgroundTerminals/clean", {"threadId": thread}, urgent=True)
        return StopSeen((accepted - began) * 1000, (ended - began) * 1000)

    async def _start(self, thread: str, text: str) -> str:
        queue = self._arrived[thread]
        while not queue.empty():
            queue.get_nowait()
        params = {"threadId": thread, "input": [{"type": "text", "text": text}]}
        started = await self.connection.request("turn/start", params)
        return str(started["turn"]["id"])

    async def _next(self, thread: str, method: str) -> tuple[float, Notification]:
        while True:
            at, note = await self._arrived[thread].get()
            if note.method == method:
                return at, note
            if note.method == "turn/completed":
                raise RuntimeError(f"a turn of Codex alone failed: {note.params}")


@asynccontextmanager
async def bare_codex(folder: Path, model: Mapping[str, str]) -> AsyncIterator[BareCodex]:
    """Run Codex with the scripted model; `model` holds its base_url and api_key."""
    home, work = _folders(folder, "bare-codex")
    provider = f'{{name="Scripted",base_url="{model["base_url"]}",env_key="KEY",wire_api="responses"}}'
    settings = [
        'model="gpt-5.5"',
        'model_provider="scripted"',
        f"model_providers.scripted={provider}",
        "analytics.enabled=false",
        "check_for_update_on_startup=false",
        *(f"features.{name}=false" for name in _OFF),
    ]
    options = [part for entry in settings for part in ("-c", entry)]
    env = environment(folder, {"CODEX_HOME": str(home), "KEY": model["api_key"]})
    async with _running(Command([str(codex_binary()), *options, "app-server"], env, work), work) as codex:
        yield codex


@asynccontextmanager
async def equal_codex(folder: Path, agent: int) -> AsyncIterator[BareCodex]:
    """Run another Codex exactly as the running agent with this process id has started its own: the same
    settings and places kept from commands; only its home is another.
    """
    (theirs,) = codex_below(agent)
    arguments, env = started_as(theirs)
    del env[LEFTOVER_MARK]  # what bears it is the agent's to end
    home, work = _folders(folder, "equal-codex")
    command = Command(arguments, {**env, "CODEX_HOME": str(home)}, work)
    async with _running(command, work, {"model": "gpt-5.5"}) as codex:
        yield codex


def _folders(folder: Path, name: str) -> tuple[Path, Path]:
    home, work = folder / f"{name}-home", folder / f"{name}-work"
    home.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    return home, work


@asynccontextmanager
async def _running(
    command: Command, work: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[BareCodex]:
    child = await Child.spawn(command)
    try:
        async with asyncio.TaskGroup() as group:
            codex = BareCodex(child, work, settings)
            group.create_task(codex.connection.run())
            info = {"name": "benchmark", "title": "Benchmark", "version": "0"}
            hello = {"clientInfo": info, "capabilities": {"experimentalApi": True}}
            await codex.connection.request("initialize", hello)
            codex.connection.notify("initialized")
            await codex.new_thread()
            yield codex
            await child.stop()
    finally:
        await child.stop()
