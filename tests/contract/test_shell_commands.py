"""Commands of language models: the scripted one in every dialect, real commands in Codex's sandbox."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from process_agent.core.content import TextPart
from process_agent.core.decisions import EVERY, Decision
from process_agent.core.events import ApprovalRequested, EndReason, ToolLog, ToolStarted, Working
from tests.contract.codex_room import script
from tests.fakes.llm_room import MODELS
from tests.fakes.shell_house import ShellHouse, logged, outcome, shell_house


def told_model(body: object) -> str:
    return json.dumps(body, ensure_ascii=False)


@pytest.mark.parametrize("dialect", MODELS)
async def test_a_command_is_run_shown_and_told_to_the_model(tmp_path: Path, dialect: str) -> None:
    async with shell_house(tmp_path) as house:
        assert house.shell.sandbox.line == "workspace-write, network off"
        assert house.shell.sandbox.caution is None
        told = await house.turn(
            script({"run": "echo one; echo two >&2; pwd; exit 3"}, {"report": True}), model=MODELS[dialect]
        )
        assert told.end.reason is EndReason.COMPLETED
        (started, _) = told.tools("shell")[0]
        assert (started.ref.toolkit, started.ref.tool) == ("shell", "shell")
        assert started.arguments == {
            "command": "echo one; echo two >&2; pwd; exit 3",
            "cwd": str(house.folder),
        }
        found = outcome(told)
        assert found["stdout"] == f"one\ntwo\n{house.folder}\n"
        assert (found["stderr"], found["exit_code"]) == ("", 3)
        assert found["duration_ms"] > 0
        assert logged(told) == found["stdout"]
        assert Working("Running echo one; echo two >&2; pwd; exit 3") in told.events
        assert told.text == found["stdout"]
        body = house.model.requests[-1].body
        assert told_model(body).count("Process exited with code 3\\nOutput:\\none\\ntwo\\n") == 1
        names = [tool.get("name") or tool["function"]["name"] for tool in body["tools"]]
        assert names == ["shell", "apply_patch"]


async def test_output_is_shown_while_the_command_runs(tmp_path: Path) -> None:
    """The command waits for a file that is made when its first output was seen."""
    async with shell_house(tmp_path) as house:

        def on_event(event: object) -> None:
            if isinstance(event, ToolLog) and "first" in event.lines[0].text:
                (house.folder / "go").touch()

        wait = "echo first; until [ -e go ]; do sleep 0.02; done; echo second"
        told = await house.turn(script({"run": wait}), on_event=on_event)
        assert logged(told) == "first\nsecond\n"
        assert outcome(told)["exit_code"] == 0


async def test_what_leaves_the_sandbox_asks(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write = f"echo x >> {outside}"
    async with shell_house(tmp_path) as house:
        told = await house.turn(script({"run": write}, {"report": True}))
        assert "Read-only file system" in told.text
        escalated = {"run": write, "escalate": "May I write there?"}
        told = await house.turn(script(escalated, {"report": True}), decide=Decision.DECLINE)
        (asked,) = told.of(ApprovalRequested)
        assert asked.reason == "May I write there?"
        assert asked.decisions == EVERY
        assert asked.arguments == {"command": write, "cwd": str(house.folder)}
        assert outcome(told)["code"] == "declined"
        assert not outside.exists()
        told = await house.turn(script(escalated), decide=Decision.ACCEPT)
        assert outside.read_text() == "x\n"
        told = await house.turn(script(escalated), decide=Decision.ACCEPT_FOR_SESSION)
        told = await house.turn(script(escalated))
        assert not told.of(ApprovalRequested), "allowed for the session"
        other = {"run": f"{write}; true", "escalate": "And this?"}
        told = await house.turn(script(other))
        assert told.of(ApprovalRequested), "for that very command"
        assert outside.read_text() == "x\n" * 3


async def test_a_command_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    hard = "trap '' TERM; echo begun; (trap '' TERM; sleep 300; touch late) & setsid sleep 300 & sleep 300"
    async with shell_house(tmp_path, sandbox="full-access", approvals="auto") as house:
        call = {"call": "shell", "arguments": {"command": hard, "timeout_seconds": 1}}
        told = await house.turn(script(call, {"report": True}))
        found = outcome(told)
        assert (found["exit_code"], found["stdout"]) == (124, "begun\n")
        assert "It took longer than 1 s" in told_model(house.model.requests[-1].body)
        assert await gone(mark_of(house), "sleep 300")


def mark_of(house: ShellHouse) -> str:
    """What all its commands carry in their environment."""
    mark = house.shell.sandbox._mark
    assert mark is not None
    return mark.word


async def gone(mark: str, words: str) -> bool:
    """Whether no process with this command line bears the mark any more."""
    word = mark.encode()

    def left() -> list[str]:
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and word in (entry / "environ").read_bytes():
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append(line)
            except OSError:
                continue
        return [line for line in found if words in line]

    async with asyncio.timeout(10):
        while left():  # noqa: ASYNC110 - the system tells nobody
            await asyncio.sleep(0.05)
    return True


@pytest.mark.parametrize("sandbox", ["workspace-write", "full-access"])
async def test_an_interrupt_ends_what_runs_whatever_it_made_of_itself(tmp_path: Path, sandbox: str) -> None:
    """Ignoring SIGTERM, a session of its own, a daemon that lost its parent: nothing stays."""
    hard = (
        "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; sleep 301' & "
        "(setsid sleep 302 & ) ; echo begun; sleep 303"
    )
    async with shell_house(tmp_path, sandbox=sandbox, approvals="auto") as house:
        thread = await house.thread()

        def on_event(event: object) -> None:
            if isinstance(event, ToolLog) and "begun" in event.lines[0].text:
                tasks.append(asyncio.ensure_future(thread.interrupt()))

        tasks: list[asyncio.Future[None]] = []
        told = await house.turn(script({"run": hard}), thread=thread, on_event=on_event, stop=True)
        assert told.end.reason is EndReason.INTERRUPTED
        assert outcome(told)["code"] == "cancelled"
        assert await gone(mark_of(house), "sleep 30")
        await asyncio.gather(*tasks)


async def test_calls_of_one_answer_run_side_by_side_and_a_steer_is_taken_up_after_them(
    tmp_path: Path,
) -> None:
    """Each of the two waits for the other: one after the other they would never end."""
    one = {"run": "touch a; until [ -e b ]; do sleep 0.02; done; echo one"}
    two = {"run": "touch b; until [ -e a ]; do sleep 0.02; done; echo two"}
    async with shell_house(tmp_path) as house:
        thread = await house.thread()
        steered: list[asyncio.Future[None]] = []

        def on_event(event: object) -> None:
            if isinstance(event, ToolStarted) and not steered:
                text = script({"say": "steered"})
                steered.append(asyncio.ensure_future(thread.steer((TextPart(text),), "ada")))

        told = await house.turn(
            script({"together": [one, two]}, {"say": "not said"}), thread=thread, on_event=on_event
        )
        await asyncio.gather(*steered)
        assert [outcome(told, number=n)["stdout"] for n in (0, 1)] == ["one\n", "two\n"]
        assert told.text == "steered"
        last = told_model(house.model.requests[-1].body)
        assert last.index("Output:\\none") < last.index("Output:\\ntwo") < last.index("steered")
