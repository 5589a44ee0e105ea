"""`shell`: a command, run to its end. `exec_command` and the like: commands that go on.

Arguments and what the model reads are those Codex gives its models, as far as they fit: models know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from process_agent.agent.tools.shell.output import report
from process_agent.agent.tools.shell.running import Commands, RunningCommand, script_of
from process_agent.agent.tools.shell.sessions import Session, Sessions
from process_agent.agent.tools.tool import (
    Arguments,
    Call,
    Need,
    Plan,
    Scope,
    Tool,
    number_argument,
    parameters,
    text_argument,
    unplanned,
)
from process_agent.core.content import Json, JsonResult
from process_agent.core.tools import ToolOutput, ToolSpec
from process_agent.errors import ToolFailedError

SECONDS: Final = 120
"""How long a command may take where the model does not say."""

MAX_SECONDS: Final = 3_600

TIMED_OUT: Final = 124
"""The exit code of a command that was ended because it took too long, as of `timeout` and of Codex."""

FIRST_MS: Final = 10_000
AFTER_INPUT_MS: Final = 500
POLL_MS: Final = 5_000
MAX_WAIT_MS: Final = 300_000
"""How long a call waits for a command that goes on."""

MAX_STATUS: Final = 60
"""Characters of a command in the status line."""

_ENDING: Final = 5.0
_MARGIN: Final = 30.0
"""Seconds a call may take longer than its command, to end it."""

ESCALATED: Final = "require_escalated"


@dataclass(slots=True)
class CommandTools:
    """Tools that run commands of one agent, in its working folder."""

    commands: Commands
    folder: Path
    sessions: Sessions = field(default_factory=Sessions)

    def one_shot(self) -> Tool:
        """`shell`."""
        about = (
            f"Run a shell command to its end and read its output. {self._bounds()} It has no terminal and "
            "no input. Processes it leaves behind are ended with it."
        )
        given: dict[str, Json] = {
            "command": text_argument("the command, for bash"),
            **self._common(),
            "timeout_seconds": number_argument(f"how long it may take; {SECONDS} by default"),
        }
        spec = ToolSpec("shell", about, parameters(["command"], **given))
        return Tool(
            spec, unplanned, self._planned_shell, MAX_SECONDS + _MARGIN, shown=self._shown, working=_working
        )

    def lasting(self) -> tuple[Tool, ...]:
        """`exec_command`, `write_stdin`, `list_sessions`, `kill_session`."""
        wait = number_argument("how long to wait for output or the end, in milliseconds")
        number = number_argument("the number of the session")
        about = (
            f"Start a shell command and wait for a while. {self._bounds()} If it has not ended by then you "
            "get the number of a session, which goes on also after this turn."
        )
        given: dict[str, Json] = {
            "cmd": text_argument("the command, for bash"),
            **self._common(),
            "yield_time_ms": wait,
            "tty": {"type": "boolean", "description": "whether it needs a terminal; false by default"},
        }
        execute = ToolSpec("exec_command", about, parameters(["cmd"], **given))
        write = ToolSpec(
            "write_stdin",
            "Write to a session and read its output. Without chars it only reads. With a terminal \\x03 "
            "interrupts and \\x04 ends the input.",
            parameters(
                ["session_id"], session_id=number, chars=text_argument("what to write"), yield_time_ms=wait
            ),
        )
        listing = ToolSpec("list_sessions", "List the sessions of this conversation.", parameters([]))
        kill = ToolSpec(
            "kill_session",
            "End a session and everything it started.",
            parameters(["session_id"], session_id=number),
        )
        seconds = MAX_WAIT_MS / 1000 + _MARGIN
        return (
            Tool(execute, unplanned, self._planned_session, seconds, shown=self._shown, working=_working),
            Tool(write, unplanned, self._planned_write, seconds),
            Tool(listing, self._list),
            Tool(kill, self._kill),
        )

    def _bounds(self) -> str:
        sandbox = self.commands.sandbox
        if not sandbox.enforced:
            return "Commands have no sandbox here."
        return f"Commands run in a sandbox ({sandbox.line}): what it forbids fails, unless somebody approves."

    def _common(self) -> dict[str, Json]:
        given: dict[str, Json] = {"workdir": text_argument("folder to run it in; the working folder else")}
        if self.commands.sandbox.enforced:
            given["sandbox_permissions"] = {
                "type": "string",
                "enum": ["use_default", ESCALATED],
                "description": "require_escalated asks people to let it run outside of the sandbox",
            }
            given["justification"] = text_argument("with require_escalated, the question people are asked")
        return given

    # --- What is planned --------------------------------------------------------------------------

    def _shown(self, arguments: Arguments, scope: Scope) -> Mapping[str, Json]:
        """What people see: script and folder, as of Codex's commands."""
        return {
            "command": script_of(arguments.get("command", arguments.get("cmd"))),
            "cwd": str(self._workdir(arguments, scope)),
        }

    def _planned_shell(self, arguments: Arguments, scope: Scope) -> Plan:
        return self._planned(arguments, scope, lasting=False)

    def _planned_session(self, arguments: Arguments, scope: Scope) -> Plan:
        return self._planned(arguments, scope, lasting=True)

    def _planned(self, arguments: Arguments, scope: Scope, *, lasting: bool) -> Plan:
        script = script_of(arguments.get("command", arguments.get("cmd")))
        workdir = self._workdir(arguments, scope)
        sandbox = self.commands.sandbox
        outside = sandbox.enforced and arguments.get("sandbox_permissions") == ESCALATED
        need = None
        if outside:
            why = str(arguments.get("justification") or "").strip()
            reason = why or "Do you want to allow this command outside the sandbox?"
            need = Need(f"shell outside: {(str(workdir), script)!r}", reason, lasting=True)
        elif sandbox.asks_always:
            need = Need(f"shell: {(str(workdir), script)!r}", sandbox.caution or "", lasting=True)

        async def run(call: Call) -> ToolOutput:
            folder = scope.folder or self.folder
            terminal = lasting and call.arguments.get("tty") is True
            wait_ms = call.number("yield_time_ms", FIRST_MS, MAX_WAIT_MS)
            if lasting:
                self.sessions.check(scope.thread_id)
            running = await self.commands.start(
                script, folder=folder, workdir=workdir, inside=not outside, terminal=terminal
            )
            if lasting:
                session = self.sessions.add(scope.thread_id, script, running, outside=outside)
                return await self._read(call, session, wait_ms)
            return await self._to_the_end(call, running)

        return Plan(run, need)

    def _planned_write(self, arguments: Arguments, scope: Scope) -> Plan:
        """What a session outside of the sandbox is told to do was not approved with its start. Allowed for
        the session is this very text to this one: a shell that may do one thing could do everything else.
        """
        session, chars = self._session(arguments, scope), arguments.get("chars") or ""
        if not isinstance(chars, str):
            raise ToolFailedError("chars must be text.")
        need = None
        if chars and (session.outside or self.commands.sandbox.asks_always):
            reason = f"Write to this command, which runs outside of any sandbox: {session.script[:500]}"
            need = Need(f"shell:stdin:{session.number}: {chars!r}", reason, lasting=True)

        async def run(call: Call) -> ToolOutput:
            wait_ms = call.number("yield_time_ms", AFTER_INPUT_MS if chars else POLL_MS, MAX_WAIT_MS)
            if chars:
                session.running.write(chars)
            return await self._read(call, session, wait_ms)

        return Plan(run, need)

    def _workdir(self, arguments: Arguments, scope: Scope) -> Path:
        folder, wanted = scope.folder or self.folder, arguments.get("workdir")
        if wanted in (None, ""):
            return folder
        if not isinstance(wanted, str) or "\0" in wanted:
            raise ToolFailedError("workdir must be the path of a folder.")
        return folder / wanted

    # --- What is run --------------------------------------------------------------------------------

    async def _to_the_end(self, call: Call, running: RunningCommand) -> ToolOutput:
        running.hear = call.output
        try:
            running.close_input()
            limit = call.number("timeout_seconds", SECONDS, MAX_SECONDS) or SECONDS
            note = None
            if not await running.wait(limit):
                note = f"It took longer than {limit} s and was ended; it can have up to {MAX_SECONDS} s."
                running.end()
                await running.wait(_ENDING)
            elif running.flooded:
                note = "It was ended because it wrote too much."
        finally:
            running.end()
        code = TIMED_OUT if note is not None and not running.flooded else running.exit_code
        text = running.capture.text
        return ToolOutput(_result(text, running, code), text=report(text, running.seconds, code, note=note))

    async def _read(self, call: Call, session: Session, wait_ms: int) -> ToolOutput:
        """What a session writes until it ends, or until so many milliseconds are over."""
        running = session.running
        already = running.capture.drain()
        call.output(already)
        running.hear = call.output
        try:
            ended = await running.wait(wait_ms / 1000)
        except BaseException:  # the turn was stopped, and with it what it waited for
            running.end()
            self.sessions.forget(call.scope.thread_id, session.number)
            raise
        running.hear = None
        text = already + running.capture.drain()
        if ended:
            self.sessions.forget(call.scope.thread_id, session.number)
        code = running.exit_code if ended else None
        number = None if ended else session.number
        note = "It was ended because it wrote too much." if running.flooded else None
        return ToolOutput(
            _result(text, running, code, number),
            text=report(text, running.seconds, code, session=number, note=note),
        )

    async def _list(self, call: Call) -> ToolOutput:
        found: list[Json] = [
            {
                "session_id": session.number,
                "command": session.script,
                "seconds": round(session.running.seconds, 1),
                "running": not session.running.over,
                "outside_the_sandbox": session.outside,
            }
            for session in self.sessions.of(call.scope.thread_id)
        ]
        return ToolOutput(JsonResult({"sessions": found}))

    async def _kill(self, call: Call) -> ToolOutput:
        session = self._session(call.arguments, call.scope)
        session.running.end()
        return await self._read(call, session, round(_ENDING * 1000))

    def _session(self, arguments: Arguments, scope: Scope) -> Session:
        number = arguments.get("session_id")
        if not isinstance(number, int) or isinstance(number, bool):
            raise ToolFailedError("session_id must be the number of a session.")
        return self.sessions.get(scope.thread_id, number)


def _working(shown: Arguments) -> str:
    """The status line, as for Codex's commands."""
    line = " ".join(str(shown.get("command")).split())
    return f"Running {line if len(line) <= MAX_STATUS else f'{line[: MAX_STATUS - 1]}…'}"


def _result(text: str, running: RunningCommand, code: int | None, session: int | None = None) -> JsonResult:
    """What people see of its end, in the shape of Codex's commands."""
    found: dict[str, Json] = {
        "stdout": text,
        "stderr": "",
        "exit_code": code,
        "duration_ms": round(running.seconds * 1000),
    }
    if session is not None:
        found["session_id"] = session
    return JsonResult(found)
