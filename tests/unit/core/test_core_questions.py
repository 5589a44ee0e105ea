"""Questions of an agent, and approvals that nobody, a rule or a stop decides."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.content import FilePart, TextPart
from process_agent.core.decisions import Decision, Option, Question
from process_agent.core.ids import ItemId
from process_agent.core.turn_output import NOTICE
from process_agent.threads.history import History
from tests.unit.core.test_core_deciding import ANA, BEN, ROB, Room

COLOUR = Question("colour", "Which colour?", "Colour", (Option("Red", "warm"), Option("Blue")))


SIZE = Question("size", "Which size?", options=(Option("S"), Option("L")), free=False)


def test_nobody_in_time() -> None:
    room = Room()
    item = room.ask()
    (timer,) = [timer for timer in room.world.timers if timer.kind is c.TimerKind.APPROVAL]
    assert room.world.timers.pop(timer) == 300.0
    room.world.carry_out(room.world.supervisor.timer_fired(timer))
    assert room.told == [(item, Decision.UNANSWERED)]
    room.tell()
    assert room.decided == ["Declined: nobody answered in 300 s"]
    assert room.said().endswith("Declined: nobody answered in 300 s (the command `touch x`).")
    assert room.decides(ANA, item, Decision.ACCEPT) == (
        "That was decided before: Declined: nobody answered in 300 s."
    )


@pytest.mark.parametrize(
    ("mode", "decision", "text"),
    [
        ("auto", Decision.ACCEPT, "Approved by --approvals auto"),
        ("deny", Decision.DECLINE, "Declined by --approvals deny"),
    ],
)
def test_a_rule_decides_without_asking_and_the_card_says_so(mode: str, decision: Decision, text: str) -> None:
    room = Room(mode=mode)
    item = room.ask()
    assert room.told == [(item, decision)]
    room.tell()
    assert room.decided == [text]
    assert not [x for x in room.log if isinstance(x.body, e.ApprovalRequested)]
    assert room.said() == ""
    assert room.status == "Thinking"


def test_stopping_while_it_waits_and_deciding_then() -> None:
    room = Room()
    item = room.ask()
    room.world.ask(r.InterruptTurn(room.world.envelope(BEN), room.thread_id, room.turn_id))
    assert room.decides(ANA, item, Decision.ACCEPT) == "Nothing waits for a decision here."
    assert room.told == []
    room.world.backend_done(room.turn_id)
    room.world.backend(room.thread_id, room.turn_id, e.TurnEnded(e.EndReason.INTERRUPTED))
    room.world.settle()
    assert not [timer for timer in room.world.timers if timer.kind is c.TimerKind.APPROVAL]


def test_cancelling_stops_the_turn_and_says_who_even_if_its_end_is_faster() -> None:
    room = Room()
    item = room.ask()
    assert room.decides(BEN, item, Decision.CANCEL) is None
    assert room.told == [(item, Decision.CANCEL)]
    assert room.status == "Interrupting"
    assert [o.turn_id for o in room.world.outstanding if isinstance(o, c.InterruptBackend)] == [room.turn_id]
    room.world.backend_done(room.turn_id)
    room.world.backend(room.thread_id, room.turn_id, e.TurnEnded(e.EndReason.INTERRUPTED))
    room.world.settle()
    assert room.decided == ["Declined and stopped by ben"]


@pytest.mark.parametrize("steer", [False, True])
@pytest.mark.parametrize(
    ("text", "given"), [("1", "Red"), ("blue", "Blue"), ("2.", "Blue"), ("rather green", "rather green")]
)
def test_the_next_message_answers_the_question(text: str, given: str, *, steer: bool) -> None:
    room = Room()
    item = room.ask("", COLOUR)
    assert "1. `Red` – `warm`\n2. `Blue`" in room.said()
    assert room.status == "Waiting for an answer"
    assert room.types(BEN, text, steer=steer) == "Passed on to the agent."
    (told,) = [x for x in room.world.done if isinstance(x, c.DecideItem)]
    assert (told.item_id, told.decision, dict(told.answers)) == (item, Decision.ACCEPT, {"colour": (given,)})
    room.tell()
    assert room.decided == [f"Answered by ben: {given}"]
    history = History()
    for event in room.log:
        history.add(event)
    assert "Passed on" not in str(history.items())
    last = [x.body for x in room.log if isinstance(x.body, e.TextDelta)]
    assert last[-1].item_id.startswith(NOTICE)


def test_questions_come_one_after_the_other_and_wrong_answers_are_given_back() -> None:
    room = Room()
    room.ask("", COLOUR, SIZE)
    assert "question 2 of 2" in room.types(ANA, "red")
    assert "does not answer the question" in room.types(BEN, "M")
    assert room.told == []
    assert room.types(BEN, "l") == "Passed on to the agent."
    (told,) = [x for x in room.world.done if isinstance(x, c.DecideItem)]
    assert dict(told.answers) == {"colour": ("Red",), "size": ("L",)}


def test_a_question_is_declined_or_left_but_not_approved() -> None:
    room = Room()
    item = room.ask("", COLOUR)
    assert "answer it with a message" in room.types(ANA, "/approve")
    assert room.decides(ANA, item, Decision.ACCEPT) == "This is a question: answer it with a message."
    assert room.decides(ANA, item, Decision.ACCEPT, answers={"colour": ("Red", "Blue")}) is not None
    assert room.types(ANA, "/deny") == "Declined: the question `Which colour?`."
    assert room.told == [(item, Decision.DECLINE)]


def test_a_card_answers_at_once() -> None:
    room = Room()
    room.ask("", COLOUR, SIZE)
    item = ItemId("i1")
    assert room.decides(BEN, item, Decision.ACCEPT, answers={"colour": ("x",), "size": ("M",)}) is not None
    assert room.decides(BEN, item, Decision.ACCEPT, answers={"colour": ("x",), "size": ("S",)}) is None
    (told,) = [x for x in room.world.done if isinstance(x, c.DecideItem)]
    assert dict(told.answers) == {"colour": ("x",), "size": ("S",)}


def test_others_and_messages_with_files_do_not_answer() -> None:
    room = Room("ana")
    room.ask("", COLOUR)
    assert room.types(BEN, "1", steer=True) == ""
    assert room.types(ROB, "1", steer=True) == ""
    content = (TextPart("1"), FilePart("room:///a.png", None))
    envelope = room.world.envelope(ANA)
    room.world.ask(r.SteerTurn(envelope, room.thread_id, room.turn_id, content))
    assert room.told == []
    assert len([o for o in room.world.outstanding if isinstance(o, c.SteerBackend)]) == 3


def test_a_rule_answers_no_questions() -> None:
    room = Room(mode="auto")
    room.ask("", COLOUR)
    assert room.told == []
    assert room.status == "Waiting for an answer"
