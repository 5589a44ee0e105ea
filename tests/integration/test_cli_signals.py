"""What SIGINT and SIGTERM do to an agent: before it answers, once it does, and the second time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from process_agent.cli import joining


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    chosen: signal.Signals = request.param
    before = signal.getsignal(chosen)
    yield chosen
    signal.signal(chosen, before)


async def run(number: signal.Signals, *, answers: bool, signals: int) -> str:
    stop, answering = asyncio.Event(), asyncio.Event()
    joining.stop_on_signals(stop, answering)
    if answers:
        answering.set()
    os.kill(os.getpid(), number)
    if not answers:
        await asyncio.Event().wait()  # a start that waits for somebody
    await stop.wait()
    if signals == 1:
        return "drains"
    os.kill(os.getpid(), number)
    await asyncio.Event().wait()
    return "not reached"


def test_a_start_that_waits_is_ended_by_the_first_signal(number: signal.Signals) -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(asyncio.wait_for(run(number, answers=False, signals=1), 10))


def test_an_agent_that_answers_drains_and_the_second_signal_cuts_that_short(number: signal.Signals) -> None:
    assert asyncio.run(asyncio.wait_for(run(number, answers=True, signals=1), 10)) == "drains"
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(asyncio.wait_for(run(number, answers=True, signals=2), 10))
