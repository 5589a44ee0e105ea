from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from process_agent.errors import BackendError, NoAnswerError, RemoteError, TimeLimitError
from process_agent.io import rpc
from process_agent.io.rpc import Connection
from process_agent.io.tasks import rounds
from process_agent.wire import ndjson
from process_agent.wire.jsonrpc import Notification, Request


class FakePipe:
    """The other side of a connection, in memory: `answer` gets each message sent to it."""

    def __init__(self, answer: Callable[[FakePipe, dict[str, Any]], None]) -> None:
        self.received: list[dict[str, Any]] = []
        self.rests: list[float] = []
        self.gone_on = 0
        self._answer = answer
        self._data: asyncio.Queue[bytes] = asyncio.Queue()

    async def read_all(self, take: Callable[[bytes], None]) -> None:
        while data := await self._data.get():
            take(data)

    def write(self, data: bytes) -> None:
        message = ndjson.decode(data.strip())
        assert isinstance(message, dict)
        self.received.append(message)
        self._answer(self, message)

    def rest(self, seconds: float) -> None:
        self.rests.append(seconds)

    def go_on(self) -> None:
        self.gone_on += 1

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def send(self, message: dict[str, Any]) -> None:
        self._data.put_nowait(ndjson.encode(message))

    def end(self) -> None:
        self._data.put_nowait(b"")

    def raw(self, data: bytes) -> None:
        self._data.put_nowait(data)


@asynccontextmanager
async def connected(
    pipe: FakePipe, heard: list[object] | None = None, may_rest: rpc.MayRest | None = None
) -> AsyncIterator[Connection]:
    heard = [] if heard is None else heard
    connection = Connection(pipe, heard.append, heard.append, may_rest)
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(connection.run())
        yield connection
        reader.cancel()


def echo(pipe: FakePipe, message: dict[str, Any]) -> None:
    pipe.send({"id": message["id"], "result": message["params"]})


async def test_answers_reach_who_asked_in_any_order() -> None:
    held: list[dict[str, Any]] = []

    def reverse(pipe: FakePipe, message: dict[str, Any]) -> None:
        held.append(message)
        if len(held) == 3:
            for each in reversed(held):
                echo(pipe, each)

    async with connected(FakePipe(reverse)) as connection:
        results = await asyncio.gather(*(connection.request("m", {"n": n}) for n in range(3)))
    assert results == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_overload_is_repeated_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "FIRST_PAUSE", 0.001)

    def third_time(pipe: FakePipe, message: dict[str, Any]) -> None:
        if message["id"] < 3:
            pipe.send({"error": {"code": -32001, "message": "overloaded"}, "id": message["id"]})
        else:
            echo(pipe, message)

    async with connected(FakePipe(third_time)) as connection:
        assert await connection.request("m", {"a": 1}) == {"a": 1}


async def test_other_errors_are_raised_at_once() -> None:
    def refuse(pipe: FakePipe, message: dict[str, Any]) -> None:
        pipe.send({"error": {"code": -32600, "message": "thread not found"}, "id": message["id"]})

    pipe = FakePipe(refuse)
    async with connected(pipe) as connection:
        with pytest.raises(RemoteError, match="thread not found"):
            await connection.request("m", {})
    assert len(pipe.received) == 1


async def test_no_answer_is_a_time_limit_and_the_late_one_is_ignored() -> None:
    pipe = FakePipe(lambda pipe, message: None)
    async with connected(pipe) as connection:
        with pytest.raises(TimeLimitError, match="turn/interrupt"):
            await connection.request("turn/interrupt", {}, timeout=0.01)
        pipe.send({"id": 1, "result": {}})
        pipe._answer = echo
        assert await connection.request("m", {"x": 1}) == {"x": 1}


async def test_only_32_are_under_way_and_interrupts_pass_them() -> None:
    held: list[dict[str, Any]] = []

    def hold(pipe: FakePipe, message: dict[str, Any]) -> None:
        if message["method"] == "turn/interrupt":
            echo(pipe, message)
        else:
            held.append(message)

    pipe = FakePipe(hold)
    async with connected(pipe) as connection, asyncio.TaskGroup() as group:
        asked = [group.create_task(connection.request("m", {"n": n})) for n in range(40)]
        assert await connection.request("turn/interrupt", {"t": 1}, urgent=True) == {"t": 1}
        assert len(held) == rpc.MAX_IN_FLIGHT
        pipe._answer = echo
        for message in held:
            echo(pipe, message)
        assert [await task for task in asked] == [{"n": n} for n in range(40)]


async def test_a_peer_that_is_overloaded_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def overloaded(pipe: FakePipe, message: dict[str, Any]) -> None:
        pipe.send({"error": {"code": -32001, "message": "overloaded"}, "id": message["id"]})

    async with connected(FakePipe(overloaded)) as connection:
        with pytest.raises(TimeLimitError, match="Overloaded") as refused:
            await connection.request("m", {}, timeout=0.1)
        assert not isinstance(refused.value, NoAnswerError)
    async with connected(FakePipe(lambda pipe, message: None)) as connection:
        with pytest.raises(NoAnswerError):
            await connection.request("m", {}, timeout=0.01)


async def test_what_cannot_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "LineSplitter", lambda: ndjson.LineSplitter(100))

    def noisy(pipe: FakePipe, message: dict[str, Any]) -> None:
        for noise in (b"x" * 1000, b"\n", b"no json\n[]\n", b"\xff\n", b"{}\n" * 50):
            pipe.raw(noise)
        echo(pipe, message)

    async with connected(FakePipe(noisy)) as connection:
        assert await connection.request("m", {"a": 1}) == {"a": 1}
        assert connection.heard_at > 0


async def test_the_end_of_the_stream_fails_everything() -> None:
    pipe = FakePipe(lambda pipe, message: pipe.end())
    async with connected(pipe) as connection:
        with pytest.raises(BackendError):
            await connection.request("m", {})
        assert connection.closed
        with pytest.raises(BackendError):
            await connection.request("m", {})
    assert len(pipe.received) == 1


async def test_calls_of_the_other_side_are_answered_once() -> None:
    heard: list[object] = []
    pipe = FakePipe(echo)
    async with connected(pipe, heard) as connection:
        pipe.raw(b'{"id":0,"method":"item/tool/call","params":{}}\nnot json\n{"id":1,"method":"x"}\n')
        pipe.send({"method": "warning", "params": {"message": "m"}})
        await connection.request("flush", {})
        pipe._answer = lambda pipe, message: None
        assert heard == [
            Request(0, "item/tool/call", {}),
            Request(1, "x", {}),
            Notification("warning", {"message": "m"}),
        ]
        assert connection.answer(0, {"ok": True})
        assert not connection.answer(0, {"ok": True})
        connection.withdraw(1)
        assert not connection.refuse(1, -1, "too late")
    assert pipe.received[1:] == [{"id": 0, "result": {"ok": True}}]


async def test_notifications_are_sent_without_an_id() -> None:
    pipe = FakePipe(lambda pipe, message: None)
    async with connected(pipe) as connection:
        connection.notify("initialized")
        connection.notify("x", {})
    assert pipe.received == [
        {"jsonrpc": "2.0", "method": "initialized"},
        {"jsonrpc": "2.0", "method": "x", "params": {}},
    ]


async def test_it_rests_only_while_nothing_is_asked_and_a_request_ends_the_rest() -> None:
    asked_for_rest = asyncio.Event()

    def may_rest(size: int) -> float:
        asked_for_rest.set()
        return 0.5

    words = {"method": "words"}
    pipe = FakePipe(lambda pipe, message: pipe.send(words))
    async with connected(pipe, may_rest=may_rest) as connection:
        pipe.send(words)
        await asked_for_rest.wait()
        assert (pipe.rests, pipe.gone_on) == ([0.5], 0)
        asked_for_rest.clear()
        asking = asyncio.create_task(connection.request("m", {}))
        await rounds(5)
        assert (pipe.rests, pipe.gone_on, asked_for_rest.is_set()) == ([0.5], 1, False)
        pipe.send({"id": 1, "result": {}})
        await asking
        pipe.send(words)
        await asked_for_rest.wait()
        assert pipe.rests == [0.5, 0.5]
