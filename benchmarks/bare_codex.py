"""Codex alone, over its own protocol: the limit of what an agent around it can reach."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.programs import environment
from benchmarks.stage import codex_binary
from process_agent.io.child import Child, Command
from process_agent.io.rpc import Connection
from process_agent.wire.jsonrpc import Notification

_OFF = ("plugins", "apps", "remote_plugin", "plugin_sharing", "tool_suggest", "goals", "multi_agent")


class BareCodex:
    """One thread of a `codex app-server`. Made by `bare_codex`."""

    def __init__(self, child: Child) -> None:
        self._arrived: asyncio.Queue[tuple[float, Notification]] = asyncio.Queue()
        self.connection = Connection(child, self._told, lambda request: None)
        self.thread_id = ""

    def _told(self, note: Notification) -> None:
        self._arrived.put_nowait((time.perf_counter(), note))

    async def turn(self, text: str) -> tuple[float, float]:
        """Run a turn; milliseconds until its first delta and until its end."""
        began = time.perf_counter()
        params = {"threadId": self.thread_id, "input": [{"type": "text", "text": text}]}
        await self.connection.request("turn/start", params)
        first: float | None = None
        while True:
            at, note = await self._arrived.get()
            if note.method == "item/agentMessage/delta" and first is None:
                first = at
            if note.method == "turn/completed":
                break
        if first is None:
            raise RuntimeError(f"the turn {text!r} failed: {note.params}")
        return (first - began) * 1000, (at - began) * 1000


@asynccontextmanager
async def bare_codex(folder: Path, model: Mapping[str, str]) -> AsyncIterator[BareCodex]:
    """Run Codex with the scripted model; `model` holds its base_url and api_key."""
    home, work = folder / "bare-codex-home", folder / "bare-codex-work"
    home.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
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
    child = await Child.spawn(Command([str(codex_binary()), *options, "app-server"], env, work))
    try:
        async with asyncio.TaskGroup() as group:
            codex = BareCodex(child)
            group.create_task(codex.connection.run())
            info = {"name": "benchmark", "title": "Benchmark", "version": "0"}
            await codex.connection.request("initialize", {"clientInfo": info, "capabilities": {}})
            codex.connection.notify("initialized")
            started = await codex.connection.request("thread/start", {"cwd": str(work), "ephemeral": True})
            codex.thread_id = started["thread"]["id"]
            yield codex
            await child.stop()
    finally:
        await child.stop()
