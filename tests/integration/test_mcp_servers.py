"""Programs that are MCP servers, or should be: what becomes of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from process_agent.agent.tools.given import ToolRoom
from process_agent.agent.tools.mcp import McpTools, TurnServers
from process_agent.core.mcp_config import McpLaunch
from process_agent.errors import UsageError

HANGS = "import os, sys, time; print(os.getpid(), end='.', file=open(sys.argv[1], 'w')); time.sleep(600)"
TALKS = "print('hello'); print('{\"no\": 1}')"


def launch(folder: Path, code: str, **members: Any) -> McpLaunch:
    return McpLaunch("odd", (sys.executable, "-c", code, str(folder / "pid")), dict(os.environ), **members)


async def until(done: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_program_that_never_answers_is_ended_when_its_turn_is(tmp_path: Path) -> None:
    tools = McpTools(ToolRoom(), tmp_path, (launch(tmp_path, HANGS),))
    file = tmp_path / "pid"
    opening = asyncio.create_task(tools.open(TurnServers()))
    try:
        await until(lambda: file.exists() and file.read_text().endswith("."))
        process = Path(f"/proc/{file.read_text().rstrip('.')}")
        assert process.exists()  # noqa: ASYNC240
        opening.cancel()
        await until(lambda: not process.exists())
    finally:
        await tools.close()


async def test_a_program_that_never_answers_is_not_started_with_every_turn(tmp_path: Path) -> None:
    tools = McpTools(ToolRoom(), tmp_path, (launch(tmp_path, HANGS, start_seconds=0.2),))
    try:
        found = await tools.open(TurnServers())
        assert found.problems == ("The MCP server odd cannot be used: it did not answer within 0.2 s.",)
        assert (await tools.open(TurnServers())).problems == found.problems
    finally:
        await tools.close()


async def test_a_program_that_is_no_server_says_so_where_it_has_to_be_there(tmp_path: Path) -> None:
    tools = McpTools(ToolRoom(), tmp_path, (launch(tmp_path, TALKS, required=True),))
    try:
        with pytest.raises(UsageError, match="The MCP server odd cannot be used"):
            await tools.start()
    finally:
        await tools.close()
