"""Somebody who talks to an agent with `process chat --json`, and reads what comes while it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.fakes.program import PROCESS, Program

PATIENCE = 40.0
SLOW = f"```script\n{json.dumps([{'say': 'half ', 'times': 2_000, 'every_ms': 20}])}\n```"
"""What the scripted model answers for longer than any test runs."""


class Talk:
    """One turn, event by event."""

    def __init__(self, printed: asyncio.StreamReader) -> None:
        self._printed = printed
        self.heard: list[dict[str, Any]] = []

    async def until(self, text: str) -> None:
        """Read until an event has this text."""
        async with asyncio.timeout(PATIENCE):
            while not self.heard or text not in json.dumps(self.heard[-1]):
                line = await self._printed.readline()
                assert line, ("the talk is over", self.heard)
                self.heard.append(json.loads(line))

    async def end(self) -> dict[str, Any]:
        """Read the rest; the last event."""
        async with asyncio.timeout(PATIENCE):
            rest = await self._printed.read()
        self.heard += [json.loads(line) for line in rest.splitlines()]
        return self.heard[-1]


@asynccontextmanager
async def talking(program: Program, where: str, message: str) -> AsyncIterator[Talk]:
    """Say something to the agent of `--room R …`; who talks is gone at the end of the block."""
    child = await asyncio.create_subprocess_exec(
        *(PROCESS, "chat", *where.split(), "--json", "--message", message),
        env=program.environment,
        cwd=program.work,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert child.stdout is not None
    try:
        yield Talk(child.stdout)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
