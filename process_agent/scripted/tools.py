"""The tools a client offers, as the steps a script is made of: run a command, change a file, keep a plan.

Shapes of calls and outputs are those of Codex 0.163 and 0.169 (exec_command, write_stdin, apply_patch,
update_plan) and of the older and hosted shell tools.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from process_agent.scripted.actions import CallTools, Say, Step, ToolCall
from process_agent.scripted.patches import add_file, delete_file, update_file
from process_agent.wire.responses import Tool

MAX_POLLS = 60
"""How often a command that goes on in the background is asked for more output."""

YIELD_MS = 10_000
"""How long one call waits for a command, in milliseconds."""

DECLINED = "rejected by user"
"""What Codex tells the model when a participant declined."""

_HEADER = re.compile(r"\A(?:[A-Z][^\n]*\n)*?Output:\n")
_EXIT = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d+)$", re.MULTILINE)
_SESSION = re.compile(r"^Process running with session ID (\d+)$", re.MULTILINE)
_TRUNCATED = re.compile(r"…\d+ (?:tokens|chars|characters|lines) truncated…")

type StepStatus = Literal["pending", "in_progress", "completed"]


@dataclass(frozen=True, slots=True)
class CommandReply:
    """What a command gave back. `exit_code` is None when it never ended or never began."""

    output: str
    exit_code: int | None
    session_id: int | None = None

    @property
    def ok(self) -> bool:
        """True when the command ran and ended with 0."""
        return self.exit_code == 0

    @property
    def declined(self) -> bool:
        """True when a participant did not allow it."""
        return self.exit_code is None and DECLINED in self.output

    @property
    def whole(self) -> bool:
        """False when the client left out a part of the output."""
        return _TRUNCATED.search(self.output) is None


class Tools:
    """The tools on offer in one request."""

    def __init__(self, offered: Sequence[Tool]) -> None:
        self._offered = tuple(offered)

    @property
    def can_run(self) -> bool:
        """Whether commands can be run at all."""
        return self._shell() is not None

    def find(self, name: str, kind: str | None = None) -> Tool | None:
        """The tool with this name, or with `namespace.name`."""
        for tool in self._offered:
            full = tool.name if tool.namespace is None else f"{tool.namespace}.{tool.name}"
            if name in (tool.name, full) and kind in (None, tool.type):
                return tool
        return None

    def names(self) -> tuple[str, ...]:
        """Names of all tools on offer."""
        return tuple(tool.name for tool in self._offered)

    def run(
        self, command: str, *, escalate: str | None = None, workdir: str | None = None
    ) -> Step[CommandReply]:
        """Run a shell command and wait for its end.

        `escalate` is the justification for running it outside the sandbox, which needs an approval.
        """
        call = self.command_call(command, escalate=escalate, workdir=workdir)
        if call is None:
            yield Say(f"No tool that runs commands is on offer here; I would run `{command}`.", "commentary")
            return CommandReply("(not run)", None)
        replies = yield CallTools((call,))
        return (yield from self._to_the_end(parse_command_reply(replies[0])))

    def command_call(
        self, command: str, *, escalate: str | None = None, workdir: str | None = None
    ) -> ToolCall | None:
        """The call that runs a command with the shell on offer; None when there is none."""
        shell = self._shell()
        if shell is None:
            return None
        words = ["bash", "-lc", command]
        if shell.name == "local_shell":
            return ToolCall("local_shell", shell.name, msgspec.json.encode(words).decode())
        by_shell: dict[str, dict[str, object]] = {
            "exec_command": {"cmd": command, "yield_time_ms": YIELD_MS},
            "shell_command": {"command": command},
            "shell": {"command": words},
        }
        arguments = by_shell[shell.name]
        if workdir is not None:
            arguments["workdir"] = workdir
        if escalate is not None:
            arguments["justification"] = escalate
            if "with_escalated_permissions" in shell.parameters:
                arguments["with_escalated_permissions"] = True
            else:
                arguments["sandbox_permissions"] = "require_escalated"
        return function(shell.name, arguments)

    def write(self, path: str, content: str) -> Step[str]:
        """Create or overwrite a file. The result is what the tool said."""
        return (yield from self._change(add_file(path, content), path, content))

    def change(self, path: str, old: str, new: str) -> Step[str]:
        """Change a file whose content is `old` into `new`. The result is what the tool said."""
        return (yield from self._change(update_file(path, old, new), path, new))

    def delete(self, path: str) -> Step[str]:
        """Delete a file. The result is what the tool said."""
        if self.find("apply_patch"):
            return (yield from self.patch(delete_file(path)))
        return (yield from self.run(f"rm -- {shlex.quote(path)}")).output

    def patch_call(self, patch: str) -> ToolCall:
        """The call that applies a patch in Codex's format: a custom tool, which may not be on offer, or a
        function.
        """
        if self.find("apply_patch", "function"):
            return function("apply_patch", {"input": patch})
        return ToolCall("custom", "apply_patch", patch)

    def patch(self, patch: str) -> Step[str]:
        """Apply a patch."""
        replies = yield CallTools((self.patch_call(patch),))
        return parse_command_reply(replies[0]).output

    def plan(self, explanation: str, steps: Sequence[tuple[str, StepStatus]]) -> Step[None]:
        """Show a plan, when there is a tool for it."""
        if self.find("update_plan"):
            plan = [{"step": step, "status": status} for step, status in steps]
            yield CallTools((function("update_plan", {"explanation": explanation, "plan": plan}),))

    def _change(self, patch: str, path: str, content: str) -> Step[str]:
        if self.find("apply_patch"):
            return (yield from self.patch(patch))
        return (yield from self.run(_write_command(path, content))).output

    def _to_the_end(self, reply: CommandReply) -> Step[CommandReply]:
        for _ in range(MAX_POLLS):
            if reply.session_id is None:
                break
            more = {"session_id": reply.session_id, "chars": "", "yield_time_ms": YIELD_MS}
            replies = yield CallTools((function("write_stdin", more),))
            later = parse_command_reply(replies[0])
            reply = CommandReply(reply.output + later.output, later.exit_code, later.session_id)
        return reply

    def _shell(self) -> Tool | None:
        for name in ("exec_command", "shell_command", "shell", "local_shell"):
            tool = self.find(name)
            if tool is not None:
                return tool
        return None


def function(name: str, arguments: object, namespace: str | None = None) -> ToolCall:
    """A call of a function tool."""
    return ToolCall("function", name, msgspec.json.encode(arguments).decode(), namespace)


def parse_command_reply(text: str) -> CommandReply:
    """Read the output of a shell or patch tool: Codex's header lines, its JSON form, or plain text."""
    try:
        raw = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raw = None
    if isinstance(raw, dict) and isinstance(raw.get("output"), str) and isinstance(raw.get("metadata"), dict):
        code = raw["metadata"].get("exit_code")
        return CommandReply(raw["output"], code if isinstance(code, int) else None)
    header = _HEADER.match(text)
    if header is None:
        return CommandReply(text, None)
    exit_code = _EXIT.search(header[0])
    session = _SESSION.search(header[0])
    return CommandReply(
        text[header.end() :],
        int(exit_code[1]) if exit_code else None,
        int(session[1]) if session else None,
    )


def _write_command(path: str, content: str) -> str:
    """A shell command that writes a file; the marker is one that the content does not hold."""
    marker = "END_OF_FILE"
    while marker in content:
        marker += "_"
    folder, slash, _ = path.rpartition("/")
    make = f"mkdir -p -- {shlex.quote(folder)} && " if slash and folder else ""
    body = content if content.endswith("\n") or not content else content + "\n"
    return f"{make}cat > {shlex.quote(path)} <<'{marker}'\n{body}{marker}"
