"""What a child says, from a real pipe."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from process_agent.io.inflow import GROWTH, HIGH_WATER, LARGEST_PIECE, PIECE, Inflow
from process_agent.io.tasks import rounds


@asynccontextmanager
async def pipe() -> AsyncIterator[tuple[Inflow, int]]:
    """An inflow, and the end to write to; a test closes that to end it."""
    inflow = Inflow()
    reading, writing = os.pipe()
    await asyncio.get_running_loop().connect_read_pipe(lambda: inflow, os.fdopen(reading, "rb", 0))
    yield inflow, writing
    inflow.close()
    await asyncio.sleep(0)  # the transport closes its file in the next turn


async def test_what_came_before_anybody_listened_is_handed_over_first() -> None:
    async with pipe() as (inflow, writing):
        os.write(writing, b"early")
        assert await inflow.read() == b"early"
        inflow.data_received(b"kept ")
        heard: list[bytes] = []
        reader = asyncio.create_task(inflow.read_all(heard.append))
        await asyncio.sleep(0)
        assert heard == [b"kept "]
        os.write(writing, b"live")
        os.close(writing)
        await reader
        assert await inflow.read() == b""
        await inflow.read_all(heard.append)
    assert b"".join(heard) == b"kept live"


async def test_a_reader_that_comes_late_gets_everything_and_little_is_kept() -> None:
    total = 8 * HIGH_WATER
    async with pipe() as (inflow, writing):
        saying = asyncio.create_task(asyncio.to_thread(_write_and_close, writing, total))
        got = b""
        while data := await inflow.read():
            assert len(data) <= HIGH_WATER + LARGEST_PIECE
            got += data
        await saying
    assert got == b"x" * total


async def test_who_fails_to_take_it_hears_of_it_and_is_given_nothing_more() -> None:
    taken: list[bytes] = []

    def take(data: bytes) -> None:
        taken.append(data)
        raise ValueError("not that")

    async with pipe() as (inflow, writing):
        reader = asyncio.create_task(inflow.read_all(take))
        os.write(writing, b"one")
        with pytest.raises(ValueError, match="not that"):
            await reader
        os.write(writing, b"two")
        assert await inflow.read() == b"two"
        os.close(writing)
    assert taken == [b"one"]


async def test_who_stops_listening_loses_nothing() -> None:
    async with pipe() as (inflow, writing):
        reader = asyncio.create_task(inflow.read_all(lambda data: None))
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait({reader})
        os.write(writing, b"after")
        assert await inflow.read() == b"after"
        os.close(writing)


def _write_and_close(writing: int, total: int) -> None:
    for _ in range(total // 4096):
        os.write(writing, b"x" * 4096)
    os.close(writing)


needs_wide_pipes = pytest.mark.skipif(sys.platform != "linux", reason="pipes have one size here")


@needs_wide_pipes
async def test_one_turn_of_the_event_loop_brings_one_piece_and_a_larger_one_while_more_waits() -> None:
    """Whatever a child says, others have their turn, and what it has said is caught up with."""
    async with pipe() as (inflow, writing):
        heard: list[int] = []

        def take(data: bytes) -> None:
            heard.append(len(data))

        reader = asyncio.create_task(inflow.read_all(take))
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, LARGEST_PIECE)
        os.write(writing, bytes((2 + GROWTH) * PIECE))
        await rounds(10)
        os.write(writing, b"little")
        os.close(writing)
        await reader
    assert heard == [PIECE, GROWTH * PIECE, PIECE, 6]


@needs_wide_pipes
async def test_a_piece_has_its_limit_however_much_waits() -> None:
    async with pipe() as (inflow, writing):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, LARGEST_PIECE)
        heard: list[int] = []

        def take(data: bytes) -> None:
            heard.append(len(data))

        reader = asyncio.create_task(inflow.read_all(take))
        saying = asyncio.create_task(asyncio.to_thread(_write_and_close, writing, 4 * LARGEST_PIECE))
        await reader
        await saying
    assert max(heard) <= LARGEST_PIECE
    assert sum(heard) == 4 * LARGEST_PIECE


async def test_what_comes_during_a_rest_is_left_in_the_pipe() -> None:
    async with pipe() as (inflow, writing):
        heard: list[bytes] = []
        reader = asyncio.create_task(inflow.read_all(heard.append))
        await asyncio.sleep(0)
        inflow.rest(60)
        os.write(writing, b"one ")
        os.write(writing, b"two")
        os.close(writing)
        await rounds(5)
        assert heard == []
        inflow.go_on()
        await reader
    assert heard == [b"one two"]


async def test_a_rest_ends_by_itself_and_a_second_one_does_not_prolong_it() -> None:
    async with pipe() as (inflow, writing):
        heard: list[bytes] = []
        reader = asyncio.create_task(inflow.read_all(heard.append))
        await asyncio.sleep(0)
        inflow.rest(0.01)
        inflow.rest(60)
        os.write(writing, b"said")
        os.close(writing)
        await reader
        inflow.rest(60)  # nothing more can come
        inflow.go_on()
    assert heard == [b"said"]


async def test_a_pipe_that_is_closed_in_a_rest_stays_closed() -> None:
    async with pipe() as (inflow, writing):
        inflow.rest(60)
        inflow.close()
        inflow.go_on()
        await rounds(5)
        os.close(writing)
    assert await inflow.read() == b""
