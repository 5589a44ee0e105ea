"""`--advanced-shell`: commands that go on between calls and turns, with and without a terminal."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested, EndReason, ToolLog
from process_agent.errors import BackendError
from process_agent.io.command_profile import NO_SANDBOX
from tests.contract.codex_room import script
from tests.contract.test_shell_commands import gone, mark_of
from tests.fakes.shell_house import THREAD, logged, outcome, shell_house


def start(cmd: str, wait_ms: int = 300, **more: Any) -> dict[str, Any]:
    return {"call": "exec_command", "arguments": {"cmd": cmd, "yield_time_ms": wait_ms, **more}}


def write(session: int, chars: str = "", wait_ms: int = 20_000) -> dict[str, Any]:
    given = {"session_id": session, "yield_time_ms": wait_ms} | ({"chars": chars} if chars else {})
    return {"call": "write_stdin", "arguments": given}


async def test_a_command_goes_on_and_is_written_to_in_later_turns(tmp_path: Path) -> None:
    async with shell_house(tmp_path, one_shot=False, lasting=True) as house:
        told = await house.turn(script(start("while read x; do echo got $x; [ $x = end ] && exit 7; done")))
        found = outcome(told, "exec_command")
        assert (found["session_id"], found["exit_code"]) == (1, None)
        assert "Process running with session ID 1" in str(house.model.requests[-1].body)
        told = await house.turn(script(write(1, "one\n", 300), {"call": "list_sessions"}))
        assert outcome(told, "write_stdin")["stdout"] == "got one\n"
        (listed,) = outcome(told, "list_sessions")["sessions"]
        assert (listed["session_id"], listed["running"]) == (1, True)
        told = await house.turn(script(write(1, "two\nend\n")))
        found = outcome(told, "write_stdin")
        assert (found["stdout"], found["exit_code"]) == ("got two\ngot end\n", 7)
        assert logged(told) == "got two\ngot end\n"
        told = await house.turn(script(write(1)))
        assert "no session 1" in outcome(told, "write_stdin")["error"]


async def test_a_short_command_ends_with_its_call(tmp_path: Path) -> None:
    async with shell_house(tmp_path, one_shot=False, lasting=True) as house:
        told = await house.turn(script({"run": "echo hi; exit 2"}, {"report": True}))
        found = outcome(told, "exec_command")
        assert (found["stdout"], found["exit_code"]) == ("hi\n", 2)
        assert "session_id" not in found
        names = [tool["name"] for tool in house.model.requests[0].body["tools"]]
        assert names == ["exec_command", "write_stdin", "list_sessions", "kill_session", "apply_patch"]


async def test_a_terminal_is_one_and_takes_control_characters(tmp_path: Path) -> None:
    async with shell_house(tmp_path, one_shot=False, lasting=True) as house:
        loop = "test -t 0 && test -t 1 && echo a terminal; trap 'echo stopped; exit 5' INT; cat"
        told = await house.turn(script(start(loop, 1_500, tty=True), write(1, "\x03")))
        found = outcome(told, "exec_command")["stdout"] + outcome(told, "write_stdin")["stdout"]
        assert "a terminal" in found
        assert "stopped" in found
        assert outcome(told, "write_stdin")["exit_code"] == 5
        told = await house.turn(script(start("cat; echo over", 1_500, tty=True), write(2, "hello\n\x04")))
        assert outcome(told, "write_stdin")["stdout"] == "hello\nover\n"


async def test_sessions_end_when_they_are_killed_or_their_turn_or_thread_is(tmp_path: Path) -> None:
    hard = "trap '' TERM; setsid sleep 304 & sleep 305"
    async with shell_house(tmp_path, lasting=True, sandbox="full-access", approvals="auto") as house:
        told = await house.turn(script(start(hard), {"call": "kill_session", "arguments": {"session_id": 1}}))
        assert outcome(told, "kill_session")["exit_code"] is not None
        assert await gone(mark_of(house), "sleep 30")
        thread = await house.thread()

        def on_event(event: object) -> None:
            if isinstance(event, ToolLog) and "waits" in event.lines[0].text:
                stops.append(asyncio.ensure_future(thread.interrupt()))

        stops: list[asyncio.Future[None]] = []
        calls = (start(hard), {"run": "echo waits; sleep 306"})
        told = await house.turn(script(*calls), thread=thread, on_event=on_event, stop=True)
        assert told.end.reason is EndReason.INTERRUPTED
        assert await gone(mark_of(house), "sleep 30")
        await house.turn(script(start(hard)))
        house.tooling.left(THREAD)
        assert await gone(mark_of(house), "sleep 30")
        await asyncio.gather(*stops)


async def test_what_a_session_outside_is_told_to_do_asks_too(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    async with shell_house(tmp_path, lasting=True) as house:
        escalate: dict[str, Any] = {"sandbox_permissions": "require_escalated", "justification": "A shell?"}
        told = await house.turn(script(start("sh", **escalate)), decide=Decision.ACCEPT)
        (asked,) = told.of(ApprovalRequested)
        assert asked.reason == "A shell?"
        told = await house.turn(script(write(1, f"echo x > {outside}; exit\n")), decide=Decision.DECLINE)
        (asked,) = told.of(ApprovalRequested)
        assert "outside of any sandbox: sh" in str(asked.reason)
        assert not outside.exists()
        told = await house.turn(script(write(1, f"echo x > {outside}; exit\n")), decide=Decision.ACCEPT)
        assert outside.read_text() == "x\n"


async def test_an_allowed_text_is_no_leave_for_another(tmp_path: Path) -> None:
    """A model that was let answer a question for the session cannot then write commands to a shell."""
    outside = tmp_path / "outside"
    escalate: dict[str, Any] = {"sandbox_permissions": "require_escalated"}
    async with shell_house(tmp_path, lasting=True) as house:
        await house.turn(script(start("sh", **escalate)), decide=Decision.ACCEPT)
        harmless = write(1, "echo ok\n", 500)
        await house.turn(script(harmless), decide=Decision.ACCEPT_FOR_SESSION)
        told = await house.turn(script(harmless, write(1, f"echo x > {outside}\n", 500)))
        (asked,) = told.of(ApprovalRequested)
        assert str(outside) in str(asked.arguments)
        assert not outside.exists()


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """An environment in which no sandbox works."""
    (tmp_path / "broken").write_text("#!/bin/sh\n[ $1 = --version ] && echo codex-cli 0.163.0 || exit 1\n")
    (tmp_path / "broken").chmod(0o755)
    return {"PROCESS_CODEX_BINARY": str(tmp_path / "broken")}


@pytest.mark.parametrize("mode", ["auto", "deny"])
async def test_sessions_without_a_sandbox_are_refused_where_nobody_is_asked(
    tmp_path: Path, broken: dict[str, str], mode: str
) -> None:
    with pytest.raises(BackendError, match=r"does not work on this machine.*--sandbox full-access"):
        async with shell_house(tmp_path, one_shot=False, lasting=True, approvals=mode, environment=broken):
            raise AssertionError("it would be offered now")


async def test_without_a_sandbox_each_start_and_each_text_asks(
    tmp_path: Path, broken: dict[str, str]
) -> None:
    mark = tmp_path / "mark"
    async with shell_house(tmp_path, one_shot=False, lasting=True, environment=broken) as house:
        told = await house.turn(script(start(f"touch {mark}; cat")))
        (asked,) = told.of(ApprovalRequested)
        assert (asked.reason, outcome(told, "exec_command")["code"]) == (NO_SANDBOX, "declined")
        assert not mark.exists()
        told = await house.turn(script({"call": "list_sessions"}))
        assert (outcome(told, "list_sessions")["sessions"], told.of(ApprovalRequested)) == ([], [])

        told = await house.turn(script(start("sh")), decide=Decision.ACCEPT)
        assert outcome(told, "exec_command")["session_id"] == 1
        attempts = (
            write(1, f"touch {mark}\n", 500),
            write(1, f"touch {mark}", 500),
            write(1, "\n", 500),
            write(1, "\x04", 500),
        )
        told = await house.turn(script(*attempts))
        asked_for = [asked.arguments.get("chars") for asked in told.of(ApprovalRequested)]
        assert asked_for == [attempt["arguments"]["chars"] for attempt in attempts]
        assert not mark.exists()
        told = await house.turn(script(write(1, wait_ms=200), {"call": "list_sessions"}))
        assert not told.of(ApprovalRequested), "reading asks nobody"
        told = await house.turn(script(write(1, f"touch {mark}; exit 3\n")), decide=Decision.ACCEPT)
        assert outcome(told, "write_stdin")["exit_code"] == 3
        assert mark.exists()


async def test_without_a_sandbox_a_session_is_ended_without_asking(
    tmp_path: Path, broken: dict[str, str]
) -> None:
    async with shell_house(tmp_path, one_shot=False, lasting=True, environment=broken) as house:
        await house.turn(script(start("cat")), decide=Decision.ACCEPT)
        told = await house.turn(script({"call": "kill_session", "arguments": {"session_id": 1}}))
        assert not told.of(ApprovalRequested)
        assert outcome(told, "kill_session")["exit_code"] is not None


async def test_who_insists_is_asked_nothing(tmp_path: Path, broken: dict[str, str]) -> None:
    given: dict[str, Any] = {"sandbox": "full-access", "approvals": "auto", "environment": broken}
    async with shell_house(tmp_path, one_shot=False, lasting=True, **given) as house:
        told = await house.turn(script(start("read x; exit $x"), write(1, "4\n")))
        assert not told.of(ApprovalRequested)
        assert outcome(told, "write_stdin")["exit_code"] == 4


async def test_there_are_only_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.agent.tools.shell.sessions.MAX_SESSIONS", 1)
    async with shell_house(tmp_path, lasting=True) as house:
        told = await house.turn(script(start("cat"), start("cat")))
        assert outcome(told, "exec_command", 0)["session_id"] == 1
        assert "sessions run already" in outcome(told, "exec_command", 1)["error"]


async def test_what_cannot_be_done_starts_nothing(tmp_path: Path) -> None:
    async with shell_house(tmp_path, lasting=True) as house:
        wrong = {"cmd": "sleep 300", "yield_time_ms": "long"}
        told = await house.turn(
            script(
                {"call": "exec_command", "arguments": wrong},
                {"call": "list_sessions"},
                {"call": "write_stdin", "arguments": {"session_id": "1"}},
                {"call": "kill_session", "arguments": {"session_id": 7}},
            )
        )
        assert "whole number" in outcome(told, "exec_command")["error"]
        assert outcome(told, "list_sessions") == {"sessions": []}
        assert "number of a session" in outcome(told, "write_stdin")["error"]
        assert "no session 7" in outcome(told, "kill_session")["error"]


AGENT = """
    import asyncio, sys
    from pathlib import Path
    from tests.contract.codex_room import script
    from tests.contract.test_shell_sessions import start
    from tests.contract.test_shell_commands import mark_of
    from tests.fakes.shell_house import shell_house

    async def main():
        base, sandbox = Path(sys.argv[1]), sys.argv[2]
        async with shell_house(base, lasting=True, sandbox=sandbox, approvals="auto") as house:
            await house.turn(script(start("trap '' TERM; setsid sleep 307 & sleep 308")))
            print(mark_of(house), flush=True)
            await asyncio.sleep(300)

    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="guards are Linux programs")
@pytest.mark.parametrize("sandbox", ["workspace-write", "full-access"])
async def test_nothing_outlives_an_agent_that_is_killed(tmp_path: Path, sandbox: str) -> None:
    words = [sys.executable, "-c", textwrap.dedent(AGENT), str(tmp_path), sandbox]
    agent = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert agent.stdout is not None
    word = (await agent.stdout.readline()).decode().strip()
    assert word
    os.kill(agent.pid, signal.SIGKILL)
    await agent.wait()
    assert await gone(word, "sleep 30")
