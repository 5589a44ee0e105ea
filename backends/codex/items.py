"""Every kind of Codex item that is shown as a tool call: its name, its arguments and its outcome. (Messages,
reasoning, images and compactions have events of their own.)

Item kinds: schema `ThreadItem` of codex-app-server 0.163.0 and 0.169.0. A kind that is not here yet is shown
under its own name with all its members, so that none vanishes.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.codex.failures import snake_case
from backends.codex.patches import change_list, changed_files, patch_text
from backends.codex.shapes import as_dict, dicts
from process_agent.core.content import EmptyResult, ErrorInfo, Json, JsonResult, TextResult, ToolResult

type Item = Mapping[str, Any]
type Outcome = tuple[ToolResult | None, ErrorInfo | None]

CODEX: Final = "codex"
MESHAGENT: Final = "meshagent"
"""The namespace of tools that the agent runs (agent protocol, section 3.5)."""

CLIENT: Final = "client"
"""The toolkit of tools that the client of the turn's sender runs (agent protocol, section 4.7)."""

MAX_TEXT: Final = 1024 * 1024
"""Characters of a single text of an item that are passed on; Codex itself caps output at 1 MiB."""


@dataclass(frozen=True, slots=True)
class ToolView:
    """How an item looks as a tool call; `working` is the status line while it runs."""

    tool: str
    arguments: dict[str, Any]
    working: str
    toolkit: str = CODEX


def tool_view(item: Item, folder: str) -> ToolView:
    """Name and arguments of an item."""
    kind = _text(item, "type")
    if kind == "fileChange":
        return file_change_view(item.get("changes"), folder)
    return _VIEWS.get(kind, _other_view)(item)


def file_change_view(changes: object, folder: str) -> ToolView:
    """A patch, which may grow while the model writes it."""
    names = ", ".join(changed_files(changes, folder))
    arguments = {"patch": patch_text(changes, folder), "changes": change_list(changes, folder)}
    return ToolView("apply_patch", arguments, f"Writing {shorten(names)}" if names else "Writing files")


def outcome(item: Item, folder: str) -> Outcome:
    """Result or error of a completed item."""
    kind = _text(item, "type")
    if kind == "commandExecution":
        return _command_outcome(item)
    status = item.get("status")
    if status == "declined":
        return None, ErrorInfo("Declined: nothing was done.", "declined")
    if status in ("failed", "interrupted"):
        return None, _failure(item, str(status))
    if kind == "fileChange":
        names = changed_files(item.get("changes"), folder)
        return TextResult(f"Changed {', '.join(names)}." if names else "Nothing changed."), None
    result = _RESULTS.get(kind)
    return (result(item) if result else EmptyResult()), None


def command_result(stdout: str, exit_code: int | None, duration_ms: int | None) -> JsonResult:
    """What a command answers. Codex does not separate the two streams."""
    return JsonResult(
        {"stdout": _both_ends(stdout), "stderr": "", "exit_code": exit_code, "duration_ms": duration_ms}
    )


def _both_ends(text: str) -> str:
    """The text, of a long one its beginning and its end. What Codex cut that way itself stays as it is."""
    if len(text) <= MAX_TEXT + _CODEX_NOTE:
        return text
    half = MAX_TEXT // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n… {left_out:,} characters are left out …\n{text[-half:]}"


def script_of(command: object) -> str:
    """The script in `/bin/bash -lc 'script'`; any other command as it is."""
    text = shlex.join(map(str, command)) if isinstance(command, list) else str(command or "")
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    wrapped = len(words) == 3 and words[1] in ("-lc", "-c") and words[0].rpartition("/")[2] in _SHELLS
    return words[2] if wrapped else text


def shorten(text: str, limit: int = 60) -> str:
    """The text on one line, cut where it gets too long for a status line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


_SHELLS = ("bash", "sh", "zsh")
_CODEX_NOTE: Final = 100
"""Characters in which Codex says, between half a MiB of the beginning and of the end, what it left out."""


def _text(item: Item, name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _present(item: Item, *names: str) -> dict[str, Any]:
    """The named members that say something, in our spelling."""
    return {snake_case(name): item[name] for name in names if item.get(name) not in (None, [], {}, "")}


def _arguments(item: Item) -> dict[str, Any]:
    value = item.get("arguments")
    if isinstance(value, dict):
        return value
    return {} if value is None else {"arguments": value}


# --- Views ---------------------------------------------------------------------------------------


def _command_view(item: Item) -> ToolView:
    script = script_of(item.get("command"))
    arguments = {"command": script, "cwd": _text(item, "cwd")}
    return ToolView("shell", arguments, f"Running {shorten(script)}")


def _mcp_view(item: Item) -> ToolView:
    server, tool = _text(item, "server") or "mcp", _text(item, "tool") or "tool"
    return ToolView(tool, _arguments(item), f"Calling {shorten(tool)}", server)


def _dynamic_view(item: Item) -> ToolView:
    tool = _text(item, "tool") or "tool"
    return ToolView(tool, _arguments(item), f"Calling {shorten(tool)}", _text(item, "namespace") or CLIENT)


def _output_view(item: Item) -> ToolView:
    tool = _text(item, "name") or "function"
    return ToolView(tool, {}, f"Calling {shorten(tool)}", _text(item, "namespace") or CODEX)


def _search_view(item: Item) -> ToolView:
    query = _text(item, "query")
    working = f"Searching {shorten(query) or 'the web'}"
    return ToolView("web_search", {"query": query, **_present(item, "action")}, working)


def _image_view(item: Item) -> ToolView:
    return ToolView("view_image", {"path": _text(item, "path")}, "Looking at an image")


def _agent_call_view(item: Item) -> ToolView:
    tool = snake_case(_text(item, "tool")) or "collab_agent"
    arguments = _present(item, "prompt", "model", "reasoningEffort", "receiverThreadIds")
    return ToolView(tool, arguments, "Working with another agent")


def _activity_view(item: Item) -> ToolView:
    arguments = _present(item, "kind", "agentPath", "model")
    return ToolView("sub_agent", arguments, f"Sub-agent {shorten(_text(item, 'agentPath'))}")


def _review_view(item: Item) -> ToolView:
    entered = item.get("type") == "enteredReviewMode"
    tool = "enter_review" if entered else "exit_review"
    return ToolView(
        tool, {"review": _text(item, "review")}, "Reviewing" if entered else "Finishing the review"
    )


def _sleep_view(item: Item) -> ToolView:
    return ToolView("sleep", _present(item, "durationMs"), "Waiting")


def _other_view(item: Item) -> ToolView:
    kind = _text(item, "type") or "item"
    members = {name: value for name, value in item.items() if name not in ("id", "type", "status")}
    return ToolView(kind, members, f"Working ({shorten(kind)})")


_VIEWS: Final[Mapping[str, Callable[[Item], ToolView]]] = {
    "commandExecution": _command_view,
    "mcpToolCall": _mcp_view,
    "dynamicToolCall": _dynamic_view,
    "functionCallOutput": _output_view,
    "webSearch": _search_view,
    "imageView": _image_view,
    "collabAgentToolCall": _agent_call_view,
    "subAgentActivity": _activity_view,
    "enteredReviewMode": _review_view,
    "exitedReviewMode": _review_view,
    "sleep": _sleep_view,
}


# --- Outcomes ------------------------------------------------------------------------------------


def _command_outcome(item: Item) -> Outcome:
    """A non-zero exit is a result, not an error: the output belongs to it."""
    if item.get("status") == "declined":
        return None, ErrorInfo("Declined: the command was not run.", "declined")
    output, code = _text(item, "aggregatedOutput"), item.get("exitCode")
    if item.get("status") == "failed" and not isinstance(code, int):
        return None, ErrorInfo(shorten(output, 2_000) or "The command could not be run.", "failed")
    duration = item.get("durationMs")
    exit_code = code if isinstance(code, int) else None
    return command_result(output, exit_code, duration if isinstance(duration, int) else None), None


def _failure(item: Item, status: str) -> ErrorInfo:
    error = item.get("error") or item.get("failure")
    message = str(error.get("message") or "") if isinstance(error, dict) else str(error or "")
    message = message or _content_text(item.get("contentItems"))
    return ErrorInfo(
        message[:MAX_TEXT] or ("It failed." if status == "failed" else "It was stopped."), status
    )


def _mcp_result(item: Item) -> ToolResult:
    result = as_dict(item.get("result"))
    if result.get("structuredContent") is not None:
        return JsonResult(result["structuredContent"])
    return _content_result(result.get("content"))


def _content_result(content: object) -> ToolResult:
    """Plain text as text, anything else (images, audio, resources) as it is."""
    if isinstance(content, str):
        return TextResult(content[:MAX_TEXT])
    parts = dicts(content)
    if all(isinstance(part.get("text"), str) for part in parts):
        return TextResult(_content_text(parts)) if parts else EmptyResult()
    return JsonResult({"content": list[Json](parts)})


def _content_text(content: object) -> str:
    texts = [part["text"] for part in dicts(content) if isinstance(part.get("text"), str)]
    return "\n".join(texts)[:MAX_TEXT]


def _members(*names: str) -> Callable[[Item], ToolResult]:
    def result(item: Item) -> ToolResult:
        found = _present(item, *names)
        return JsonResult(found) if found else EmptyResult()

    return result


_RESULTS: Final[Mapping[str, Callable[[Item], ToolResult]]] = {
    "mcpToolCall": _mcp_result,
    "dynamicToolCall": lambda item: _content_result(item.get("contentItems")),
    "functionCallOutput": lambda item: _content_result(item.get("output")),
    "webSearch": _members("results"),
    "collabAgentToolCall": _members("agentsStates"),
}
