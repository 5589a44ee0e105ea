"""Services at MeshAgent: kept by its REST API, run in containers that the room knows about."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from process_agent.cli.service_place import Found, Wanted
from process_agent.errors import AuthError, RoomError, UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from process_agent.config import Settings
    from process_agent.core.content import Json
    from process_agent.rooms.join import JoinedRoom
    from process_agent.services.rest import Access

MAX_LOG = 1024 * 1024
"""Characters of a container's log that are read, the last ones."""

MAX_STATES = 8 * 1024 * 1024


class HostedPlace:
    """The services of a hosted room, or of a project. How they are, and their logs, only rooms know: `room`
    is asked. Whoever makes it leaves that room with `close`.
    """

    look_seconds = 1.0

    def __init__(self, wanted: Wanted, settings: Settings, room: str | None) -> None:
        from process_agent.cli.room_visit import RoomVisit
        from process_agent.cli.who import login_name
        from process_agent.rooms.credentials import JoinWish
        from process_agent.services.rest import ServicesApi

        self.access = access_of(wanted, settings, None if wanted.project else room)
        self.api = ServicesApi(self.access)
        wish = JoinWish(room, login_name(), "user", project_id=self.access.project_id)
        self._visit = None if room is None else RoomVisit(settings, wish)
        self._room = room
        self._told = False
        self._printing: str | None = None
        """The container whose log was read last."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the room. Idempotent."""
        if self._visit is not None:
            self._visit.close()

    def pause(self, seconds: float) -> None:
        """Wait between two questions, in the room."""
        if self._visit is not None:
            self._visit.pause(seconds)
        else:
            time.sleep(seconds)

    @property
    def label(self) -> str:
        """Where that is."""
        return f"the {self.access.label}"

    def services(self) -> list[Found]:
        """All of them, with how they are if the room says so."""
        listed = self.api.list()
        states = self._known_states() if listed and self._room is not None else {}
        facts = {"room": self._room, "project": self.access.project_id}
        return [_found(each, states.get(str(each.get("id"))), facts) for each in listed]

    def _known_states(self) -> dict[str, dict[str, Any]]:
        """How they are; none, and the reason on standard error once, when the room does not say."""
        try:
            return self._states()
        except (RoomError, AuthError) as error:
            if not self._told:
                print(f"process: how the services are is not known: {error}", file=sys.stderr)
            self._told = True
            return {}

    def start(self, service: Found) -> None:
        """Enable it."""
        self._enable(service, True)

    def stop(self, service: Found) -> None:
        """Disable it: MeshAgent ends its container."""
        self._enable(service, False)

    def restart(self, service: Found) -> None:
        """Have the room start its container anew."""

        async def ask(room: JoinedRoom) -> None:
            await _tool(room, "restart", {"service_id": service.id})

        self._asked(ask)

    def remove(self, service: Found) -> None:
        """Delete it."""
        self.api.delete(service.id)

    def log_tail(self, service: Found, lines: int) -> tuple[str, int]:
        """The last lines its container printed."""
        text, end = self._log(service)
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines else "", end

    def log_after(self, service: Found, position: int) -> tuple[str, int]:
        """What its container printed after a position; all of it when the container is another."""
        before = self._printing
        text, end = self._log(service)
        new = end - (position if self._printing == before else 0)
        return text[-new:] if new > 0 else "", end

    def _log(self, service: Found) -> tuple[str, int]:
        container = (self._states().get(service.id) or {}).get("container_id")
        if not isinstance(container, str) or not container:
            return "", 0

        async def read(room: JoinedRoom) -> tuple[str, int]:
            return await room.containers.log(container, MAX_LOG)

        self._printing = container
        return self._asked(read)

    def _enable(self, service: Found, enabled: bool) -> None:
        if service.enabled is not enabled:
            self.api.update(service.id, {**service.document, "enabled": enabled})

    def _states(self) -> dict[str, dict[str, Any]]:
        """How the services of the room are, by id, and whether their agents are there."""

        async def ask(room: JoinedRoom) -> dict[str, dict[str, Any]]:
            value = await _tool(room, "list", {})
            listed = value.get("service_states") if isinstance(value, dict) else None
            here = [p.name for p in room.messaging.participants() if p.role == "agent"]
            return {
                str(each.get("service_id")): {**each, "agents_here": here}
                for each in (listed if isinstance(listed, list) else ())
                if isinstance(each, dict)
            }

        return self._asked(ask)

    def _asked[T](self, question: Callable[[JoinedRoom], Coroutine[Any, Any, T]]) -> T:
        """The room's answer; it is joined as a person. Raises `UsageError` where there is no room to ask."""
        if self._visit is None:
            raise UsageError(
                "How a service of a project is, and what it prints, rooms know: each runs its own.",
                fix="Name one of them beside --project: --room NAME.",
            )
        return self._visit.ask(question)


async def _tool(room: JoinedRoom, tool: str, arguments: dict[str, Any]) -> Any:
    """What the room's service controller answers."""
    answer = await room.toolkits.call(
        "services", tool, arguments, host=None, limit=MAX_STATES, on_text=lambda _text: None
    )
    return answer.json


def access_of(wanted: Wanted, settings: Settings, room: str | None) -> Access:
    """The way to the REST API: of MESHAGENT_API_KEY, MESHAGENT_TOKEN, or the saved login.

    Raises `AuthError` when there is none that it takes, and `UsageError` when the project is not known.
    """
    from process_agent.rooms.credentials import DEFAULT_API_URL, parse_api_key
    from process_agent.rooms.login import login_file, read_login
    from process_agent.rooms.tokens import read_claims
    from process_agent.services.rest import Access

    login = read_login(login_file(settings.home), settings.api_url)
    project = wanted.project_id or settings.project_id
    if settings.api_key is not None:
        project = project or parse_api_key(settings.api_key, "MESHAGENT_API_KEY").project_id
        bearer = settings.api_key
    elif settings.token is not None:
        claims = read_claims(settings.token)
        project, bearer = project or (None if claims is None else claims.project_id), settings.token
    elif login is not None:
        project = project or login.project_id
        bearer = login.api_keys.get(project or "") or _session(settings, login)
    else:
        raise AuthError(
            "MeshAgent's REST API takes no MESHAGENT_SECRET.", fix="Set MESHAGENT_API_KEY, or use --local."
        )
    if not project:
        raise UsageError("In which project?", fix="Name it with --project-id or MESHAGENT_PROJECT_ID.")
    saved = None if login is None else login.api_url
    return Access(settings.api_url or saved or DEFAULT_API_URL, project, room, bearer)


def _session(settings: Settings, login: Any) -> str:
    """The access token of the saved login, renewed if need be."""
    from process_agent.rooms.credentials import DEFAULT_API_URL
    from process_agent.rooms.login import login_file
    from process_agent.rooms.oauth import client_of
    from process_agent.rooms.signing_in import renewed

    now = time.time()
    client = client_of(settings, login.api_url or DEFAULT_API_URL)
    fresh = asyncio.run(renewed(login_file(settings.home), login, client, now))
    return fresh.session(now)


def _found(document: dict[str, Json], state: dict[str, Any] | None, facts: Mapping[str, Any]) -> Found:
    metadata, agents = document.get("metadata"), document.get("agents")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    first = agents[0] if isinstance(agents, list) and agents else None
    agent = first.get("name") if isinstance(first, dict) else None
    if not isinstance(document.get("id"), str) or not isinstance(name, str):
        raise RoomError("MeshAgent listed a service without an id or a name.")
    return Found(
        id=str(document["id"]),
        name=name,
        agent=agent if isinstance(agent, str) else None,
        enabled=document.get("enabled") is not False,
        document=document,
        state=None if state is None else _state(state, agent),
        facts=facts,
    )


def _state(state: Mapping[str, Any], agent: object) -> dict[str, Any]:
    """How a service is, in our words; its room's own word is kept."""
    word, scheduled = str(state.get("state")), state.get("restart_scheduled_at")
    phase = word
    if scheduled is not None:
        phase = "waiting"
    elif word == "running" and agent is not None and agent not in state.get("agents_here", ()):
        phase = "starting"
    code, trouble = state.get("last_exit_code"), state.get("last_start_error")
    return {
        "phase": phase,
        "room_says": word,
        "since": state.get("started_at"),
        "restarts": state.get("restart_count"),
        "next_start": scheduled,
        "last_exit_code": code,
        "last_end": trouble or (None if code is None else f"it ended with exit code {code}"),
        "container": state.get("container_id"),
    }
