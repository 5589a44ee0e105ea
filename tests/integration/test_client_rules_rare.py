"""What the web and mobile clients would show of images, plans, compactions and secrets: live, and replayed.

Neither draws a plan, a compaction or a request for a secret by itself, so each has to be seen in what they do
draw: a tool call, a line of text, the status.
"""

from __future__ import annotations

from process_agent.core import events as e
from process_agent.core.content import GeneratedImage, TextResult
from process_agent.core.ids import AskId, ItemId
from tests.contract.test_client_rules import check_react, flutter, on_screen, react
from tests.fakes.agent_house import Room, start
from tests.fakes.backend import PlayedTurn
from tests.fakes.flutter_rules import FlutterThread
from tests.fakes.memory_messaging import Client

IMAGE = ItemId("image")
PLAN = e.ToolRef(ItemId("plan"), "codex", "plan", "codex")
STEPS = "- [x] Read\n- [ ] Write"
DONE = "room:///cat.png"

UNSEEN = {"usage.updated", "model.changed", "thread.loaded", "thread.started", "context.compacted"}
"""What the clients pass over and nobody misses."""


def half(turn: PlayedTurn) -> None:
    turn.say(e.ImageStarted(IMAGE), e.ImagePartial(IMAGE, GeneratedImage("data:image/png;base64,aa"), 0))
    turn.say(e.ToolStarted(PLAN, {"plan": [{"step": "Read", "status": "completed"}], "text": STEPS}))


def rest(turn: PlayedTurn) -> None:
    turn.say(e.ImageCompleted(IMAGE, (GeneratedImage(DONE, "image/png", 8, 8),)))
    turn.say(e.ToolEnded(PLAN, TextResult(STEPS)), e.ContextCompacted("c1", True, "They want a cat."))
    turn.answer("Here it is.")


async def test_images_plans_and_compactions_are_seen_live_and_replayed(room: Room, ana: Client) -> None:
    thread = await start(ana, "draw a cat")
    turn = await room.backend.turn(0)
    half(turn)
    await ana.wait("tool_call.started", item_id=PLAN.item_id)
    assert ("image", "data:image/png;base64,aa") in on_screen(flutter(ana.got))
    assert [(line.kind, line.done) for line in react(ana.got).lines if line.kind == "image"] == [
        ("image", False)
    ]
    rest(turn)
    await ana.wait("thread.status", status=None)
    live = ana.got[:]
    [compacted] = [m for m in live if m["type"].endswith("context.compacted")]
    late = room.messaging.join("late")
    late.send("thread.open", thread_id=thread, load=True)
    await late.wait("thread.loaded")
    replayed = FlutterThread()
    replayed.drain(late.got)
    for shown in (flutter(live), replayed):
        kinds = on_screen(shown)
        assert kinds[0] == ("user", "draw a cat")
        assert kinds[-1] == ("text", "Here it is.")
        assert kinds.count(("image", DONE)) == 1, "the finished image stands in place of the partial one"
        assert [bubble.name for bubble in shown.bubbles if bubble.kind == "tool"] == ["plan"]
        [line] = [text for kind, text in kinds[:-1] if kind == "text"]
        assert "context" in line.lower(), "a compaction is a line that people read"
        assert set(shown.ignored) <= UNSEEN
    for messages in (live, late.got):
        timeline = react(messages)
        check_react(timeline, [(kind if kind != "tool" else "diff", text) for kind, text in kinds])
        assert set(timeline.ignored) <= UNSEEN
    assert compacted["checkpoint_id"] == "c1"


async def test_a_secret_is_asked_of_its_sender_and_seen_in_the_status(room: Room, ana: Client) -> None:
    thread = await start(ana, "publish it")
    turn = await room.backend.turn(0)
    ben = room.messaging.join("ben")
    ben.send("thread.open", thread_id=thread)
    await ben.wait("thread.status")
    turn.say(e.SecretRequested(AskId("key"), "PYPI_TOKEN", "The key to publish with"))
    asked = await ana.wait("secret.requested")
    waiting = "Waiting for the client of ana"
    for client in (ana, ben):
        await client.wait("thread.status", status=waiting)
        assert flutter(client.got).status == react(client.got).status == waiting
    assert not ben.all("secret.requested")
    ana.send(
        "secret.response", thread_id=thread, turn_id=turn.input.turn_id, request_id="key", value="s3cret"
    )
    await turn.answered.wait()
    turn.answer("Published.")
    for client in (ana, ben):
        await client.wait("turn.ended")
        assert flutter(client.got).status is None
        asked_in_words, answered = on_screen(flutter(client.got))[1:]
        assert "`PYPI_TOKEN`" in asked_in_words[1], (
            "who has no card reads what is awaited, and where to give it"
        )
        assert answered == ("text", "Published.")
        assert "s3cret" not in str(client.got)
    assert "secret.requested" in flutter(ana.got).ignored
    assert asked["secret_name"] == "PYPI_TOKEN"
