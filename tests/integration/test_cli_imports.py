"""Help is quick because it imports nothing that works for a living."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

HEAVY = (
    "meshagent", "pyarrow", "httpx", "lance", "starlette", "uvicorn", "aiohttp", "duckdb", "pycrdt",
    "asyncio", "prompt_toolkit", "rich", "jwt", "pydantic", "yaml", "backends",
    "mcp", "anyio", "markdownify", "bs4",
)  # fmt: skip

PROGRAM = """
import sys
from process_agent.cli import main
sys.argv = ["process", *sys.argv[1:]]
try:
    main()
except SystemExit as stopped:
    assert stopped.code == 0, stopped.code
ours = {name for name in sys.modules if name.startswith("process_agent.")}
print("LOADED " + " ".join(sorted({name.split(".")[0] for name in sys.modules} | ours)))
"""

WORKING = ("process_agent.core.events", "process_agent.core.supervisor", "process_agent.viewer.items")
"""Of our own: what every agent and viewer stands on, and help does not."""


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "join --help",
        "chat --help",
        "room --help",
        "room start --help",
        "threads --help",
        "token --help",
        "spec --help",
        "deploy --help",
        "service --help",
        "service logs --help",
        "service serve --help",
        "doctor --help",
        "login --help",
    ],
)
def test_help_imports_no_heavy_library(arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments.split()],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "Usage: process" in done.stdout
    assert not re.search(r"\w\.\.\.$", done.stdout, re.MULTILINE), "a command is explained in half a sentence"
    loaded = done.stdout.rsplit("LOADED ", 1)[1].split()
    assert sorted({*HEAVY, *WORKING} & set(loaded)) == []
