"""Images, compaction, clearing, usage, streaming arguments and secrets in the transcript and its records."""

from __future__ import annotations

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, GeneratedImage
from process_agent.core.ids import AskId, ItemId, MessageId, TurnId
from process_agent.core.turn_output import NOTICE
from process_agent.core.usage import ContextWindow, Usage
from process_agent.viewer.items import CompactionItem, ImageItem, ToolItem, ToolState
from process_agent.viewer.records import records
from process_agent.viewer.terminal import listings, render
from process_agent.viewer.terminal.document import document
from process_agent.viewer.terminal.plain import money
from process_agent.viewer.terminal.scroll import Scroll
from process_agent.viewer.transcript import Transcript
from tests.fakes.viewer_room import event

IMAGE = ItemId("image")
SHOWN = GeneratedImage("room:///images/cat.png", "image/png", 640, 480)


def transcript(*bodies: e.EventBody, turn: str | None = "U") -> Transcript:
    made = Transcript()
    for body in bodies:
        made.apply(event(body, turn))
    return made


def printed(made: Transcript) -> str:
    return render.to_ansi(document(made, 80), 80, None)


def test_an_image_grows_and_is_shown_as_a_line() -> None:
    partial = GeneratedImage("data:image/png;base64,AAAA")
    made = transcript(e.ImageStarted(IMAGE), e.ImagePartial(IMAGE, partial, 0))
    item = made.turns[0].items[IMAGE]
    assert isinstance(item, ImageItem)
    assert (item.partial, item.state) == (partial, ToolState.RUNNING)
    assert "being made" in printed(made)
    made.apply(event(e.ImageCompleted(IMAGE, (SHOWN, partial))))
    assert (item.partial, item.images) == (None, (SHOWN, partial))
    assert "▣ image 640×480 room:///images/cat.png" in printed(made)
    assert "▣ image image/png, 19 bytes, shown in Studio" in printed(made)
    assert "base64" not in printed(made)


def test_what_an_image_was_to_show_is_told_and_kept() -> None:
    begun = transcript(e.ImageStarted(IMAGE, {"prompt": "a pear"}), e.ImageCompleted(IMAGE, (SHOWN,)))
    stored = transcript(e.ImageCompleted(IMAGE, (SHOWN,), "a\x1b[2J pear\non a table"))
    assert "a pear" in printed(begun)
    assert "a pear on a table" in " ".join(printed(stored).split())
    assert "\x1b[2J" not in printed(stored)
    item = stored.turns[0].items[IMAGE]
    assert isinstance(item, ImageItem)
    assert item.prompt == "a\x1b[2J pear\non a table"


def test_an_image_that_was_not_made_says_why() -> None:
    made = transcript(e.ImageStarted(IMAGE), e.ImageFailed(IMAGE, ErrorInfo("not\x1b[2J allowed", "policy")))
    assert "no image: not allowed" in printed(made)
    unfinished = transcript(e.ImageStarted(IMAGE), e.TurnEnded(e.EndReason.INTERRUPTED))
    item = unfinished.turns[0].items[IMAGE]
    assert isinstance(item, ImageItem)
    assert item.state is ToolState.FAILED


def test_records_of_images_and_compactions() -> None:
    made = transcript(
        e.ImageCompleted(IMAGE, (SHOWN,)),
        e.ContextCompacted("c1", automatic=False, summary="We talked."),
        e.UsageUpdated(Usage(10, 2, 5), ContextWindow(50, 100, 90), 0.25),
        e.TurnEnded(e.EndReason.COMPLETED),
    )
    image, compaction, turn = records(made)
    assert (image["type"], image["text"], image["state"]) == ("image", SHOWN.uri, "done")
    assert (compaction["type"], compaction["automatic"], compaction["text"]) == (
        "compaction",
        False,
        "We talked.",
    )
    assert turn["cost"] == 0.25
    assert turn["context"] == {"used_tokens": 50, "total_tokens": 100, "compacts_at": 90}


def test_compaction_empties_the_context_until_it_is_known_again() -> None:
    made = transcript(e.UsageUpdated(Usage(1), ContextWindow(90, 100)))
    assert made.context == ContextWindow(90, 100)
    shortened = transcript(
        e.UsageUpdated(Usage(1), ContextWindow(90, 100)), e.ContextCompacted("c1", automatic=True)
    )
    assert shortened.context is None
    made.apply(event(e.ContextCompacted("c1", automatic=True)))
    made.apply(event(e.UsageUpdated(Usage(2), ContextWindow(10, 100))))
    assert made.context == ContextWindow(10, 100)
    assert "memory of this thread was full, and was shortened" in printed(made)


def test_a_compaction_that_the_agent_tells_in_words_is_shown_once() -> None:
    made = transcript(e.ContextCompacted("c1", automatic=True))
    compaction = made.turns[0].items[ItemId("c1")]
    assert isinstance(compaction, CompactionItem)
    assert made.turns[0].said(compaction) is None
    words = ItemId(f"{NOTICE}n1")
    for body in (e.TextDelta(words, "Summarised.", "commentary"), e.TurnEnded(e.EndReason.COMPLETED)):
        made.apply(event(body))
    assert made.turns[0].said(compaction) is True
    assert "Summarised." in printed(made)
    assert "memory of this thread" not in printed(made)
    alone = transcript(e.ContextCompacted("c1", automatic=True), e.TurnEnded(e.EndReason.COMPLETED))
    assert "memory of this thread" in printed(alone)
    scroll = Scroll("ana")
    assert "memory of this thread" in render.to_ansi(scroll.take(alone, 80), 80, None)
    assert "memory of this thread" not in render.to_ansi(Scroll("ana").take(made, 80), 80, None)


def test_compaction_between_turns_belongs_to_the_last_one() -> None:
    made = transcript(e.TextDelta(ItemId("i"), "hi"), e.TurnEnded(e.EndReason.COMPLETED))
    made.apply(event(e.ContextCompacted("c1", automatic=False), None))
    assert list(made.turns[0].items) == ["i", "c1"]
    alone = Transcript()
    assert alone.apply(event(e.ContextCompacted("c1", automatic=False), None)) is not None
    assert alone.turns == ()


def test_clearing_forgets_what_is_over_and_keeps_what_runs() -> None:
    made = Transcript()
    made.apply(event(e.TextDelta(ItemId("i"), "old"), "U1"))
    made.apply(event(e.UsageUpdated(Usage(1), ContextWindow(90, 100), 0.5), "U1"))
    made.apply(event(e.TurnEnded(e.EndReason.COMPLETED), "U1"))
    made.apply(event(e.TurnRejected(MessageId("m"), ErrorInfo("busy", "busy")), "U2"))
    made.apply(event(e.TextDelta(ItemId("j"), "new"), "U3"))
    made.apply(event(e.ThreadCleared(MessageId("c")), None))
    assert [turn.id for turn in made.turns] == ["U3"]
    assert (made.context, made.cost) == (None, None)
    assert made.resume_point == "U3"


def test_arguments_are_seen_while_they_are_written() -> None:
    ref = e.ToolRef(ItemId("t"), "codex", "shell")
    made = transcript(e.ToolArguments(ref, '{"command": '), e.ToolArguments(ref, '"ls"}'))
    item = made.turns[0].items[ItemId("t")]
    assert isinstance(item, ToolItem)
    assert str(item.written) == '{"command": "ls"}'
    made.apply(event(e.ToolStarted(ref, {"command": "ls"})))
    assert (str(item.written), item.arguments) == ("", {"command": "ls"})


def test_usage_context_and_cost_of_a_thread() -> None:
    made = Transcript()
    assert (made.context, made.cost) == (None, None)
    made.apply(event(e.UsageUpdated(Usage(), ContextWindow(5, 100)), None))
    assert made.context == ContextWindow(5, 100)
    for turn, cost in (("U1", 0.25), ("U2", None), ("U3", 0.5)):
        made.apply(
            event(e.UsageUpdated(Usage(1000, 10, 200), ContextWindow(34_000, 272_000, 240_000), cost), turn)
        )
    assert made.cost == 0.75
    assert dict(listings.figures(made)) == {
        "context": "34k of 272k tokens, shortened at 240k",
        "tokens": "3.0k in (30 cached), 600 out",
        "cost": "$0.75",
    }
    assert "1.0k in, 200 out · $0.25" in render.to_ansi([render.footer(made.turns[0])], 80, None)
    assert render.context(ContextWindow(34_000, 272_000)) == "context 12%"
    assert render.context(ContextWindow(34_000)) == "context 34k"


def test_money() -> None:
    assert [money(x) for x in (0, 0.00004, 0.00416, 0.42, 12.3)] == ["$0", "$0", "$0.0042", "$0.42", "$12.30"]


def test_secrets_wait_until_their_turn_ends() -> None:
    asked = e.SecretRequested(AskId("q"), "API_KEY", "The key of the weather service")
    made = transcript(asked)
    (waiting,) = made.asked_secrets()
    assert (waiting.turn_id, waiting.request) == (TurnId("U"), asked)
    made.apply(event(e.TurnEnded(e.EndReason.INTERRUPTED)))
    assert list(made.asked_secrets()) == []
