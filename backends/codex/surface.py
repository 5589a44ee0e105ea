"""What the app-server can say and ask, where each of it has its place here, and what another version changes.

A digest holds the names of a schema, as `codex app-server generate-json-schema --experimental` writes it: the
kinds of items, the notifications and the requests of the server with their members, the methods it takes.
`surface.json` is the digest of the version this was built for (`drift.py` makes and compares them). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from backends.codex.mapping import HANDLED
from backends.codex.notices import NOTICED
from backends.codex.shapes import as_dict, dicts

type Members = dict[str, list[str]]
type Digest = dict[str, Members]

ITEMS: Final = frozenset(
    {
        "userMessage", "hookPrompt", "agentMessage", "plan", "reasoning", "commandExecution", "fileChange",
        "mcpToolCall", "dynamicToolCall", "functionCallOutput", "collabAgentToolCall", "subAgentActivity",
        "webSearch", "imageView", "imageGeneration", "sleep", "enteredReviewMode", "exitedReviewMode",
        "contextCompaction",
    }
)  # fmt: skip
"""Kinds of items with a form of their own; others are shown with their name and all members."""

REQUESTS: Final = frozenset(
    {
        "item/commandExecution/requestApproval", "item/fileChange/requestApproval",
        "item/permissions/requestApproval", "item/tool/requestUserInput", "item/tool/call",
        "mcpServer/elicitation/request",
    }
)  # fmt: skip
"""Requests of the server that are put to somebody or answered; others are refused at once."""

REFUSED: Final[Mapping[str, str]] = {
    "account/chatgptAuthTokens/refresh": "logins are Codex's own; nobody here hands it tokens",
    "attestation/generate": "switched off when the connection is made",
    "currentTime/read": "only for clocks of the client, which no thread here asks for",
    "applyPatchApproval": "the form before version 2 of the protocol",
    "execCommandApproval": "the form before version 2 of the protocol",
}

HEARD: Final = frozenset({"account/rateLimits/updated", "serverRequest/resolved", "account/login/completed"})
"""Notifications that are taken up elsewhere: limits, requests that need no answer any more, logins."""

UNSENT: Final = (
    "thread/started",
    "thread/closed",
    "thread/status/changed",
    "thread/settings/updated",
    "thread/readState/changed",
    "item/reasoning/summaryPartAdded",
    "remoteControl/status/changed",
    "skills/changed",
    "rawResponse/completed",
)
"""Notifications that the server is asked not to send: a fifth of the messages of a short turn."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "thread/archived": "the room keeps the list of threads",
    "thread/unarchived": "the room keeps the list of threads",
    "thread/deleted": "the room keeps the list of threads",
    "thread/name/updated": "the room keeps the names of threads",
    "thread/section/changed": "sections of Codex's own list of threads",
    "thread/attachment/updated": "attachments of Codex's own applications",
    "thread/reverted": "the answer to a call of ours",
    "thread/goal/": "goals are switched off",
    "thread/prediction/updated": "proposals for a person's next message; nobody asks for them",
    "thread/queue/changed": "the room queues turns",
    "thread/project/updated": "projects of Codex's own applications",
    "project/changed": "projects of Codex's own applications",
    "thread/environment/": "remote environments; threads here have the local one",
    "thread/realtime/": "voice, which is not spoken here",
    "item/autoApprovalReview/started": "its end is shown",
    "command/exec/outputDelta": "commands of ours are not streamed",
    "process/": "processes of the client; none are started",
    "mcpServer/oauthLogin/completed": "logins to MCP servers are made with `codex mcp login`",
    "mcpServer/event/stream/notification": "events of MCP servers; nobody subscribes",
    "account/updated": "the account is read at the start",
    "account/gatewayOAuth/changed": "gateways of Codex's own applications",
    "app/list/updated": "apps are switched off",
    "externalAgentConfig/import/": "imports of other agents' settings; none are started",
    "fs/changed": "watches of the client; none are set",
    "turn/moderationMetadata": "the provider's notes to itself; a refusal is an error or a message",
    "fuzzyFileSearch/": "searches of the client; none are started",
    "windowsSandbox/setupCompleted": "the answer to a call that is not made here",
}
"""Notifications that are not shown, or their beginnings, and why."""

_UNIONS: Final = {
    "notifications": "ServerNotification",
    "requests": "ServerRequest",
    "calls": "ClientRequest",
}


def digest(schema: Mapping[str, Any]) -> Digest:
    """Names in a schema bundle (`definitions`, those of version 2 of the protocol below `v2`)."""
    types = {**as_dict(schema.get("definitions")), **as_dict(as_dict(schema.get("definitions")).get("v2"))}
    items = {
        _constant(kind, "type"): sorted(as_dict(kind.get("properties")))
        for kind in _union(types, "ThreadItem")
    }
    found: Digest = {"items": dict(sorted(items.items()))}
    for name, union in _UNIONS.items():
        methods = {_constant(one, "method"): _members(types, one) for one in _union(types, union)}
        found[name] = dict(sorted(methods.items()))
    return found


def unknown(found: Digest) -> list[str]:
    """What a version can say that has no place here, one line each."""
    lines = [
        f"item {kind}: shown with its name and all members" for kind in found["items"] if kind not in ITEMS
    ]
    lines += [f"notification {m}: not shown" for m in found["notifications"] if not _has_place(m)]
    lines += [
        f"request {m}: refused, the turn goes on"
        for m in found["requests"]
        if m not in REQUESTS | REFUSED.keys()
    ]
    return lines


def differences(ours: Digest, theirs: Digest) -> list[str]:
    """What another version has more, has not any more, and with other members, one line each."""
    lines: list[str] = []
    for name in ("items", "notifications", "requests", "calls"):
        before, after = ours[name], theirs[name]
        lines += [f"{name}: {each} is new" for each in _less(after, before)]
        lines += [f"{name}: {each} is gone" for each in _less(before, after)]
        for each in sorted(before.keys() & after.keys()):
            changes = [f"+{m}" for m in _less(after[each], before[each])]
            changes += [f"-{m}" for m in _less(before[each], after[each])]
            if changes:
                lines.append(f"{name}: {each} has other members: {', '.join(changes)}")
    return lines


def _has_place(method: str) -> bool:
    if method in HANDLED | NOTICED | HEARD or method in UNSENT:
        return True
    return any(method == name or (name.endswith("/") and method.startswith(name)) for name in LEFT_OUT)


def _less(some: Iterable[str], others: Iterable[str]) -> list[str]:
    return sorted(set(some) - set(others))


def _union(types: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return dicts(as_dict(types.get(name)).get("oneOf"))


def _constant(one: Mapping[str, Any], name: str) -> str:
    values = as_dict(as_dict(one.get("properties")).get(name)).get("enum") or ["?"]
    return str(values[0])


def _members(types: Mapping[str, Any], one: Mapping[str, Any]) -> list[str]:
    """Members of the parameters; those that have to be there are marked with a star."""
    given = as_dict(as_dict(one.get("properties")).get("params"))
    named = as_dict(types.get(str(given.get("$ref", "")).rpartition("/")[2])) or given
    required = named.get("required") or []
    return sorted(f"{name}*" if name in required else name for name in as_dict(named.get("properties")))
