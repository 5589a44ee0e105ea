"""Tools that the client of a turn's sender runs: Codex's `dynamicTools` (page section 8). Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from backends.codex.items import MAX_TEXT
from process_agent.core.backend import Answered
from process_agent.core.client_tools import description, offered
from process_agent.core.content import EmptyResult, ErrorInfo, JsonResult, LinkResult, TextResult
from process_agent.core.events import BackendEvent, ClientToolCancelled, ClientToolRequested
from process_agent.core.ids import AskId, TurnId
from process_agent.core.requests import ClientTool, Secret
from process_agent.wire.jsonrpc import Request, RequestId

_BUILT_IN: Final = frozenset(
    {
        *("exec_command", "write_stdin", "shell", "shell_command", "local_shell", "container"),
        *("apply_patch", "view_image", "update_plan", "request_user_input", "request_permissions"),
        *("web_search", "image_generation", "image_gen", "tool_search", "tool_suggest"),
        *("exec", "wait", "functions", "clock", "collaboration", "multi_tool_use"),
        *("list_mcp_resources", "list_mcp_resource_templates", "read_mcp_resource"),
        *("spawn_agent", "send_input", "resume_agent", "wait_agent", "close_agent"),
    }
)
"""Codex says nothing about a tool that has the name of one of its own, and never offers it."""

_MCP: Final = "mcp__"


def dynamic_tools(tools: Sequence[ClientTool]) -> tuple[dict[str, Any], ...]:
    """The tools as `thread/start` takes them, by name. Raises `TurnRefusedError`, saying what is wrong."""
    return tuple(
        {
            "type": "function",
            "name": tool.name,
            "description": description(tool),
            "inputSchema": dict(tool.schema) or {"type": "object", "properties": {}},
        }
        for tool in offered(tools, "Codex", _problem)
    )


def response(answer: Answered) -> dict[str, Any]:
    """The answer to `item/tool/call`."""
    content: list[dict[str, str]] = []
    match answer:
        case ErrorInfo(message):
            content = _text(message or "The tool failed.")
        case TextResult(text):
            content = _text(text)
        case JsonResult(value):
            content = _text(json.dumps(value, ensure_ascii=False, default=str))
        case LinkResult(_, url) if url.startswith("data:image/"):
            content = [{"type": "inputImage", "imageUrl": url}]
        case LinkResult(name, url):
            content = _text(f"{name}: {url}")
        case EmptyResult():
            content = _text("The tool ended without a result.")
        case Secret():
            return {"contentItems": _text("The tool failed."), "success": False}
    return {"contentItems": content, "success": not isinstance(answer, ErrorInfo)}


class ClientAsks:
    """The calls of one turn that wait for its client."""

    def __init__(self, turn_id: TurnId, tools: frozenset[str]) -> None:
        self._turn_id = turn_id
        self._tools = tools
        self._waiting: dict[AskId, tuple[RequestId, str]] = {}
        self._count = 0

    def open(self, request: Request) -> ClientToolRequested | None:
        """A call; None when this turn's client does not have the tool."""
        tool, arguments = request.params.get("tool"), request.params.get("arguments")
        if not isinstance(tool, str) or tool not in self._tools or request.params.get("namespace"):
            return None
        self._count += 1
        ask_id = AskId(f"{self._turn_id}:client-{self._count}")
        self._waiting[ask_id] = (request.id, tool)
        return ClientToolRequested(
            ask_id, tool, arguments if isinstance(arguments, dict) else _wrapped(arguments)
        )

    def take(self, ask_id: AskId) -> RequestId | None:
        """The request of Codex behind a call, which then waits no more; None when it does not wait."""
        found = self._waiting.pop(ask_id, None)
        return found[0] if found else None

    def withdrawn(self, request: object) -> list[BackendEvent]:
        """Codex needs the answer to this request no more."""
        found = [ask for ask, (id, _) in self._waiting.items() if id == request]
        return [self._cancelled(ask, "The model goes on without it.") for ask in found]

    def close(self) -> list[BackendEvent]:
        """The turn ends."""
        return [self._cancelled(ask, "The turn is over.") for ask in list(self._waiting)]

    def _cancelled(self, ask_id: AskId, reason: str) -> BackendEvent:
        _, tool = self._waiting.pop(ask_id)
        return ClientToolCancelled(ask_id, tool, reason)


def _problem(tool: ClientTool) -> str | None:
    built_in = tool.name in _BUILT_IN or tool.name.startswith(_MCP)
    return "the name belongs to a tool of Codex" if built_in else None


def _text(text: str) -> list[dict[str, str]]:
    return [{"type": "inputText", "text": text[:MAX_TEXT]}]


def _wrapped(arguments: Any) -> dict[str, Any]:
    return {} if arguments is None else {"arguments": arguments}
