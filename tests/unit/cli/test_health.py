"""What an agent says of its health."""

from __future__ import annotations

import asyncio
import socket

import pytest
import typer

from process_agent.cli.health import Health, answering, health, parse_address
from process_agent.errors import UsageError


class Program:
    """A backend whose turns need a program."""

    alive = True


async def test_ready_is_in_the_room_with_a_living_backend_and_not_stopping() -> None:
    program = Program()
    found = Health(asyncio.Event(), (object(), program))
    assert found.reply("/readyz") == (503, "starting")
    assert found.reply("/healthz?x=1") == (200, "alive")
    found.answers = True
    assert found.reply("/readyz") == (200, "ready")
    found.went(False)
    assert found.reply("/readyz") == (503, "no connection to the room")
    found.went(True)
    program.alive = False
    assert found.reply("/readyz")[0] == 503
    program.alive = True
    found.stop.set()
    assert found.reply("/readyz") == (503, "stopping")
    assert found.reply("/healthz")[0] == 200
    assert found.reply("/")[0] == 404


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8081", ("127.0.0.1", 8081)),
        ("8081", ("127.0.0.1", 8081)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("[::1]:9", ("::1", 9)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "a:b", "1:²"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="--health"):
        parse_address(text)


async def test_asking(capsys: pytest.CaptureFixture[str], unused_port: int) -> None:
    address = f"127.0.0.1:{unused_port}"
    state = Health(asyncio.Event())

    def asked(alive: bool = False) -> int:
        try:
            health(address, alive)
        except typer.Exit as stopped:
            return stopped.exit_code
        return 0

    assert await asyncio.to_thread(asked) == 1
    async with answering(address, state):
        assert await asyncio.to_thread(asked) == 1
        assert await asyncio.to_thread(asked, True) == 0
        state.answers = True
        assert await asyncio.to_thread(asked) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.split("\n")] == [
        "no answer", "starting", "alive", "ready", "",
    ]  # fmt: skip
    async with answering(None, state):
        pass


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port
