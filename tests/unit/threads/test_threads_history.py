"""What a backend is told of a thread, from events in odd orders."""

from __future__ import annotations

from dataclasses import replace

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, MadeImages, ToolCall, UserMessage
from process_agent.core.content import FilePart, GeneratedImage, TextPart
from process_agent.core.ids import ItemId, MessageId, TurnId
from process_agent.core.recalled import IMAGE_MADE
from process_agent.threads.history import SUMMARY, History
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


def again(say: Speaker, turn: str, replaces: str) -> e.ThreadEvent:
    started = e.TurnStarted(MessageId(f"again-{turn}"), CONTENT, "Ana", TurnId(replaces))
    return say.say(started, turn)


def test_a_turn_that_was_asked_again_is_not_told() -> None:
    say = Speaker()
    ref = e.ToolRef(ItemId("open"), "codex", "shell")
    first = (*say.begin(turn="t1"), *say.deltas("kept", turn="t1"))
    dropped = (
        *say.begin(turn="t2"),
        say.say(e.ToolStarted(ref, {}), "t2"),
        say.say(e.Steered(MessageId("steer"), (TextPart("also"),), "Ben"), "t2"),
        *say.deltas("dropped", turn="t2"),
    )
    kept = [UserMessage(CONTENT, "Ana"), AgentMessage("kept", "final_answer")]
    once = [UserMessage(CONTENT, "Ana"), AgentMessage("new", "final_answer")]
    assert told(*first, *dropped, again(say, "t3", "t2"), *say.deltas("new", turn="t3")) == [*kept, *once]
    thrice = (again(say, "t3", "t2"), *say.deltas("older", turn="t3"), again(say, "t4", "t3"))
    assert told(*first, *dropped, *thrice, *say.deltas("new", turn="t4")) == [*kept, *once]
    history = History(running={TurnId("t3")})
    for event in (*first, *dropped, again(say, "t3", "t2")):
        history.add(event)
    assert list(history.items()) == kept, "while it runs, too"


def test_a_summary_of_a_turn_that_was_asked_again_is_none() -> None:
    say = Speaker()

    def compacted(turn: str, summary: str) -> e.ThreadEvent:
        return say.say(e.ContextCompacted(f"c-{summary}", True, summary), turn)

    first = (*say.begin(turn="t1"), compacted("t1", "first"), *say.deltas("kept", turn="t1"))
    second = (*say.begin(turn="t2"), *say.deltas("dropped", turn="t2"))
    summary = UserMessage((TextPart(SUMMARY + "first"),), None)
    kept = [UserMessage(CONTENT, "Ana"), summary, AgentMessage("kept", "final_answer")]
    inside = (*second, compacted("t2", "second"), *say.deltas("dropped too", turn="t2"))
    after = (*second, compacted("t3", "second"))
    for dropped in (second, inside, after):
        assert told(*first, *dropped, again(say, "t4", "t2")) == [*kept, UserMessage(CONTENT, "Ana")]
    gone = told(*first, *second, again(say, "t4", "t1"))
    assert gone[0] == UserMessage(CONTENT, "Ana")
    assert "kept" not in str(gone)


def test_a_call_that_nobody_ended_counts_as_failed() -> None:
    ref = e.ToolRef(ItemId("i"), "codex", "shell")
    (call,) = told(Speaker().say(e.ToolStarted(ref, {"command": "ls"})))
    assert isinstance(call, ToolCall)
    assert call.error is not None
    assert call.error.code == "incomplete"


def test_images_that_a_model_made_are_told_with_the_turn_they_are_of() -> None:
    say = Speaker()
    made = say.say(e.ImageCompleted(ItemId("i"), (GeneratedImage("dataset://images?id=1"),), "a pear"))
    image = MadeImages((TextPart(f"{IMAGE_MADE}: a pear]"), FilePart("dataset://images?id=1")))
    none = say.say(e.ImageCompleted(ItemId("j"), ()))
    assert told(*say.begin()[:2], made, none) == [UserMessage(CONTENT, "Ana"), image]
    assert told(made, again(say, "t2", str(made.turn_id))) == [UserMessage(CONTENT, "Ana")]


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
