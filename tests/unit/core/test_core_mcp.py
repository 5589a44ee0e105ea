"""Which MCP servers a message may bring along."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core.ids import MessageId, ThreadId
from process_agent.core.mcp import McpServer, refusal
from process_agent.core.requests import Envelope, StartThread, StartTurn, TurnOptions
from tests.fakes.supervised import World, person

SECRET = "https://mcp.example.com/s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "https://mcp.example.com/mcp",
        "https://8.8.8.8/x",
        "https://[2606:4700::1111]/",
        "https://x.example:8443/",
    ],
)
def test_public_servers_over_tls(url: str) -> None:
    assert refusal((McpServer("x", url),), "public") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://mcp.example.com/", "https://localhost/", "https://localhost./", "https://127.0.0.1/",
        "https://[::1]/", "https://10.0.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest",
        "https://[fd00::1]/", "https://[::ffff:127.0.0.1]/", "https://intranet/", "https://db.internal/",
        "https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://0177.0.0.1/",
        "https://metadata.google.internal./",
    ],
)  # fmt: skip
def test_what_lies_inside_or_has_no_tls_is_refused(url: str) -> None:
    refused = refusal((McpServer("x", url),), "public")
    assert refused is not None
    assert refused.code == "unsupported_mcp"
    assert url not in refused.message
    assert refusal((McpServer("x", url),), "any") is None


@pytest.mark.parametrize("url", ["ftp://x.example/", "https://", "https://u:p@x.example/", "https://[", "x"])
def test_what_is_no_address_is_refused_always(url: str) -> None:
    assert refusal((McpServer("x", url),), "any") is not None


def test_an_agent_that_allows_none_refuses_thread_and_turn() -> None:
    world = World()
    supervisor = world.supervisor
    options = TurnOptions(mcp_servers=(McpServer("x", SECRET),))
    envelope = Envelope(MessageId("m"), "chat", person("ana"))
    did = supervisor.handle(StartTurn(envelope, ThreadId("T"), (), options=options))
    (emitted,) = [command for command in did if isinstance(command, c.Emit)]
    assert isinstance(emitted.event.body, e.TurnRejected)
    assert emitted.event.body.error.code == "unsupported_mcp"
    did = supervisor.handle(StartThread(envelope, (), options=options))
    replies = [command.reply for command in did if isinstance(command, c.Answer)]
    assert isinstance(replies[0], a.ThreadStartRejected)
    assert "s3cret" not in repr(did)
    assert "s3cret" not in repr(options)
