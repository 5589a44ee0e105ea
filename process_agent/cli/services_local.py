"""Services of the local room, asked of its server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from process_agent.cli.service_place import Found
from process_agent.errors import RoomError, TimeLimitError, UsageError

if TYPE_CHECKING:
    from process_agent.config import DataPaths
    from process_agent.core.content import Json
    from process_agent.room_server.state import ServerState

ANSWER_SECONDS = 10.0
"""How long the server has to answer."""

END_SECONDS = 25.0
"""How long a service has to end: what it may take itself, and what its owner needs to see it gone."""


class LocalPlace:
    """The services of one local room, or of all. Raises `RoomError` when no server runs."""

    look_seconds = 0.3

    def __init__(
        self, paths: DataPaths, room: str | None, *, port: int | None = None, start: bool = False
    ) -> None:
        from process_agent.cli.local import check_room_name, usable_folder
        from process_agent.room_server.lifecycle import ensure_running
        from process_agent.room_server.state import running

        if room is not None:
            check_room_name(room)
        self.paths = paths
        self.room = room
        if start:
            usable_folder(paths)
            state: ServerState | None = ensure_running(paths, port)
        else:
            state = running(paths)
        if state is None:
            raise RoomError(
                f"No local room runs for {paths.root}, and so no services.",
                fix="Start it with process room start: its services start with it.",
            )
        self._state = state

    def pause(self, seconds: float) -> None:
        """Wait between two questions."""
        time.sleep(seconds)

    @property
    def label(self) -> str:
        """Where that is."""
        return "the local rooms" if self.room is None else f"the local room {self.room}"

    def services(self) -> list[Found]:
        """All of them."""
        query = "" if self.room is None else "?" + urlencode({"room": self.room})
        return [_found(each) for each in self._ask("GET", f"/services{query}")["services"]]

    def put(self, document: Mapping[str, Json], environment: Mapping[str, str]) -> tuple[Found, bool]:
        """Register it, or update the one of this name; and whether it is new."""
        body = {"room": self.room, "document": dict(document), "environment": dict(environment)}
        answer = self._ask("POST", "/services", body)
        return _found(answer), answer["created"] is True

    def previous(self, service: Found) -> dict[str, Json] | None:
        """The document of the deploy before."""
        found: dict[str, Json] | None = self._ask("GET", _path(service))["previous_document"]
        return found

    def roll_back(self, service: Found) -> Found:
        """Go back to what was deployed before."""
        return self._act(service, "rollback")

    def start(self, service: Found) -> None:
        """Have it run from now on, also after a restart of the server."""
        self._act(service, "start")

    def stop(self, service: Found) -> None:
        """Have it not run until it is started; returns when it is gone. Raises `TimeLimitError`."""
        until = time.monotonic() + END_SECONDS
        state = self._act(service, "stop").state or {}
        while state.get("phase") != "stopped":
            if time.monotonic() >= until:
                raise TimeLimitError(f"The service {service.name!r} did not end in {END_SECONDS:.0f} s.")
            self.pause(self.look_seconds)
            state = self._ask("GET", _path(service))["state"]

    def restart(self, service: Found) -> None:
        """Have it started anew."""
        self._act(service, "restart")

    def remove(self, service: Found) -> None:
        """End it and forget it, its log too."""
        self._ask("DELETE", _path(service), seconds=END_SECONDS)

    def log_tail(self, service: Found, lines: int) -> tuple[str, int]:
        """The last lines it printed."""
        return self._log(service, lines=lines)

    def log_after(self, service: Found, position: int) -> tuple[str, int]:
        """What it printed after a position."""
        return self._log(service, after=position)

    def _log(self, service: Found, **query: int) -> tuple[str, int]:
        answer = self._ask("GET", f"{_path(service)}/logs?{urlencode(query)}")
        return answer["text"], answer["position"]

    def _act(self, service: Found, action: str) -> Found:
        return _found(self._ask("POST", f"{_path(service)}/{action}"))

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        from process_agent.room_server.access import control_token
        from process_agent.room_server.keys import signing_key
        from process_agent.room_server.state import ask

        token = control_token(signing_key(self.paths.signing_key), time.time())
        status, answer = ask(self._state, method, path, body, token, seconds)
        if status == 200:
            return answer
        said = answer.get("error", {}).get("message", f"status {status}")
        if status in (400, 404, 413):
            raise UsageError(said)
        raise RoomError(f"The room server at {self._state.url} refused: {said}")


def _path(service: Found) -> str:
    return f"/services/{quote(service.id, safe='')}"


def _found(value: Mapping[str, Any]) -> Found:
    facts = {key: value[key] for key in ("room", "revision", "previous_revision")}
    return Found(
        value["id"], value["name"], value["agent"], value["enabled"], value["document"], value["state"], facts
    )
