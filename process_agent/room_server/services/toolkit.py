"""The toolkit `services` of a local room: what participants may know of its services. They change nothing."""

from __future__ import annotations

import json
from typing import Any

from process_agent.room_server.services.running import RunningService
from process_agent.room_server.services.services import LocalServices
from process_agent.room_server.toolkit import (
    PERMISSION_DENIED,
    Call,
    Chunks,
    Content,
    SendChunk,
    ToolError,
    json_content,
)
from process_agent.services.local import shown_in_the_room
from process_agent.services.supervision import Phase

_STATES = {
    Phase.STARTING: "starting",
    Phase.RUNNING: "running",
    Phase.WAITING: "scheduled",
    Phase.STOPPING: "stopping",
    Phase.STOPPED: "stopped",
}


class ServicesToolkit:
    """The services of one room."""

    name = "services"
    unary = frozenset({"list", "restart"})
    streamed: frozenset[str] = frozenset()

    def __init__(self, room: str, services: LocalServices) -> None:
        self._room = room
        self._services = services

    async def call(self, call: Call) -> Content:
        """List them. Raises `ToolError` for a restart, which is the owner's."""
        if call.tool == "restart":
            raise ToolError(
                "a service of the local room is restarted by its owner, with process service restart",
                code=PERMISSION_DENIED,
            )
        found = self._services.all(self._room)
        return json_content(
            {
                "services_json": [json.dumps(shown_in_the_room(service.record)) for service in found],
                "service_states": [runtime_state(service) for service in found],
            }
        )

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        """No tool of this toolkit is streamed."""
        raise ToolError(f"services.{call.tool} is not streamed")

    async def close(self) -> None:
        """The services are the server's."""


def runtime_state(service: RunningService) -> dict[str, Any]:
    """How a service is, in the form of the published client."""
    facts = service.facts()
    started = facts.since if facts.phase in (Phase.STARTING, Phase.RUNNING) else None
    state: dict[str, Any] = {
        "service_id": service.record.id,
        "state": _STATES[facts.phase],
        "restart_count": facts.restarts,
        "started_at": started,
        "restart_scheduled_at": facts.next_start,
        "last_exit_code": facts.last_code,
    }
    return {key: value for key, value in state.items() if value is not None}
