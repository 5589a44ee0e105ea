"""What Codex asks of us, and how each kind of answer looks on the wire (page section 7). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.codex.items import script_of
from backends.codex.shapes import as_dict, dicts
from process_agent.core.backend import Decision
from process_agent.wire.jsonrpc import METHOD_NOT_FOUND, Request

type Params = Mapping[str, Any]

NO_ANSWER: Final = "Nobody can be asked in between. Ask in your answer and end the turn."


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody has to decide. `item_id` names the running item it is about, if any; otherwise `tool` and
    `arguments` make a tool call of our own. `part` tells several questions about one item apart.
    """

    item_id: str | None
    tool: str
    arguments: dict[str, Any]
    reason: str | None
    accept: object
    decline: object
    part: str | None = None
    server: str | None = None

    def answer(self, decision: Decision) -> object:
        """The result to send."""
        return self.accept if decision is Decision.ACCEPT else self.decline


@dataclass(frozen=True, slots=True)
class Settled:
    """Answered at once, with a notice for the people in the room."""

    result: object
    notice: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Answered at once with an error; without an answer the turn would wait for ever."""

    code: int
    message: str
    notice: str | None = None


type Reading = Question | Settled | Refused


def read_request(request: Request) -> Reading:
    """What a request of Codex needs."""
    params = request.params
    match request.method:
        case "item/commandExecution/requestApproval":
            return _command(params)
        case "item/fileChange/requestApproval":
            return _decision(params, "apply_patch", _given(params, grant_root="grantRoot"))
        case "item/permissions/requestApproval":
            return _permissions(params)
        case "mcpServer/elicitation/request":
            return _elicitation(params)
        case "item/tool/requestUserInput":
            return _user_input(params)
        case "item/tool/call":
            return _tool_call(params)
    return Refused(METHOD_NOT_FOUND, f"{request.method} is not supported by this client.")


def _command(params: Params) -> Question:
    arguments = {
        "command": script_of(params.get("command")),
        **_given(params, cwd="cwd", network="networkApprovalContext", permissions="additionalPermissions"),
    }
    tool = "write_stdin" if params.get("kind") == "writeStdin" else "shell"
    return _decision(params, tool, arguments)


def _decision(params: Params, tool: str, arguments: dict[str, Any]) -> Question:
    return Question(
        item_id=_string(params, "itemId"),
        tool=tool,
        arguments=arguments,
        reason=_string(params, "reason"),
        accept={"decision": "accept"},
        decline={"decision": "decline"},
        part=_string(params, "approvalId"),
    )


def _permissions(params: Params) -> Question:
    wanted = params.get("permissions")
    return Question(
        item_id=_string(params, "itemId"),
        tool="request_permissions",
        arguments={"permissions": wanted, **_given(params, cwd="cwd")},
        reason=_string(params, "reason"),
        accept={"permissions": wanted, "scope": "turn"},
        decline={"permissions": {}, "scope": "turn"},
        part="permissions",
    )


def _elicitation(params: Params) -> Reading:
    """An MCP server asks: for a tool call somebody can decide, a form nobody can fill in here."""
    meta = as_dict(params.get("_meta"))
    server, message = _string(params, "serverName") or "mcp", _string(params, "message") or ""
    if meta.get("codex_approval_kind") == "mcp_tool_call":
        return Question(
            item_id=None,
            tool="mcp_tool_call",
            arguments={"server": server, "arguments": meta.get("tool_params")},
            reason=message or None,
            accept={"action": "accept", "content": {}},
            decline={"action": "decline"},
            server=server,
        )
    return Settled(
        {"action": "decline"}, f"{server} asked for something that cannot be given here: {message}"
    )


def _user_input(params: Params) -> Settled:
    asked = dicts(params.get("questions"))
    answers = {str(q.get("id")): {"answers": [NO_ANSWER]} for q in asked}
    lines = [f"{q.get('question') or q.get('header')}{_options(q)}" for q in asked]
    return Settled(
        {"answers": answers}, "Codex asked: " + " ".join(lines) + " It was told to ask in its answer."
    )


def _options(question: Params) -> str:
    labels = [str(option.get("label")) for option in dicts(question.get("options"))]
    return f" ({', '.join(labels)})" if labels else ""


def _tool_call(params: Params) -> Settled:
    text = f"There is no tool {params.get('tool')!r} here."
    return Settled({"contentItems": [{"type": "inputText", "text": text}], "success": False}, text)


def _given(params: Params, **names: str) -> dict[str, Any]:
    return {ours: params[theirs] for ours, theirs in names.items() if params.get(theirs) is not None}


def _string(params: Params, name: str) -> str | None:
    value = params.get(name)
    return value if isinstance(value, str) and value else None
