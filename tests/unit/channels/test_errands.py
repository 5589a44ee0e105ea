"""Errands: what is collected of a turn, and that every errand ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import count

import pytest

from process_agent.channels import errands as module
from process_agent.channels.errands import Assignment, Errands, Outcome, RunningErrand
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.content import ErrorInfo, GeneratedImage, TextPart
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.core.images import GIVEN_BACK

T = ThreadId("dataset://agents/bot/threads/t")
NO = ErrorInfo("no", "no")


class House:
    """Errands, and what they asked."""

    def __init__(self) -> None:
        self.asked: list[r.Request] = []
        numbers = count(1)
        self.errands = Errands("queue:work", self.asked.append, lambda: f"m{next(numbers)}")

    def start(self, thread_id: ThreadId | None = T) -> RunningErrand:
        return self.errands.start(Assignment((TextPart("go"),), thread_id, "Ana"))

    def say(self, running: RunningErrand, *bodies: e.EventBody, turn: str = "u1") -> None:
        for body in bodies:
            event = e.ThreadEvent(MessageId("x"), T, TurnId(turn), datetime.now(UTC), body)
            self.errands.show(event, [running.envelope.sender.id])

    def accept(self, running: RunningErrand) -> None:
        self.say(running, e.TurnAccepted(running.errand.source, (), None))

    def over(self, running: RunningErrand) -> Outcome:
        assert running.errand.outcome is not None
        return running.errand.outcome


@pytest.fixture
async def house() -> House:
    return House()


def item(number: int) -> ItemId:
    return ItemId(f"i{number}")


async def test_the_answer_is_collected_in_order_without_commentary(house: House) -> None:
    running = house.start()
    house.accept(running)
    house.say(
        running,
        e.TurnStarted(running.errand.source, (), None),
        e.TextStarted(item(1), "commentary"),
        e.TextDelta(item(1), "I look", "commentary"),
        e.TextDelta(item(2), "One "),
        e.TextStarted(item(3), "final_answer"),
        e.TextDelta(item(3), "Three", "final_answer"),
        e.TextDelta(item(2), "two"),
        e.TextStarted(item(4)),
        e.TextDelta(item(4), " \n"),
        e.FileShown(item(5), "room:///a.png"),
        e.ImageCompleted(item(6), (GeneratedImage("room:///b.png"), GeneratedImage("room:///a.png"))),
        e.ImageCompleted(ItemId(item(7) + GIVEN_BACK), (GeneratedImage("room:///of-a-tool.png"),)),
    )
    assert running.errand.outcome is None
    house.say(running, e.TurnEnded(e.EndReason.COMPLETED))
    outcome = await running.outcome()
    assert (outcome.text, outcome.commentary) == ("One two\n\nThree", ("I look",))
    assert (outcome.files, outcome.ended) == (("room:///a.png", "room:///b.png"), e.EndReason.COMPLETED)
    assert (outcome.thread_id, outcome.turn_id, outcome.started) == (T, "u1", True)
    assert house.asked[-1] == r.Left(running.envelope.sender, "queue:work")
    assert len(house.errands) == 0


async def test_a_message_that_starts_again_begins_anew(house: House) -> None:
    running = house.start()
    house.accept(running)
    for text in ("wrong", "right"):
        house.say(running, e.TextStarted(item(1)), e.TextDelta(item(1), text))
    house.say(running, e.TurnEnded(e.EndReason.COMPLETED))
    assert house.over(running).texts == ("right",)


async def test_other_turns_of_the_thread_are_passed_over(house: House) -> None:
    running = house.start()
    house.say(running, e.TextDelta(item(1), "before"), turn="u0")
    house.say(running, e.TurnAccepted(MessageId("other"), (), None), turn="u0")
    house.accept(running)
    house.say(running, e.TurnEnded(e.EndReason.FAILED, NO), e.TextDelta(item(1), "no"), turn="u0")
    house.say(running, e.TurnRejected(MessageId("other"), NO))
    house.say(running, e.TextDelta(item(1), "yes"), e.TurnEnded(e.EndReason.COMPLETED))
    assert house.over(running).texts == ("yes",)


async def test_who_asks_is_a_tool_with_an_id_of_its_own(house: House) -> None:
    first, second = house.start(), house.start(None)
    assert first.envelope.sender.id.startswith("queue:work:")
    assert first.envelope.sender.id != second.envelope.sender.id
    assert (first.envelope.sender.role, first.envelope.sender.name) == ("tool", "Ana")
    turn, thread = house.asked
    assert isinstance(turn, r.StartTurn)
    assert (turn.create, turn.thread_id) == (True, T)
    assert isinstance(thread, r.StartThread)
    assert thread.content == (TextPart("go"),)


async def test_every_refusal_ends_it(house: House) -> None:
    by_event, by_thread, by_reply = house.start(), house.start(None), house.start()
    house.say(by_event, e.TurnRejected(by_event.errand.source, NO))
    for running, reply in (
        (by_thread, a.ThreadStartRejected(by_thread.errand.source, NO)),
        (by_reply, a.RequestRejected(by_reply.errand.source, T, NO)),
    ):
        house.errands.answer(running.envelope.sender.id, reply)
    for running in (by_event, by_thread, by_reply):
        outcome = await running.outcome()
        assert (outcome.ended, outcome.error, outcome.started) == (None, NO, False)


async def test_a_new_thread_is_named(house: House) -> None:
    running = house.start(None)
    house.errands.answer(running.envelope.sender.id, a.ThreadStarted(running.errand.source, T))
    house.accept(running)
    house.say(running, e.TurnEnded(e.EndReason.INTERRUPTED))
    assert house.over(running) == Outcome(e.EndReason.INTERRUPTED, None, T, TurnId("u1"))


async def test_one_that_is_abandoned_interrupts_its_turn_once_there_is_one(house: House) -> None:
    early, late = house.start(), house.start()
    house.accept(late)
    for running in (early, late):
        running.abandon()
        running.abandon()
    interrupts = [asked for asked in house.asked if isinstance(asked, r.InterruptTurn)]
    assert [asked.envelope.sender for asked in interrupts] == [late.envelope.sender]
    house.accept(early)
    house.say(early, e.TextDelta(item(1), "still"))
    interrupts = [asked for asked in house.asked if isinstance(asked, r.InterruptTurn)]
    assert [(asked.envelope.sender, asked.turn_id) for asked in interrupts[1:]] == [
        (early.envelope.sender, "u1")
    ]


async def test_waiting_can_be_cancelled_and_taken_up_again(house: House) -> None:
    running = house.start()
    waiting = asyncio.ensure_future(running.outcome())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    house.errands.close()
    assert (await running.outcome()).error == module.LOST


async def test_the_end_of_the_agent_and_of_the_view_ends_all(house: House) -> None:
    first, second = house.start(), house.start()
    house.errands.close_view(first.envelope.sender.id)
    house.errands.close_view(first.envelope.sender.id)
    house.errands.close()
    assert [house.over(each).ended for each in (first, second)] == [e.EndReason.LOST] * 2
    assert len(house.errands) == 0


async def test_what_is_kept_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COLLECTED", 10)
    running = house.start()
    house.accept(running)
    house.say(
        running,
        e.TextDelta(item(1), "1234567"),
        e.FileShown(item(2), "room:///too-long"),
        e.TextDelta(item(1), "890123"),
        e.TextDelta(item(1), "more"),
        e.TurnEnded(e.EndReason.COMPLETED),
    )
    assert house.over(running).text == "1234567890"
    assert (house.over(running).truncated, house.over(running).files) == (True, ())
