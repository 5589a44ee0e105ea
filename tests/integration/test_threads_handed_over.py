"""Rows that go to the room before a message, while others are on their way."""

from __future__ import annotations

from process_agent.errors import RoomError, RoomRequestError
from process_agent.threads.log import DatasetThreadLog
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.thread_events import Speaker
from tests.fakes.thread_house import House, append


class InOrder(MemoryDatasets):
    """A room that takes rows and messages over one connection."""

    in_order = True


async def opened() -> tuple[House, DatasetThreadLog, Speaker]:
    house = House()
    house.datasets = InOrder()
    _, log, say = await house.thread()
    append(log, say.begin())
    await log.flush()
    return house, log, say


def inserts(house: House) -> int:
    return sum(operation == "insert" for operation, _ in house.datasets.calls)


async def test_rows_follow_those_that_are_on_their_way() -> None:
    house, log, say = await opened()
    before = inserts(house)
    house.datasets.gate.clear()
    append(log, say.text("a"))
    assert log.hand_over()
    append(log, say.end())
    assert log.hand_over(), "the first insert is not answered, and the second went behind it"
    assert log.hand_over(), "nothing is left"
    append(log, say.text("late"))
    assert not log.hand_over(), "two are enough"
    house.datasets.gate.set()
    await log.flush()
    assert inserts(house) - before == 3
    numbers = [row["sequence"] for row in house.datasets.thread(say.thread_id)]
    assert numbers == sorted(set(numbers))


async def test_rows_that_followed_in_vain_are_sent_again_once() -> None:
    for failures in (
        [RoomError("lost")],
        [RoomError("lost"), RoomError("lost")],
        [RoomRequestError("full", code=1008), RoomError("lost"), RoomError("lost")],
    ):
        for after in (False, True):
            house, log, say = await opened()
            house.datasets.gate.clear()
            append(log, say.text("a"))
            assert log.hand_over()
            append(log, say.end())
            assert log.hand_over()
            (house.datasets.after if after else house.datasets.failures).extend(failures)
            house.datasets.gate.set()
            await log.flush()
            rows = house.datasets.thread(say.thread_id)
            assert len({row["sequence"] for row in rows}) == len(rows)
            assert house.kinds(say.thread_id).count("turn.ended") == 1
            assert house.kinds(say.thread_id).count("text_content.ended") == 1
