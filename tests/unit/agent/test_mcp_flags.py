"""Flags about MCP servers: on mixed agents the start summary says whose models use them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from process_agent.agent.flags import mcp_lines
from process_agent.agent.tools.sources import ToolOptions
from process_agent.core.mcp import McpMode
from process_agent.core.mcp_config import McpLaunch
from tests.fakes.backend import FakeBackend

SERVERS = (McpLaunch("docs", url="https://docs.example/?key=s3cret"), McpLaunch("files", ("serve",)))
PUBLIC = "messages may bring servers at public addresses, over https"
ANY = "messages may bring servers at any address that this machine reaches"


def backend(name: str) -> FakeBackend:
    """One that is like the backend of that name in what it takes."""
    made = FakeBackend(name)
    made.takes_tools, made.takes_mcp = name != "chat", name == "codex"
    return made


@pytest.mark.parametrize(
    ("mode", "names", "line"),
    [
        ("public", ["codex"], PUBLIC),
        ("any", ["llm"], ANY),
        ("public", ["codex", "llm"], f"{PUBLIC}, for codex, llm"),
        ("any", ["codex", "chat"], f"{ANY}, for codex; not for chat"),
        ("public", ["chat", "llm", "codex"], f"{PUBLIC}, for llm, codex; not for chat"),
    ],
)
def test_servers_of_messages(mode: McpMode, names: Sequence[str], line: str) -> None:
    assert mcp_lines(ToolOptions(mcp=mode), [backend(name) for name in names]) == (("mcp", line),)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["llm"], "docs, files"),
        (["llm", "codex"], "docs, files, for llm; codex reads its own configuration"),
        (["codex", "llm", "chat"], "docs, files, for llm; codex reads its own configuration; not for chat"),
    ],
)
def test_servers_of_the_operator(names: Sequence[str], line: str) -> None:
    lines = mcp_lines(ToolOptions(servers=SERVERS), [backend(name) for name in names])
    assert lines == (("mcp servers", line),)


def test_without_the_flags_nothing_is_said() -> None:
    assert mcp_lines(ToolOptions(storage="write"), [backend("codex"), backend("llm")]) == ()
