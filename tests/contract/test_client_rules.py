"""What the web and mobile clients would show of our agent's threads: live, late, replayed, from the rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from process_agent.agent.assemble import Agent, started
from process_agent.agent.channels import AgentRoom
from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, JsonResult, LogLine
from process_agent.core.ids import ItemId
from process_agent.core.usage import ContextWindow, Usage
from tests.contract.agent_room import AGENT, ChatClient, agent_in, chat_client
from tests.fakes.agent_house import Room, config, said
from tests.fakes.backend import FakeBackend, PlayedTurn
from tests.fakes.flutter_rules import Bubble, FlutterStart, FlutterThread, shows
from tests.fakes.react_rules import ReactThread
from tests.fakes.room import LocalRoom

DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
SHELL = e.ToolRef(ItemId("shell"), "codex", "shell", "codex")
PATCH = e.ToolRef(ItemId("patch"), "codex", "apply_patch", "codex")
DIFF_TOOL = e.ToolRef(ItemId("diff"), "codex", "diff_updated", "codex")
REPEATS = ["1", "0", "0", " ha", " ha", " ha", "\n", "\n", "\n", "1", "100 ha"]


def begin(turn: PlayedTurn) -> None:
    """Everything a turn can show, up to the middle of its answer."""
    note, thought, answer = ItemId("note"), ItemId("thought"), ItemId("answer")
    turn.say(e.ReasoningStarted(thought), *(e.ReasoningDelta(thought, x) for x in ("hm", ", ", "hm")))
    turn.say(e.ReasoningEnded(thought), e.TextStarted(note, "commentary"))
    turn.say(e.TextDelta(note, "I look.", "commentary"), e.TextEnded(note, "commentary"))
    turn.say(e.ToolStarted(SHELL, {"command": "pytest -q", "cwd": "/w"}))
    turn.say(e.ToolLog(SHELL, (LogLine("1 failed\n"),)), e.ToolLog(SHELL, (LogLine("0 passed\n"),)))
    turn.say(e.ToolEnded(SHELL, JsonResult({"stdout": "1 failed\n0 passed\n", "stderr": "", "exit_code": 1})))
    turn.say(e.ToolStarted(PATCH, {"patch": DIFF}), e.ToolEnded(PATCH))
    turn.say(e.ToolStarted(DIFF_TOOL, {"diff": DIFF}), e.ToolEnded(DIFF_TOOL))
    turn.say(e.FileShown(ItemId("file"), "room:///out.png"), e.TextStarted(answer, "final_answer"))
    turn.say(*(e.TextDelta(answer, piece, "final_answer") for piece in REPEATS))


def finish(turn: PlayedTurn) -> None:
    answer = ItemId("answer")
    turn.say(*(e.TextDelta(answer, piece, "final_answer") for piece in REPEATS), e.TextEnded(answer))
    turn.say(e.UsageUpdated(Usage(1200, 300, 80, 20), ContextWindow(1280, 400_000)))
    turn.end()


ANSWER = "".join(REPEATS) * 2


def expected(sender: str) -> list[tuple[str, str]]:
    return [
        ("user", sender),
        ("reasoning", "hm, hm"),
        ("text", "I look."),
        ("terminal", "1 failed\n0 passed\n"),
        ("diff", DIFF),
        ("diff", DIFF),
        ("file", "room:///out.png"),
        ("text", ANSWER),
    ]


def flutter(messages: list[dict[str, Any]]) -> FlutterThread:
    thread = FlutterThread()
    for message in messages:
        thread.take(message)
    return thread


def react(messages: list[dict[str, Any]]) -> ReactThread:
    thread = ReactThread()
    for message in messages:
        thread.take(message)
    assert thread.clashes == []
    return thread


def on_screen(thread: FlutterThread) -> list[tuple[str, str]]:
    return [(bubble.kind, bubble.text) for bubble in thread.bubbles]


REACT_KINDS = {"terminal": "tool", "diff": "tool"}


def check_react(thread: ReactThread, wanted: list[tuple[str, str]]) -> None:
    shown = [(line.kind, line.text) for line in thread.lines if line.kind != "tool"]
    assert shown == [(kind, text) for kind, text in wanted if kind not in REACT_KINDS]
    assert sum(line.kind == "tool" for line in thread.lines) == sum(kind in REACT_KINDS for kind, _ in wanted)
    assert thread.pending == set()
    assert all(line.done for line in thread.lines if line.kind in {"text", "reasoning", "tool"})


async def rows(client: Any, thread_id: str) -> list[dict[str, Any]]:
    *namespace, table = thread_id.removeprefix("dataset://").split("/")
    found: list[dict[str, Any]] = (await client.datasets.search(table=table, namespace=namespace)).to_pylist()
    return found


async def loaded(client: ChatClient, thread: str) -> list[dict[str, Any]]:
    first = len(client.got)
    source = await client.send("thread.open", thread_id=thread, load=True)
    await client.wait("thread.loaded", source_message_id=source)
    return client.got[first:]


async def test_the_same_is_shown_live_late_replayed_and_from_the_rows(
    server: LocalRoom, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        chat_client(server, "ana") as ana,
        chat_client(server, "ben") as ben,
        chat_client(server, "late") as late,
    ):
        await ben.send("thread.watch")
        await ana.say("thread.start", "show me all")
        thread = (await ben.wait("thread.created"))["thread"]["path"]
        assert shows(thread)
        await ben.send("thread.open", thread_id=thread)
        turn = await backend.turn(0)
        await ben.wait("thread.status", mode="steerable")
        begin(turn)
        await ben.wait("text_content.delta", item_id="answer")
        middle = await loaded(late, thread)
        seen = flutter(middle)
        assert (seen.status, seen.may_steer, seen.loading) == ("Thinking", turn.input.turn_id, False)
        assert on_screen(seen)[:-1] == expected("show me all")[:-1]
        assert seen.bubbles[-1].text
        finish(turn)
        for client in (ana, ben, late):
            await client.wait("turn.ended")
            await client.wait("thread.status", status=None)
        for client in (ben, late):
            assert on_screen(flutter(client.got)) == expected("show me all")
            check_react(react(client.got), expected("show me all"))
        # Who asked shows its own input at once and gets no echo.
        assert on_screen(flutter(ana.got)) == expected("show me all")
        for name in ("answer", "note", "shell"):
            assert all(b.final for b in flutter(ben.got).bubbles if b.name == name)
        assert react(ben.got).footer == {"tokens": 1280, "used_tokens": 1280, "total_tokens": 400_000}
    async with (
        agent_in(server, tmp_path, [FakeBackend()]),
        chat_client(server, "cleo") as cleo,
        server.client("reader") as reader,
    ):
        replay = await loaded(cleo, thread)
        drained = FlutterThread()
        drained.drain(replay)
        assert on_screen(drained) == expected("show me all")
        assert (drained.loading, drained.status) == (False, None)
        # Nothing that must be seen is of a type that the clients pass over.
        assert set(drained.ignored) <= {"usage.updated", "model.changed", "thread.loaded"}
        check_react(react(replay), expected("show me all"))
        history = ReactThread()
        history.read(await rows(reader, thread))
        check_react(history, expected("show me all"))
        assert history.footer == {"tokens": 1280, "used_tokens": 1280, "total_tokens": 400_000}
        assert on_screen(flutter([*replay, *await loaded(cleo, thread)])) == expected("show me all")


async def test_replayed_times_grow_with_every_event(server: LocalRoom, tmp_path: Path) -> None:
    """Flutter sorts what is replayed by its times, and its sort may swap equal ones."""
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), chat_client(server, "ana") as ana:
        await ana.say("thread.start", "one")
        thread = (await ana.wait("thread.started"))["thread_id"]
        for number in range(2):
            turn = await backend.turn(number)
            begin(turn)
            finish(turn)
            await ana.wait("turn.ended", turn_id=turn.input.turn_id)
            if number == 0:
                await ana.say("turn.start", "two", thread_id=thread)
        await ana.wait("thread.status", status=None)
        replay = await loaded(ana, thread)
        times = [message["created_at"] for message in replay]
        assert times == sorted(set(times))


async def test_inputs_that_wait_steer_or_fail(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        chat_client(server, "ana") as ana,
        chat_client(server, "ben") as ben,
    ):
        await ben.send("thread.watch")
        await ana.say("thread.start", "first")
        thread = (await ben.wait("thread.created"))["thread"]["path"]
        await ben.send("thread.open", thread_id=thread)
        first = await backend.turn(0)
        first.say(e.TextStarted(ItemId("one")), e.TextDelta(ItemId("one"), "working"))
        await ben.wait("text_content.delta")
        queued = await ana.say("turn.start", "second", thread_id=thread)
        await ben.wait("turn.start.accepted", source_message_id=queued)
        assert flutter(ana.got).pending == ["second"]
        assert len(react(ben.got).pending) == 1
        steer = await ana.say("turn.steer", "faster", thread_id=thread, turn_id=first.input.turn_id)
        await ben.wait("turn.steered", source_message_id=steer)
        first.say(
            e.TextEnded(ItemId("one")), e.TurnEnded(e.EndReason.FAILED, ErrorInfo("It broke.", "broken"))
        )
        second = await backend.turn(1)
        second.say(e.TextStarted(ItemId("two")))
        await ben.wait("text_content.started", item_id="two")
        await ana.send("turn.interrupt", thread_id=thread, turn_id=second.input.turn_id)
        await ben.wait("turn.ended", turn_id=second.input.turn_id)
        wanted = [
            ("user", "first"),
            ("text", "working"),
            ("user", "faster"),
            ("error", "It broke."),
            ("user", "second"),
        ]
        shown = [line for line in on_screen(flutter(ben.got)) if line != ("text", "")]
        assert sorted(shown) == sorted(wanted), "an interrupted turn is no error"
        assert flutter(ben.got).pending == []
        assert react(ben.got).pending == set()
        replay = FlutterThread()
        replay.drain(await loaded(ana, thread))
        assert sorted(line for line in on_screen(replay) if line != ("text", "")) == sorted(wanted)


async def test_a_thread_that_cannot_start_ends_the_wait_of_every_client(
    server: LocalRoom, tmp_path: Path
) -> None:
    async with agent_in(server, tmp_path, [FakeBackend()]), chat_client(server, "ana") as ana:
        source = await ana.say("thread.start", "hello", model="none-such")
        start = FlutterStart(source)
        assert start.waiting
        await ana.wait("thread.start.rejected", source_message_id=source)
        for message in ana.got:
            start.take(message)
        assert start.error
        rejected = ana.all("turn.start.rejected") or [await ana.wait("turn.start.rejected")]
        assert rejected[0]["source_message_id"] == source
        started = FlutterStart(await ana.say("thread.start", "hello"))
        started.take(await ana.wait("thread.started"))
        assert started.thread_id is not None
        assert started.thread_id.startswith(f"dataset://agents/{AGENT}/threads/")
        assert "dataset://" not in started.thread_id.removeprefix("dataset://")


async def test_an_approval_is_seen_where_it_cannot_be_given(server: LocalRoom, tmp_path: Path) -> None:
    """Neither client shows approval requests: the status says what the turn waits for."""
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), chat_client(server, "ana") as ana:
        await ana.say("thread.start", "delete it")
        turn = await backend.turn(0)
        turn.say(
            e.ToolStarted(SHELL, {"command": "rm -rf ."}), e.ApprovalRequested(SHELL, {"command": "rm -rf ."})
        )
        await ana.wait("tool_call.approval_requested")
        await ana.wait("thread.status", status="Waiting for approval")
        for shown in (flutter(ana.got), react(ana.got)):
            assert shown.status == "Waiting for approval"
            assert "tool_call.approval_requested" in shown.ignored
        assert Bubble("terminal", name="shell") in flutter(ana.got).bubbles
        turn.end()


async def test_an_agent_with_one_thread_for_everybody(tmp_path: Path) -> None:
    """`--threading-mode none`: the single-thread view opens what the attribute names, be it there or not."""
    house = Room(tmp_path)
    made = replace(config(tmp_path), single_thread=True)
    inside = AgentRoom(house.messaging, house.store)
    async with started([house.backend]) as backends, Agent(made, inside, backends):
        attributes = house.messaging.attributes
        assert "meshagent.chatbot.threading" not in attributes
        path = attributes["meshagent.chatbot.thread-path"]
        assert isinstance(path, str)
        assert shows(path)
        assert path.count("://") == 1
        ana = house.messaging.join("ana")
        ana.send("thread.open", thread_id=path, load=True)
        await ana.wait("thread.loaded")
        ana.send("turn.start", thread_id=path, content=said("hello"))
        (await house.backend.turn(0)).answer("hi")
        await ana.wait("turn.ended")
        assert on_screen(flutter(ana.got)) == [("user", "hello"), ("text", "hi")]
