"""Calls of the model that Codex makes no item of.

A command that fails at once because of the sandbox, a command or patch refused without asking, a tool that
does not exist: the model hears of it, the items of the app-server do not tell (tried with 0.163.0). The raw
response items do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.codex.items import CODEX, Outcome, command_result, shorten
from process_agent.core.content import ErrorInfo, TextResult
from process_agent.core.events import ToolRef
from process_agent.core.ids import ItemId

MAX_CALLS: Final = 1_000
"""Calls of one turn that are remembered."""

_SHOWN_OTHERWISE: Final = frozenset({"write_stdin", "update_plan", "request_user_input", "exec", "wait"})
_EXIT: Final = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d+)$", re.MULTILINE)
_BODY: Final = re.compile(r"^Output:\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class UnseenCall:
    """A call with its output, as a tool call with its outcome."""

    ref: ToolRef
    arguments: dict[str, Any]
    outcome: Outcome


class RawCalls:
    """Pairs calls of the model with what it was answered."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._calls: dict[str, Mapping[str, Any]] = {}
        self._outputs: dict[str, str] = {}

    def note(self, item: Mapping[str, Any]) -> UnseenCall | None:
        """Take a raw response item; with an output, the call it completes."""
        kind, call_id = item.get("type"), item.get("call_id")
        if not isinstance(call_id, str) or len(self._calls) >= MAX_CALLS:
            return None
        if kind in ("function_call", "custom_tool_call"):
            self._calls[call_id] = item
            return None
        call = self._calls.get(call_id)
        if kind not in ("function_call_output", "custom_tool_call_output") or call is None:
            return None
        output = self._outputs[call_id] = _text(item.get("output"))
        name = str(call.get("name"))
        if name in _SHOWN_OTHERWISE:
            return None
        tool = "shell" if name == "exec_command" else name
        namespace = call.get("namespace")
        toolkit = namespace if isinstance(namespace, str) and namespace else CODEX
        ref = ToolRef(ItemId(call_id), toolkit, tool, CODEX, call_id)
        return UnseenCall(ref, self._arguments(name, call), outcome_of(tool, output))

    def command_outcome(self, call_id: str) -> Outcome | None:
        """How a command ended that was started as an item and never completed as one."""
        output = self._outputs.get(call_id)
        return outcome_of("shell", output) if output is not None and _EXIT.search(output) else None

    def output_so_far(self, call_id: str) -> str:
        """What the model has seen of a command that goes on in the background."""
        return _BODY.split(self._outputs.get(call_id, ""), maxsplit=1)[-1]

    def _arguments(self, name: str, call: Mapping[str, Any]) -> dict[str, Any]:
        if call.get("type") == "custom_tool_call":
            return {"patch" if name == "apply_patch" else "input": call.get("input")}
        try:
            arguments = json.loads(str(call.get("arguments")))
        except ValueError:
            arguments = {"arguments": call.get("arguments")}
        arguments = arguments if isinstance(arguments, dict) else {"arguments": arguments}
        if name != "exec_command":
            return arguments
        return {
            "command": str(arguments.get("cmd", "")),
            "cwd": str(arguments.get("workdir") or self._folder),
        }


def outcome_of(tool: str, output: str) -> Outcome:
    """What a call's output, as the model gets it, says about its end."""
    found = _EXIT.search(output)
    body = _BODY.split(output, maxsplit=1)[-1]
    if tool == "shell":
        if found is not None:
            return command_result(body, int(found[1]), None), None
        return None, ErrorInfo(shorten(output, 2_000) or "The command was not run.", "refused")
    if tool == "apply_patch" and found is None:
        return None, ErrorInfo(shorten(output, 2_000) or "The change was not made.", "refused")
    return TextResult(body), None


def _text(output: object) -> str:
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
