"""What a backend is told of a thread, from events in odd orders."""

from __future__ import annotations

from dataclasses import replace

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, ToolCall, UserMessage
from process_agent.core.content import TextPart
from process_agent.core.ids import ItemId, MessageId
from process_agent.threads.history import History
from tests.fakes.thread_events import Speaker

CONTENT = (TextPart("hello"),)


def told(*events: e.ThreadEvent) -> list[object]:
    history = History()
    for event in events:
        history.add(event)
    return list(history.items())


def test_an_input_said_again_after_its_start_counts_once() -> None:
    say = Speaker()
    requested, accepted, started = say.begin()
    again = told(requested, started, accepted, *say.deltas("hi"), started, *say.deltas("there"))
    assert again == [
        UserMessage(CONTENT, "Ana"),
        AgentMessage("hi", "final_answer"),
        AgentMessage("there", "final_answer"),
    ]


def test_a_turn_whose_start_no_row_holds_is_known_by_what_it_did() -> None:
    say = Speaker()
    source = MessageId("s")
    items = told(say.say(e.TurnAccepted(source, CONTENT, "Ana")), *say.deltas("hi"))
    assert items == [UserMessage(CONTENT, "Ana"), AgentMessage("hi", "final_answer")]


def test_a_steer_counts_when_it_was_taken_up() -> None:
    say, steer = Speaker(), MessageId("steer")
    asked = say.say(e.SteerAccepted(steer, (TextPart("also"),), "Ben"))
    assert told(*say.begin(), asked, *say.deltas("hi"))[1:] == [AgentMessage("hi", "final_answer")]
    taken = told(*say.begin(), asked, *say.deltas("hi"), say.say(e.Steered(steer, (), "Ben")))
    assert taken[2:] == [UserMessage((TextPart("also"),), "Ben")]


def test_a_turn_that_never_started_was_never_heard() -> None:
    say = Speaker()
    assert told(*say.begin()[:2], say.end(reason=e.EndReason.LOST)) == []


def test_a_call_that_nobody_ended_counts_as_failed() -> None:
    ref = e.ToolRef(ItemId("i"), "codex", "shell")
    (call,) = told(Speaker().say(e.ToolStarted(ref, {"command": "ls"})))
    assert isinstance(call, ToolCall)
    assert call.error is not None
    assert call.error.code == "incomplete"


def test_whitespace_is_no_message() -> None:
    assert told(*Speaker().deltas(" \n")) == []


def test_commands_and_their_answers_are_not_for_the_model() -> None:
    say = Speaker()
    command = [*say.begin("/models", "u2"), *say.text("codex/gpt-5.5", turn="u2"), say.end("u2")]
    requested, accepted, started = say.begin()
    beside = told(requested, accepted, started, *say.deltas("a"), *command, *say.deltas("b"), say.end())
    assert beside == [
        UserMessage(CONTENT, "Ana"),
        AgentMessage("a", "final_answer"),
        AgentMessage("b", "final_answer"),
    ]


def test_a_command_that_a_model_was_given_counts() -> None:
    """As other agents do."""
    say = Speaker()
    requested, accepted, started = say.begin("/help")
    items = told(requested, accepted, replace(started, model="gpt-5.5"), *say.deltas("with what?"))
    assert items == [UserMessage((TextPart("/help"),), "Ana"), AgentMessage("with what?", "final_answer")]
