"""Turns of the real Codex program with the scripted model."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from process_agent.core.backend import AgentMessage, HistoryItem, UserMessage
from process_agent.core.content import ErrorInfo, JsonResult, TextPart
from process_agent.core.decisions import Decision
from process_agent.core.events import (
    ApprovalRequested,
    BackendEvent,
    EndReason,
    ReasoningDelta,
    TextDelta,
    ToolLog,
    ToolStarted,
    TurnEnded,
    UsageUpdated,
)
from process_agent.errors import TurnRefusedError
from tests.contract.codex_room import Room, Told, codex_room, gone, script

ESCALATED = {"run": "echo done > outside.txt && cat outside.txt", "escalate": "it is needed"}


def result_of(told: Told) -> dict[str, Any]:
    ((_, ended),) = told.tools("shell")
    assert isinstance(ended.result, JsonResult)
    assert isinstance(ended.result.json, dict)
    return ended.result.json


async def test_text_commands_patches_plans_and_errors(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        told = await room.turn(
            thread, script({"think": "Hm."}, {"say": "Hello there", "phase": "final_answer"})
        )
        assert told.text == "Hello there"
        assert told.end == TurnEnded(EndReason.COMPLETED)
        assert "".join(e.text for e in told.events if isinstance(e, ReasoningDelta)) == "Hm."
        assert [e for e in told.events if isinstance(e, UsageUpdated)]

        told = await room.turn(thread, script({"run": "echo out; echo err >&2; exit 3"}, {"say": "ran"}))
        result = result_of(told)
        assert sorted(result["stdout"].split()) == ["err", "out"]
        assert result["exit_code"] == 3
        ((start, _),) = told.tools("shell")
        assert start.arguments == {"command": "echo out; echo err >&2; exit 3", "cwd": str(room.folder)}

        told = await room.turn(
            thread, script({"write": "new.txt", "content": "one\ntwo\n"}, {"say": "wrote"})
        )
        assert (room.folder / "new.txt").read_text() == "one\ntwo\n"
        ((start, _),) = told.tools("apply_patch")
        assert "+++ b/new.txt\n@@ -0,0 +1,2 @@\n+one\n+two\n" in str(start.arguments["patch"])
        ((diff, _),) = told.tools("diff_updated")
        assert "+one\n+two\n" in str(diff.arguments["diff"])

        plan = {"plan": [{"step": "a", "status": "completed"}, "b"], "explanation": "why"}
        ((start, _),) = (await room.turn(thread, script(plan, {"say": "planned"}))).tools("plan")
        assert start.arguments["text"] == "why\n\n- [x] a\n- [ ] b"

        told = await room.turn(thread, script({"fault": 429, "code": "insufficient_quota"}))
        assert told.end.reason is EndReason.FAILED
        assert told.end.error is not None
        assert told.end.error.code == "usage_limit_exceeded"
        assert (await room.turn(thread, "say still here")).end.reason is EndReason.COMPLETED


async def test_the_start_summary_and_the_models(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        lines = dict(room.summary.lines)
        assert list(lines)[:6] == ["codex", "account", "model", "sandbox", "approvals", "working folder"]
        assert lines["account"] == "scripted model"
        assert lines["codex"].startswith("0.")
        (provider,) = room.backend.models()
        assert (provider.name, provider.friendly_name, provider.backend) == (
            "scripted",
            "scripted model",
            "codex",
        )
        assert [model.name for model in provider.models] == ["scripted"]
        assert room.backend.default_model().model == "scripted"


async def test_history_is_told_once_and_again_after_codex_was_killed(tmp_path: Path) -> None:
    history: list[HistoryItem] = [
        UserMessage((TextPart("My cat is called Ada."),), "ada"),
        AgentMessage("Noted: Ada."),
    ]
    async with codex_room(tmp_path) as room:
        thread = await room.thread(history)
        await room.turn(thread, "say first answer")
        assert conversation(room)[:2] == ["My cat is called Ada.", "Noted: Ada."]
        assert conversation(room).count("Noted: Ada.") == 1

        def kill(event: BackendEvent) -> None:
            if isinstance(event, ToolStarted):
                os.kill(room.app_server(), signal.SIGKILL)

        told = await room.turn(thread, script({"run": "sleep 50"}), kill)
        assert told.end.reason is EndReason.LOST
        assert told.end.error is not None
        assert told.end.error.code == "codex_lost"
        ((_, ended),) = told.tools("shell")
        assert ended.error is not None
        assert ended.error.code == "lost"

        told = await room.turn(thread, "say back again")
        assert told.end.reason is EndReason.COMPLETED
        assert told.text == "back again"
        said = conversation(room)
        assert said[:3] == ["My cat is called Ada.", "Noted: Ada.", "say first answer"]
        assert "first answer" in said[3]
        assert said.count("Noted: Ada.") == 1


def conversation(room: Room) -> list[str]:
    """The messages of people and of the agent in the latest request to the model."""
    items = room.model.requests[-1].body["input"]
    texts = [
        "".join(part.get("text", "") for part in item["content"])
        for item in items
        if item.get("type") == "message" and item["role"] in ("user", "assistant")
    ]
    return [text for text in texts if not text.startswith("<")]


@pytest.mark.parametrize("decision", [Decision.ACCEPT, Decision.DECLINE])
async def test_a_command_outside_the_sandbox_needs_a_decision(tmp_path: Path, decision: Decision) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        answers: list[bool] = []

        async def decide(event: ApprovalRequested) -> None:
            answers.append(await thread.decide(event.ref.item_id, decision))
            answers.append(await thread.decide(event.ref.item_id, decision))

        told = await room.turn(
            thread,
            script(ESCALATED, {"say": "over"}),
            lambda e: decide(e) if isinstance(e, ApprovalRequested) else None,
        )
        assert answers == [True, False]
        (asked,) = [e for e in told.events if isinstance(e, ApprovalRequested)]
        assert asked.reason == "it is needed"
        assert asked.arguments["command"] == ESCALATED["run"]
        assert (room.folder / "outside.txt").exists() == (decision is Decision.ACCEPT)
        assert told.end.reason is EndReason.COMPLETED
        ((_, ended),) = told.tools("shell")
        assert (ended.error is None) == (decision is Decision.ACCEPT)


async def test_a_file_outside_the_working_folder_needs_a_decision(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        target = tmp_path / "elsewhere.txt"
        told = await room.turn(
            thread,
            script({"write": str(target), "content": "x\n"}, {"say": "over"}),
            lambda e: (
                thread.decide(e.ref.item_id, Decision.DECLINE) if isinstance(e, ApprovalRequested) else None
            ),
        )
        (asked,) = [e for e in told.events if isinstance(e, ApprovalRequested)]
        assert str(target) in str(asked.arguments["patch"])
        assert not target.exists()


async def test_with_deny_codex_never_asks(tmp_path: Path) -> None:
    async with codex_room(tmp_path, approvals="deny") as room:
        told = await room.turn(await room.thread(), script(ESCALATED, {"say": "over"}))
        assert not [e for e in told.events if isinstance(e, ApprovalRequested)]
        assert not (room.folder / "outside.txt").exists()


async def test_full_access_with_ask_asks_before_everything(tmp_path: Path) -> None:
    async with codex_room(tmp_path, sandbox="full-access") as room:
        thread = await room.thread()
        told = await room.turn(
            thread,
            script({"run": "touch made"}, {"write": "a.txt", "content": "a\n"}, {"say": "over"}),
            lambda e: (
                thread.decide(e.ref.item_id, Decision.DECLINE) if isinstance(e, ApprovalRequested) else None
            ),
        )
        assert len([e for e in told.events if isinstance(e, ApprovalRequested)]) == 2
        assert list(room.folder.iterdir()) == []


async def test_an_interrupt_ends_the_turn_and_the_command(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        loop = asyncio.get_running_loop()
        asked_at: list[float] = []

        async def stop() -> None:
            asked_at.append(loop.time())
            await thread.interrupt()
            await thread.interrupt()

        command = "echo started; for i in 1 2 3 4 5 6; do sleep 0.5; echo $i >> ticks; done"
        told = await room.turn(
            thread, script({"run": command}), lambda e: stop() if isinstance(e, ToolStarted) else None
        )
        assert loop.time() - asked_at[0] < 2
        assert told.end == TurnEnded(EndReason.INTERRUPTED)
        ((_, ended),) = told.tools("shell")
        assert ended.error == ErrorInfo("Stopped.", "interrupted")
        assert (await room.turn(thread, "say next")).text == "next"
        await until_no_command_runs(room)
        ticks = room.folder / "ticks"
        assert not ticks.exists() or len(ticks.read_text().split()) < 6


async def until_no_command_runs(room: Room) -> None:
    for pid, name in room.processes().items():
        if name == "sleep":
            assert await gone(pid, 3)


@pytest.mark.parametrize(
    "work",
    [{"say": "x ", "times": 6_000, "every_ms": 50}, {"sleep_ms": 60_000}, {"run": "sleep 300"}],
)
async def test_twenty_turns_stop_at_once_and_each_stop_counts_once(
    tmp_path: Path, work: dict[str, Any]
) -> None:
    async with codex_room(tmp_path) as room:
        threads = [await room.thread() for _ in range(20)]
        async with asyncio.TaskGroup() as group:
            turns = [
                group.create_task(room.turn(thread, script(work, {"say": "late"}))) for thread in threads
            ]
            await room.model.wait_for_requests(20)
            for _ in range(3):
                await asyncio.gather(*(thread.interrupt() for thread in threads))
        assert {turn.result().end for turn in turns} == {TurnEnded(EndReason.INTERRUPTED)}
        for pid, name in room.processes().items():
            assert name != "sleep" or await gone(pid, 5), "commands that were just beginning end too"
        again = await asyncio.gather(*(room.turn(thread, "say next") for thread in threads))
        assert [told.text for told in again] == ["next"] * 20


async def test_an_interrupt_before_codex_knows_of_the_turn(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(room.turn(thread, script({"sleep_ms": 30_000}, {"say": "late"})))
            await asyncio.sleep(0)
            await thread.interrupt()
        assert running.result().end == TurnEnded(EndReason.INTERRUPTED)
        await thread.interrupt()
        assert (await room.turn(thread, "say fine")).text == "fine"


async def test_a_steer_is_taken_up_by_the_running_turn(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        steered: list[Coroutine[Any, Any, None]] = []

        def steer(event: BackendEvent) -> object:
            if isinstance(event, TextDelta) and not steered:
                steered.append(thread.steer((TextPart("say steered"),), "bob"))
                return steered[0]
            return None

        told = await room.turn(thread, script({"say": "x ", "times": 600, "every_ms": 50}), steer)
        assert told.end.reason is EndReason.COMPLETED
        assert told.text.endswith("steered")
        assert "say steered" not in told.text, "what we said is not shown as the agent's"
        with pytest.raises(TurnRefusedError) as refused:
            await thread.steer((TextPart("too late"),), "bob")
        assert refused.value.code == "turn_not_in_progress"


async def test_a_stray_ending_of_the_reader_interrupts_the_turn(tmp_path: Path) -> None:
    """Whoever stops listening to a turn stops the turn."""
    async with codex_room(tmp_path) as room:
        thread = await room.thread()

        class Enough(Exception):
            pass

        def leave(event: BackendEvent) -> None:
            if isinstance(event, TextDelta):
                raise Enough

        with pytest.raises(Enough):
            await room.turn(thread, script({"say": "x ", "times": 600, "every_ms": 50}), leave)
        assert (await room.turn(thread, "say free again")).text == "free again"


async def test_codex_searches_the_web_when_told_to_and_commands_stay_offline(tmp_path: Path) -> None:
    async with codex_room(tmp_path, web_search=True) as room:
        lines = dict(room.summary.lines)
        assert lines["web search"] == "Codex"
        assert lines["sandbox"].endswith("network off")
        told = await room.turn(await room.thread(), script({"search": "pears"}, {"say": "found"}))
        ((started, _),) = told.tools("web_search")
        assert started.arguments["query"] == "pears"
        assert told.text == "found"
        (offered,) = [t for t in room.model.requests[0].body["tools"] if t["type"] == "web_search"]
        assert offered["external_web_access"] is True
    async with codex_room(tmp_path) as room:
        await room.turn(await room.thread(), script({"say": "x"}))
        assert "web search" not in dict(room.summary.lines)
        assert not [t for t in room.model.requests[0].body["tools"] if t["type"] == "web_search"]


async def test_of_an_endless_line_the_ends_are_shown_and_what_lies_between_is_counted(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        run = "printf first; head -c 5000000 /dev/zero | tr '\\0' x; printf last; exit 4"
        told = await room.turn(thread, script({"run": run}, {"say": "over"}))
        result = result_of(told)
        beginning, note, end = result["stdout"].split("\n")
        assert (beginning[:6], end[-5:], result["exit_code"]) == ("firstx", "xlast", 4)
        left_out = int("".join(char for char in note if char.isdigit()))
        assert len(beginning) + left_out + len(end) == 5_000_000 + len("firstlast")
        assert len(result["stdout"]) < 1024 * 1024 + 200
        assert told.text == "over"
        told = await room.turn(thread, script({"run": "echo next"}, {"say": "too"}))
        assert (result_of(told)["stdout"], told.text) == ("next\n", "too")


async def test_output_is_seen_before_the_command_ends(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        seen: list[str] = []

        def go_on(event: BackendEvent) -> None:
            if isinstance(event, ToolLog):
                seen.extend(line.text for line in event.lines)
                (room.folder / "go").touch()

        # Codex leaves out of the stream what comes in the first moment (0.163.0); at the end it is there.
        run = "while ! test -e go; do echo before; sleep 0.1; done; echo after"
        async with asyncio.timeout(30):
            told = await room.turn(await room.thread(), script({"run": run}, {"say": "over"}), go_on)
        assert seen[0].startswith("before\n")
        stdout = result_of(told)["stdout"]
        assert stdout.endswith("".join(seen))
        assert stdout.endswith("before\nafter\n")
