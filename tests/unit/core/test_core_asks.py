"""What a turn asks of its sender: who sees it, whose answer counts, and what settles it without one."""

from __future__ import annotations

import pytest

from process_agent.core import asks
from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.backend import Answered
from process_agent.core.content import ErrorInfo, JsonResult, TextPart, TextResult
from process_agent.core.ids import AskId, ThreadId, TurnId
from process_agent.core.participants import Participant
from process_agent.core.speaker import Limits
from process_agent.core.turn_output import NOTICE
from tests.fakes.supervised import World, person

ANA, BEN = person("ana"), person("ben")
LOOK = r.ClientTool("look", {"type": "object"}, "Look", "looks at the screen")
ASK = AskId("a1")


@pytest.fixture
def world() -> World:
    return World()


def begin(world: World, who: Participant = ANA) -> tuple[ThreadId, TurnId]:
    """A new thread, viewed by both, whose turn may use a tool of the client that asked for it."""
    options = r.TurnOptions(client_tools=(LOOK,))
    world.ask(r.StartThread(world.envelope(who), (TextPart("hello"),), options=options))
    world.settle()
    thread_id, turn_id = world.running()[-1]
    world.ask(r.OpenThread(world.envelope(BEN), thread_id))
    return thread_id, turn_id


def look(world: World, thread_id: ThreadId, turn_id: TurnId, ask: AskId = ASK) -> None:
    world.backend(thread_id, turn_id, e.ClientToolRequested(ask, "look", {"x": 1}))


def tools(world: World, who: Participant) -> list[e.EventBody]:
    """What somebody heard of client tools and secrets."""
    kinds = e.ClientToolRequested | e.ClientToolCancelled | e.SecretRequested
    return [x.body for x in world.got(who).events if isinstance(x.body, kinds)]


def reply(world: World, who: Participant, thread_id: ThreadId, turn_id: TurnId, text: str = "seen") -> None:
    answer = r.AnswerClientTool(world.envelope(who), thread_id, turn_id, ASK, TextResult(text))
    world.ask(answer)


def answers(world: World) -> list[Answered]:
    return [x.answer for x in world.done if isinstance(x, c.AnswerAsk)]


def test_the_backend_gets_the_tools_and_the_sender_the_question(world: World) -> None:
    thread_id, turn_id = begin(world)
    (run,) = [x for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.turn.client_tools == (LOOK,)
    look(world, thread_id, turn_id)
    assert tools(world, ANA) == [e.ClientToolRequested(ASK, "look", {"x": 1}, ANA.id)]
    assert tools(world, BEN) == []
    status = [x.body for x in world.got(BEN).events if isinstance(x.body, e.Status)][-1]
    assert status.text == "Waiting for the client of ana"
    assert not any(isinstance(x.body, e.ClientToolRequested) for x in world.logs[thread_id])
    timer = c.Timer(c.TimerKind.ASK, thread_id, turn_id, ask_id=ASK)
    assert world.timers[timer] == Limits().client_tool == 300
    reply(world, ANA, thread_id, turn_id)
    assert answers(world) == [TextResult("seen")]
    assert timer not in world.timers
    assert [x.body for x in world.got(BEN).events if isinstance(x.body, e.Status)][-1].text == "Thinking"


def test_only_the_senders_first_answer_counts(world: World) -> None:
    thread_id, turn_id = begin(world)
    look(world, thread_id, turn_id)
    reply(world, BEN, thread_id, turn_id, "forged")
    assert "ben answered for the sender" in world.warnings[-1]
    other_channel = r.Envelope(world.envelope(ANA).message_id, "websocket", ANA)
    world.ask(r.AnswerClientTool(other_channel, thread_id, turn_id, ASK, TextResult("forged")))
    world.ask(r.AnswerSecret(world.envelope(ANA), thread_id, turn_id, ASK, r.Secret("odd")))
    assert answers(world) == []
    reply(world, ANA, thread_id, turn_id, "first")
    reply(world, ANA, thread_id, turn_id, "second")
    reply(world, ANA, thread_id, TurnId("elsewhere"), "third")
    assert answers(world) == [TextResult("first")]


def test_an_answer_that_comes_too_late(world: World) -> None:
    thread_id, turn_id = begin(world)
    look(world, thread_id, turn_id)
    world.carry_out(world.supervisor.timer_fired(c.Timer(c.TimerKind.ASK, thread_id, turn_id, ask_id=ASK)))
    reply(world, ANA, thread_id, turn_id)
    assert answers(world) == [asks.LATE]
    assert tools(world, ANA)[1:] == [e.ClientToolCancelled(ASK, "look", asks.LATE.message, ANA.id)]


def test_the_sender_leaves(world: World) -> None:
    thread_id, turn_id = begin(world)
    look(world, thread_id, turn_id)
    world.ask(r.Left(BEN, "chat"))
    assert answers(world) == []
    world.ask(r.Left(ANA, "chat"))
    look(world, thread_id, turn_id, AskId("a2"))
    assert answers(world) == [asks.LEFT, asks.LEFT]
    assert len(tools(world, ANA)) == 1
    assert not [timer for timer in world.timers if timer.kind is c.TimerKind.ASK]


def test_the_sender_left_while_its_turn_waited(world: World) -> None:
    thread_id, first = begin(world)
    world.start_turn(ANA, thread_id, "next", r.TurnOptions(client_tools=(LOOK,)))
    world.ask(r.Left(ANA, "chat"))
    world.backend_done(first)
    world.backend(thread_id, first, e.TurnEnded(e.EndReason.COMPLETED))
    world.settle()
    look(world, *world.running()[0])
    assert answers(world) == [asks.LEFT]


def test_an_interrupt_and_what_is_asked_after_it(world: World) -> None:
    thread_id, turn_id = begin(world)
    look(world, thread_id, turn_id)
    world.ask(r.InterruptTurn(world.envelope(BEN), thread_id, turn_id))
    look(world, thread_id, turn_id, AskId("a2"))
    assert answers(world) == [asks.INTERRUPTED, asks.INTERRUPTED]
    assert [type(x) for x in tools(world, ANA)] == [e.ClientToolRequested, e.ClientToolCancelled]


def test_the_turn_ends_or_waits_no_more(world: World) -> None:
    thread_id, turn_id = begin(world)
    look(world, thread_id, turn_id)
    world.backend(thread_id, turn_id, e.ClientToolCancelled(ASK, "look", "not needed"))
    look(world, thread_id, turn_id, AskId("a2"))
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    cancelled = [x for x in tools(world, ANA) if isinstance(x, e.ClientToolCancelled)]
    assert [(x.ask_id, x.reason) for x in cancelled] == [(ASK, "not needed"), ("a2", asks.ENDED.message)]
    assert {x.target for x in cancelled} == {ANA.id}
    assert answers(world) == []


def test_a_turn_that_only_waits_for_its_last_steer_asks_nothing_more(world: World) -> None:
    thread_id, turn_id = begin(world)
    look(world, thread_id, turn_id)
    world.ask(r.SteerTurn(world.envelope(ANA), thread_id, turn_id, (TextPart("also"),)))
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    assert isinstance(tools(world, ANA)[-1], e.ClientToolCancelled)
    reply(world, ANA, thread_id, turn_id)
    world.ask(r.Left(ANA, "chat"))
    assert answers(world) == []


def test_tools_nobody_offers_and_too_many_questions(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.backend(thread_id, turn_id, e.ClientToolRequested(AskId("x"), "format_disk", {}))
    assert isinstance(answers(world)[0], ErrorInfo)
    for number in range(asks.MAX_ASKS + 1):
        look(world, thread_id, turn_id, AskId(str(number)))
    assert len(tools(world, ANA)) == asks.MAX_ASKS
    assert len(answers(world)) == 2
    look(world, thread_id, turn_id, AskId("0"))
    assert "asked twice" in world.warnings[-1]


def test_a_secret_is_for_the_backend_alone(world: World) -> None:
    thread_id, turn_id = begin(world)
    asked = e.SecretRequested(ASK, "github", "A token, please.", challenge="c")
    world.backend(thread_id, turn_id, asked)
    assert tools(world, ANA) == [asked]
    assert tools(world, BEN) == []
    for somebody in (ANA, BEN):
        (said,) = [x.body for x in world.got(somebody).events if isinstance(x.body, e.TextDelta)]
        assert said.item_id.startswith(NOTICE), "no model is told"
        assert "asks `ana` for a secret:** `github`" in said.text
        assert "Do not write it in a message" in said.text
        assert "A token, please." not in said.text
    secret = r.Secret("hunter2", "code-1", "http://127.0.0.1/back")
    answer = r.AnswerSecret(world.envelope(ANA), thread_id, turn_id, ASK, secret)
    world.ask(r.AnswerClientTool(world.envelope(ANA), thread_id, turn_id, ASK, JsonResult({})))
    world.ask(answer)
    (given,) = [x for x in world.done if isinstance(x, c.AnswerAsk)]
    assert given.answer == secret
    told = repr((given, answer, world.logs, world.warnings, world.got(BEN), world.got(ANA)))
    assert "hunter2" not in told
    assert "code-1" not in told


def test_a_channel_without_people_is_asked_for_nothing(world: World) -> None:
    options = r.TurnOptions(can_answer=False)
    world.ask(r.StartThread(world.envelope(ANA), (TextPart("hello"),), options=options))
    world.settle()
    thread_id, turn_id = world.running()[-1]
    world.backend(thread_id, turn_id, e.SecretRequested(ASK, "github", "A token, please."))
    assert answers(world) == [asks.NOBODY]
    assert tools(world, ANA) == []
    assert not any(timer.kind is c.TimerKind.ASK for timer in world.timers)


def test_others_cannot_steer_a_turn_that_uses_its_senders_client(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.ask(r.SteerTurn(world.envelope(BEN), thread_id, turn_id, (TextPart("also"),)))
    (rejected,) = [x.body for x in world.got(BEN).events if isinstance(x.body, e.SteerRejected)]
    assert rejected.error.code == "turn_owned_by_participant"
    world.ask(r.SteerTurn(world.envelope(ANA), thread_id, turn_id, (TextPart("also"),)))
    assert sum(isinstance(x, c.SteerBackend) for x in world.outstanding) == 1
