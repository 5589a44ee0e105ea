"""Touches of the list of threads: at once for a thread that was left alone, together for all others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from process_agent.core.ids import ThreadId
from process_agent.core.store import ThreadEntry
from process_agent.errors import RoomError, RoomRequestError
from process_agent.threads import touches
from process_agent.threads.touches import Touches

A, B, C = ThreadId("a"), ThreadId("b"), ThreadId("c")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class List:
    """Remembers which threads were touched together; waits at `gate`."""

    def __init__(self) -> None:
        self.calls: list[list[ThreadId]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.called = asyncio.Event()
        self.error: Exception | None = None

    async def touch_all(self, paths: Sequence[ThreadId]) -> Mapping[ThreadId, ThreadEntry]:
        self.calls.append(list(paths))
        self.called.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {path: ThreadEntry(path, "name", NOW, NOW) for path in paths}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touches, "SPACE_SECONDS", 0.001)


async def started(each: asyncio.Task[ThreadEntry]) -> asyncio.Task[ThreadEntry]:
    await asyncio.sleep(0)
    return each


async def test_a_thread_that_was_left_alone_is_touched_at_once() -> None:
    them = List()
    entry = await Touches(them.touch_all).touch(A)
    assert entry.path == A
    assert them.calls == [[A]]


async def test_what_comes_meanwhile_is_touched_together() -> None:
    them = List()
    all_touches = Touches(them.touch_all)
    them.gate.clear()
    first = asyncio.create_task(all_touches.touch(A))
    await them.called.wait()
    others = [asyncio.create_task(all_touches.touch(path)) for path in (B, C, B)]
    await asyncio.sleep(0)
    them.gate.set()
    assert [entry.path for entry in await asyncio.gather(first, *others)] == [A, B, C, B]
    assert them.calls == [[A], [B, C]]


async def test_a_thread_that_was_touched_lately_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touches, "AGAIN_SECONDS", 3_600)
    them = List()
    all_touches = Touches(them.touch_all)
    await all_touches.touch(A)
    again = [asyncio.create_task(all_touches.touch(A)) for _ in range(3)]
    assert (await all_touches.touch(B)).path == B  # another one does not wait with it
    assert them.calls == [[A], [B]]
    assert not any(task.done() for task in again)
    await all_touches.close()  # and nothing is lost at the end
    assert [entry.path for entry in await asyncio.gather(*again)] == [A, A, A]
    assert them.calls == [[A], [B], [A]]


async def test_it_is_touched_when_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touches, "AGAIN_SECONDS", 0.01)
    them = List()
    all_touches = Touches(them.touch_all)
    for _ in range(3):
        await all_touches.touch(A)
    assert them.calls == [[A], [A], [A]]


async def test_a_removed_thread_is_not_touched_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touches, "AGAIN_SECONDS", 3_600)
    them = List()
    all_touches = Touches(them.touch_all)
    await all_touches.touch(A)
    again = await started(asyncio.create_task(all_touches.touch(A)))
    all_touches.forget(A)
    with pytest.raises(RoomRequestError):
        await again
    await all_touches.close()
    assert them.calls == [[A]]


async def test_a_refusal_reaches_everybody_and_the_next_touch_is_tried() -> None:
    them = List()
    all_touches = Touches(them.touch_all)
    them.error = RoomError("The room is away.")
    with pytest.raises(RoomError, match="away"):
        await all_touches.touch(A)
    them.error = None
    assert (await all_touches.touch(B)).path == B


async def test_a_defect_leaves_nobody_waiting() -> None:
    them = List()
    all_touches = Touches(them.touch_all)
    them.error = ValueError("a defect")
    with pytest.raises(RoomRequestError):
        await all_touches.touch(A)
    await all_touches.close()


async def test_many_are_touched_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touches, "MAX_TOGETHER", 10)
    them = List()
    all_touches = Touches(them.touch_all)
    paths = [ThreadId(str(number)) for number in range(25)]
    entries = await asyncio.gather(*(all_touches.touch(path) for path in paths))
    assert [entry.path for entry in entries] == paths
    assert [len(call) for call in them.calls] == [10, 10, 5]


async def test_after_many_at_once_more_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def wait(event: asyncio.Event, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(touches, "_wait", wait)
    them = List()
    many = [ThreadId(f"t{number}") for number in range(touches.MANY)]
    await asyncio.gather(*map(Touches(them.touch_all).touch, many))
    await Touches(them.touch_all).touch(A)
    await asyncio.sleep(0)
    assert them.calls == [many, [A]]
    assert waited == [touches.MANY_SPACE_SECONDS, touches.SPACE_SECONDS]
