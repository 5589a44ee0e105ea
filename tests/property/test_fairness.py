"""However much one participant asks for, nobody else waits for all of it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.fair_queue import FairQueue
from process_agent.io.fair_gate import FairGate

STEPS = st.lists(st.sampled_from(["push ana", "push ben", "push carl", "pop"]), max_size=200)


@given(STEPS)
def test_nobody_is_served_twice_while_another_waits(steps: list[str]) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    waiting: defaultdict[str, list[int]] = defaultdict(list)
    since: dict[str, Counter[str]] = {}
    for number, step in enumerate(steps):
        if step == "pop":
            if not any(waiting.values()):
                with pytest.raises(IndexError):
                    queue.pop()
                continue
            who, item = queue.pop()
            assert item == waiting[who].pop(0)
            since.pop(who)
            for served in since.values():
                served[who] += 1
                assert served[who] <= 1
            if waiting[who]:
                since[who] = Counter()
        else:
            who = step.removeprefix("push ")
            queue.push(who, (who, number))
            waiting[who].append(number)
            since.setdefault(who, Counter())
        assert len(queue) == sum(map(len, waiting.values()))


@given(STEPS, st.data())
def test_what_is_taken_out_is_served_to_nobody(steps: list[str], data: st.DataObject) -> None:
    queue: FairQueue[int] = FairQueue()
    pushed = [(step, number) for number, step in enumerate(steps) if step != "pop"]
    for who, number in pushed:
        queue.push(who, number)
    out = data.draw(st.sets(st.sampled_from(pushed))) if pushed else set()
    for who, number in out:
        assert queue.remove(who, number)
        assert not queue.remove(who, number)
    assert {queue.pop() for _ in range(len(queue))} == {
        number for who, number in pushed if (who, number) not in out
    }


async def test_the_gate_lets_everybody_in_in_turn() -> None:
    gate, order = FairGate(2), list[str]()

    async def visit(who: str) -> None:
        leave = await gate.enter(who)
        order.append(who)
        await asyncio.sleep(0)
        leave()
        leave()  # once is enough, twice does no harm

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(visit("ana"))
        await asyncio.sleep(0)
        for who in ("ben", "carl", "ben"):
            group.create_task(visit(who))
    assert Counter(order) == {"ana": 20, "ben": 2, "carl": 1}
    assert {"ben", "carl"} <= set(order[:8])


async def test_who_gives_up_takes_no_place() -> None:
    gate = FairGate(1)
    leave = await gate.enter("ana")
    waiting = [asyncio.create_task(gate.enter(who)) for who in ("ben", "carl", "dora")]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    leave()  # carl has the place now, and gives up before he notices
    waiting[1].cancel()
    (await waiting[2])()
    assert [task.cancelled() for task in waiting] == [True, True, False]
    (await gate.enter("ana"))()
