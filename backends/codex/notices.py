"""Notifications that are no items but have to be seen: warnings, retries, hooks, changes of the model.

Each is shown as a small finished tool call of toolkit `codex`, so that it is stored and replayed without
becoming something the agent said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from backends.codex.failures import retry_message
from backends.codex.shapes import as_dict, as_list, dicts
from process_agent.core.discretion import without_addresses

type Params = Mapping[str, Any]

WARNING: Final = "warning"
RETRY: Final = "retry"
NOTICE: Final = "notice"


def notice_of(method: str, params: Params) -> tuple[str, str] | None:
    """Tool name and text of a notice; None for a notification that is none."""
    reader = _READERS.get(method)
    if reader is None:
        return None
    found = reader(params)
    if found is None:
        return None
    return found[0], without_addresses(found[1])


def _field(params: Params, *names: str) -> str:
    return ": ".join(str(params[name]) for name in names if params.get(name))


def _warning(params: Params) -> tuple[str, str] | None:
    text = _field(params, "message") or _field(params, "summary", "details")
    return (WARNING, text) if text else None


def _error(params: Params) -> tuple[str, str] | None:
    """Only errors that are tried again: the last one is repeated by the end of the turn."""
    return (RETRY, retry_message(params.get("error"))) if params.get("willRetry") else None


def _rerouted(params: Params) -> tuple[str, str]:
    return NOTICE, f"The model was changed from {params.get('fromModel')} to {params.get('toModel')}."


def _recovery(params: Params) -> tuple[str, str]:
    return NOTICE, _field(params, "message") or "The credentials of the model provider were renewed."


def _hook(params: Params) -> tuple[str, str] | None:
    run = params.get("run")
    if not isinstance(run, dict):
        return None
    entries = [str(entry.get("text")) for entry in dicts(run.get("entries"))]
    said = " ".join([str(run.get("statusMessage") or ""), *entries]).strip()
    text = f"Hook {run.get('eventName')}: {run.get('status')}"
    return NOTICE, f"{text}. {said}" if said else f"{text}."


def _server_start(params: Params) -> tuple[str, str] | None:
    if params.get("status") != "failed":
        return None
    return (
        WARNING,
        f"MCP server {params.get('name')} did not start: {params.get('error') or 'no reason given'}",
    )


def _guardian(params: Params) -> tuple[str, str]:
    review = as_dict(params.get("review"))
    text = f"Automatic review: {review.get('status') or 'done'}"
    return NOTICE, f"{text}. {review['rationale']}" if review.get("rationale") else f"{text}."


def _verification(params: Params) -> tuple[str, str]:
    wanted = ", ".join(map(str, as_list(params.get("verifications")))) or "verification"
    return WARNING, f"The model's provider asks for {wanted}."


def _buffering(params: Params) -> tuple[str, str] | None:
    if not params.get("showBufferingUi"):
        return None
    return NOTICE, f"{params.get('model')} checks its answer before showing it."


def _strict_review(_: Params) -> tuple[str, str]:
    return WARNING, "From here on every command of this turn is reviewed before it runs."


def _world_writable(params: Params) -> tuple[str, str]:
    paths = ", ".join(map(str, as_list(params.get("samplePaths"))))
    return (
        WARNING,
        f"Folders that every user of this machine can write, and commands, too: {paths or 'unknown'}",
    )


_READERS: Final[Mapping[str, Callable[[Params], tuple[str, str] | None]]] = {
    "warning": _warning,
    "configWarning": _warning,
    "guardianWarning": _warning,
    "deprecationNotice": _warning,
    "error": _error,
    "model/rerouted": _rerouted,
    "model/verification": _verification,
    "model/safetyBuffering/updated": _buffering,
    "modelProvider/authRecoveryStarted": _recovery,
    "modelProvider/authRecoveryCompleted": _recovery,
    "hook/completed": _hook,
    "mcpServer/startupStatus/updated": _server_start,
    "item/autoApprovalReview/completed": _guardian,
    "autoApprovalReview/strictReviewRequired": _strict_review,
    "windows/worldWritableWarning": _world_writable,
}

NOTICED: Final = frozenset(_READERS)
"""Notifications that become notices."""
