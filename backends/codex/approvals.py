"""What Codex asks of us, and how each kind of answer looks on the wire (page section 7). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.codex.forms import FORM_MODES, UserInput, read_user_input
from backends.codex.items import script_of
from backends.codex.shapes import as_dict, as_list
from process_agent.core.decisions import EVERY, Answers, Decision
from process_agent.core.forms import Form, read_form
from process_agent.wire.jsonrpc import METHOD_NOT_FOUND, Request

type Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """People are asked. `item_id` names the running item it is about, if any; otherwise `tool` and
    `arguments` make a tool call of our own. `part` tells several requests about one item apart.

    `results` are the answers to send, by decision; a `form` makes its own of what was answered.
    """

    item_id: str | None
    tool: str
    arguments: dict[str, Any]
    reason: str | None
    results: Mapping[Decision, object]
    part: str | None = None
    server: str | None = None
    form: UserInput | Form | None = None

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What people can decide."""
        return tuple(d for d in EVERY if d in self.results) if self.form is None else _TO_A_QUESTION

    def answer(self, decision: Decision, answers: Answers) -> object:
        """The result to send. Nobody's answer is a no."""
        if self.form is not None:
            return self.form.answered(answers, decision)
        return self.results.get(decision, self.results[Decision.DECLINE])


_TO_A_QUESTION: Final = (Decision.ACCEPT, Decision.DECLINE, Decision.CANCEL)


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


type Reading = Asked | Settled | Refused


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


def _command(params: Params) -> Asked:
    arguments = {
        "command": script_of(params.get("command")),
        **_given(params, cwd="cwd", network="networkApprovalContext", permissions="additionalPermissions"),
    }
    tool = "write_stdin" if params.get("kind") == "writeStdin" else "shell"
    return _decision(params, tool, arguments)


def _decision(params: Params, tool: str, arguments: dict[str, Any]) -> Asked:
    """Codex names some of these as available; it takes all of them (tried with 0.163.0)."""
    words = {
        Decision.ACCEPT: "accept",
        Decision.ACCEPT_FOR_SESSION: "acceptForSession",
        Decision.DECLINE: "decline",
        Decision.CANCEL: "cancel",
    }
    return Asked(
        item_id=_string(params, "itemId"),
        tool=tool,
        arguments=arguments,
        reason=_string(params, "reason"),
        results={decision: {"decision": word} for decision, word in words.items()},
        part=_string(params, "approvalId"),
    )


def _permissions(params: Params) -> Asked:
    wanted = params.get("permissions")
    nothing = {"permissions": {}, "scope": "turn"}
    return Asked(
        item_id=_string(params, "itemId"),
        tool="request_permissions",
        arguments={"permissions": wanted, **_given(params, cwd="cwd")},
        reason=_string(params, "reason"),
        results={
            Decision.ACCEPT: {"permissions": wanted, "scope": "turn"},
            Decision.ACCEPT_FOR_SESSION: {"permissions": wanted, "scope": "session"},
            Decision.DECLINE: nothing,
            Decision.CANCEL: nothing,
        },
        part="permissions",
    )


def _elicitation(params: Params) -> Reading:
    """An MCP server asks: whether its tool may be called, or for what its form says."""
    meta = as_dict(params.get("_meta"))
    server, message = _string(params, "serverName") or "mcp", _string(params, "message") or ""
    if meta.get("codex_approval_kind") == "mcp_tool_call":
        return _tool_approval(meta, server, message)
    if params.get("mode") not in FORM_MODES:
        return Settled({"action": "decline"}, _not_here(server, message, "only a form can be filled in here"))
    form = read_form(params.get("requestedSchema"))
    if isinstance(form, str):
        return Settled({"action": "decline"}, _not_here(server, message, form))
    return Asked(
        item_id=None,
        tool="elicitation",
        arguments={"server": server, "message": message},
        reason=f"{server} asks: {message}" if message else f"{server} asks.",
        results={},
        form=form,
    )


def _tool_approval(meta: Params, server: str, message: str) -> Asked:
    accept: dict[str, Any] = {"action": "accept", "content": {}}
    results: dict[Decision, object] = {
        Decision.ACCEPT: accept,
        Decision.DECLINE: {"action": "decline"},
        Decision.CANCEL: {"action": "cancel"},
    }
    if "session" in as_list(meta.get("persist")):
        results[Decision.ACCEPT_FOR_SESSION] = accept | {"_meta": {"persist": "session"}}
    return Asked(
        item_id=None,
        tool="mcp_tool_call",
        arguments={"server": server, "arguments": meta.get("tool_params")},
        reason=message or None,
        results=results,
        server=server,
    )


def _not_here(server: str, message: str, why: str) -> str:
    return f"{server} asked for something that cannot be given here ({why}): {message}"


def _user_input(params: Params) -> Reading:
    form = read_user_input(params)
    if form is None:
        return Settled({"answers": {}}, "Codex asked a question without saying which.")
    return Asked(
        item_id=None,
        tool="request_user_input",
        arguments={"questions": params.get("questions")},
        reason=None,
        results={},
        form=form,
    )


def _tool_call(params: Params) -> Settled:
    text = f"There is no tool {params.get('tool')!r} here."
    return Settled({"contentItems": [{"type": "inputText", "text": text}], "success": False}, text)


def _given(params: Params, **names: str) -> dict[str, Any]:
    return {ours: params[theirs] for ours, theirs in names.items() if params.get(theirs) is not None}


def _string(params: Params, name: str) -> str | None:
    value = params.get(name)
    return value if isinstance(value, str) and value else None
