"""A client of the scripted model without HTTP: keeps the conversation, as Codex does, and plays its tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from process_agent.scripted.actions import Action, CallTools, Say, Think, ToolCall
from process_agent.scripted.script import answer
from process_agent.wire.responses import parse_request

EXEC_COMMAND = {
    "type": "function",
    "name": "exec_command",
    "parameters": {"type": "object", "properties": {"cmd": {}, "sandbox_permissions": {}}},
}
WRITE_STDIN = {"type": "function", "name": "write_stdin", "parameters": {"type": "object", "properties": {}}}
APPLY_PATCH = {"type": "custom", "name": "apply_patch", "format": {"type": "grammar"}}
UPDATE_PLAN = {"type": "function", "name": "update_plan", "parameters": {"type": "object"}}
CODEX_TOOLS = (EXEC_COMMAND, WRITE_STDIN, APPLY_PATCH, UPDATE_PLAN)

type Tool = Callable[[ToolCall], str]


def exec_output(output: str, exit_code: int = 0) -> str:
    """What Codex says after a command, in the form of 0.163 and 0.169."""
    return (
        f"Chunk ID: fa0d00\nWall time: 0.0000 seconds\nProcess exited with code {exit_code}\n"
        f"Original token count: 3\nOutput:\n{output}"
    )


def still_running(output: str, session: int) -> str:
    """What Codex says when a command goes on in the background."""
    return (
        f"Chunk ID: fa0d00\nWall time: 10.0 seconds\nProcess running with session ID {session}\n"
        f"Original token count: 3\nOutput:\n{output}"
    )


def message(role: str, *texts: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text} for text in texts]}


@dataclass
class ScriptedClient:
    """`turn` plays a whole turn; `history` is what the next request holds."""

    tool: Tool = lambda call: exec_output("")
    tools: Sequence[dict[str, Any]] = CODEX_TOOLS
    history: list[dict[str, Any]] = field(
        default_factory=lambda: [
            message("developer", "You are Codex."),
            message("user", "<environment_context>\n  <cwd>/workspace</cwd>\n</environment_context>"),
        ]
    )
    requests: int = 0

    def ask(self, *extra: dict[str, Any]) -> list[Action]:
        """One request with the conversation so far and `extra` items."""
        self.requests += 1
        body = {"model": "m", "stream": True, "input": [*self.history, *extra], "tools": list(self.tools)}
        return answer(parse_request(msgspec.json.encode(body)))

    def turn(self, prompt: str, limit: int = 100) -> list[Action]:
        """Say something and play tools until nothing is called any more; returns every action."""
        self.history.append(message("user", prompt))
        done: list[Action] = []
        for _ in range(limit):
            actions = self.ask()
            done += actions
            calls = [call for action in actions if isinstance(action, CallTools) for call in action.calls]
            self.history += [message("assistant", a.text) for a in actions if isinstance(a, Say)]
            if not calls:
                return done
            self._play(calls)
        raise AssertionError(f"the turn did not end within {limit} requests")

    def _play(self, calls: Sequence[ToolCall]) -> None:
        start = len(self.history)
        for number, call in enumerate(calls):
            kind, member = (
                ("custom_tool_call", "input") if call.kind == "custom" else ("function_call", "arguments")
            )
            call_id = f"call_{start}_{number}"
            self.history.append({"type": kind, "call_id": call_id, "name": call.name, member: call.arguments})
        for number, call in enumerate(calls):
            kind = "custom_tool_call_output" if call.kind == "custom" else "function_call_output"
            self.history.append(
                {"type": kind, "call_id": f"call_{start}_{number}", "output": self.tool(call)}
            )


def said(actions: Sequence[Action]) -> str:
    """The last message."""
    return [action.text for action in actions if isinstance(action, Say)][-1]


def called(actions: Sequence[Action]) -> list[ToolCall]:
    """All calls, in order."""
    return [call for action in actions if isinstance(action, CallTools) for call in action.calls]


def thought(actions: Sequence[Action]) -> list[str]:
    """All reasoning summaries, in order."""
    return [action.text for action in actions if isinstance(action, Think)]
