"""Tools that the agent runs: namespaces of Codex's `dynamicTools` (page section 8), and their calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from backends.codex.client_tools import response
from backends.codex.items import MESHAGENT
from process_agent.core.backend import Answered
from process_agent.core.content import ErrorInfo
from process_agent.core.events import BackendEvent, ToolEnded, ToolRef
from process_agent.core.ids import ItemId
from process_agent.core.tools import Toolbox, ToolOutcome
from process_agent.wire.jsonrpc import Request, RequestId

_STOPPED: Final = ErrorInfo("Stopped.", "interrupted")

type Start = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
type Reply = Callable[[RequestId, object], None]


def namespaces(toolbox: Toolbox | None) -> tuple[dict[str, Any], ...]:
    """The toolkits as `thread/start` takes them."""
    if toolbox is None:
        return ()
    return tuple(
        {
            "type": "namespace",
            "name": kit.name,
            "description": kit.description,
            "tools": [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "inputSchema": dict(tool.schema),
                }
                for tool in kit.tools
            ],
        }
        for kit in toolbox.toolkits
    )


class AgentCalls:
    """The calls of one turn that the agent runs. `start` starts a task, `reply` answers Codex."""

    def __init__(self, toolbox: Toolbox | None, start: Start, reply: Reply) -> None:
        self._toolbox = toolbox
        self._start = start
        self._reply = reply
        self._names = frozenset(kit.name for kit in toolbox.toolkits) if toolbox else frozenset()
        self._running: dict[RequestId, tuple[ItemId, asyncio.Task[None]]] = {}
        self._outcomes: dict[ItemId, ToolOutcome] = {}

    def open(self, request: Request, ref: ToolRef | None) -> bool:
        """Run a call under the item Codex has made of it. False when it is none of the agent's."""
        params = request.params
        namespace, tool = params.get("namespace"), params.get("tool")
        if self._toolbox is None or namespace not in self._names or not isinstance(tool, str):
            return False
        call_id = str(params.get("callId"))
        ref = ref or ToolRef(ItemId(call_id), str(namespace), tool, MESHAGENT, call_id)
        arguments = params.get("arguments")
        given = arguments if isinstance(arguments, dict) else {}
        run = self._run(self._toolbox, request.id, ref, given)
        self._running[request.id] = (ref.item_id, self._start(run, f"{namespace}.{tool}"))
        return True

    def told(self, event: BackendEvent) -> BackendEvent:
        """The end of a call with what the tool gave back, rather than what became of it on the way. Codex
        ends one that it does not wait for any more as failed.
        """
        if not isinstance(event, ToolEnded):
            return event
        stopped = any(item == event.ref.item_id for item, _ in self._running.values())
        outcome = self._outcomes.pop(event.ref.item_id, _STOPPED if stopped else None)
        if outcome is None:
            return event
        if isinstance(outcome, ErrorInfo):
            return replace(event, result=None, error=outcome)
        return replace(event, result=outcome.result, error=None)

    def withdrawn(self, request: object) -> None:
        """Codex needs the answer to this request no more."""
        found = self._running.pop(request, None) if isinstance(request, int | str) else None
        if found is not None:
            item_id, task = found
            self._outcomes.setdefault(item_id, _STOPPED)
            task.cancel()

    def close(self) -> None:
        """The turn ends: what still runs is stopped."""
        for request in tuple(self._running):
            self.withdrawn(request)

    async def _run(
        self, toolbox: Toolbox, request: RequestId, ref: ToolRef, arguments: dict[str, Any]
    ) -> None:
        outcome = await toolbox.call(ref, arguments)
        self._outcomes[ref.item_id] = outcome
        self._running.pop(request, None)
        self._reply(request, _response(outcome))


def _response(outcome: ToolOutcome) -> dict[str, Any]:
    answered: Answered = outcome if isinstance(outcome, ErrorInfo) else outcome.for_model
    found = response(answered)
    if not isinstance(outcome, ErrorInfo):
        found["contentItems"] += [{"type": "inputImage", "imageUrl": url} for url in outcome.images]
    return found
