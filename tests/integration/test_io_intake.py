"""Much at once is taken in piece by piece, in order, and heavy work waits for it, but not for ever."""

from __future__ import annotations

import asyncio
import logging

import pytest

from process_agent.io import intake
from process_agent.io.intake import FIRST_ROUND, Intake


async def test_a_single_piece_is_taken_at_once() -> None:
    taken: list[int] = []
    Intake().enter(lambda: taken.append(1))
    assert taken == [1]


async def test_what_comes_together_is_taken_in_order_and_told_in_between() -> None:
    gate, said = Intake(), list[str]()
    loop = asyncio.get_running_loop()

    def piece(number: int) -> None:
        said.append(f"taken {number}")
        loop.call_soon(said.append, f"told {number}")

    for number in range(3 * FIRST_ROUND):
        gate.enter(lambda number=number: piece(number))  # type: ignore[misc]
    await gate.calm()
    assert [x for x in said if x.startswith("taken")] == [f"taken {n}" for n in range(3 * FIRST_ROUND)]
    assert said.index("told 0") < said.index(f"taken {FIRST_ROUND}")
    assert len(said) == 6 * FIRST_ROUND


async def test_a_few_rounds_are_enough_for_many() -> None:
    gate, taken, rounds = Intake(), list[int](), 0
    for number in range(30 * FIRST_ROUND):
        gate.enter(lambda number=number: taken.append(number))  # type: ignore[misc]
    while len(taken) < 30 * FIRST_ROUND:
        rounds += 1
        await asyncio.sleep(0)
    assert rounds < 12


async def test_what_comes_later_does_not_overtake_what_waits() -> None:
    gate, taken = Intake(), list[int]()

    async def late() -> None:
        gate.enter(lambda: taken.append(99))

    for number in range(2 * FIRST_ROUND):
        gate.enter(lambda number=number: taken.append(number))  # type: ignore[misc]
    await asyncio.gather(late(), gate.calm())
    assert taken == [*range(2 * FIRST_ROUND), 99]


async def test_a_piece_that_fails_does_not_take_others_along(caplog: pytest.LogCaptureFixture) -> None:
    gate, taken = Intake(), list[int]()
    for number in range(FIRST_ROUND + 2):
        gate.enter(lambda number=number: taken.append(1 // (number - FIRST_ROUND)))  # type: ignore[misc]
    with caplog.at_level(logging.CRITICAL, "process_agent.io.intake"):
        await gate.calm()
    assert len(taken) == FIRST_ROUND + 1


async def test_all_of_it_can_be_taken_now() -> None:
    gate, taken = Intake(), list[int]()
    for number in range(5 * FIRST_ROUND):
        gate.enter(lambda number=number: taken.append(number))  # type: ignore[misc]
    gate.take_all()
    assert taken == list(range(5 * FIRST_ROUND))
    await gate.calm()


async def test_heavy_work_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "HOLD_SECONDS", 0.01)
    gate = Intake()
    ended = asyncio.Event()

    def again() -> None:
        if not ended.is_set():
            for _ in range(FIRST_ROUND):
                gate.enter(again)

    for _ in range(2 * FIRST_ROUND):
        gate.enter(again)
    await asyncio.wait_for(gate.calm(), 10)
    ended.set()
    await gate.calm()
