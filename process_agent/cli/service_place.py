"""Where services are: in the local room, whose server runs them, or at MeshAgent, in containers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.config import Settings
    from process_agent.core.content import Json

Room = Annotated[
    str | None, typer.Option("--room", metavar="NAME", help="The service's room. [default: $MESHAGENT_ROOM]")
]
Project = Annotated[
    bool,
    typer.Option("--project", help="A service of the whole project, whatever $MESHAGENT_ROOM says."),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says about the place."""

    room: str | None
    project: bool = False
    project_id: str | None = None
    local: bool = False
    data_dir: Path | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A service that is there. `state` says how it is, where that is known; `facts` are the place's own."""

    id: str
    name: str
    agent: str | None
    enabled: bool
    document: Mapping[str, Json]
    state: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """One service for programs, its document left out."""
        return {
            "id": self.id,
            "name": self.name,
            "agent": self.agent,
            "enabled": self.enabled,
            **self.facts,
            "state": None if self.state is None else dict(self.state),
        }


class ServicePlace(Protocol):
    """Services of one room, of a project, or of all local rooms. Every call may raise a `ProcessError`."""

    @property
    def label(self) -> str:
        """Where that is, for people."""
        ...

    def services(self) -> list[Found]:
        """All of them."""
        ...

    def start(self, service: Found) -> None:
        """Have it run from now on."""
        ...

    def stop(self, service: Found) -> None:
        """Have it not run until it is started."""
        ...

    def restart(self, service: Found) -> None:
        """Have it started anew."""
        ...

    def remove(self, service: Found) -> None:
        """End it and forget it."""
        ...

    def log_tail(self, service: Found, lines: int) -> tuple[str, int]:
        """The last lines it printed, and the position after them."""
        ...

    def log_after(self, service: Found, position: int) -> tuple[str, int]:
        """What it printed after a position, and the position after that."""
        ...


def service_place(wanted: Wanted, settings: Settings, *, start: bool = False) -> ServicePlace:
    """The place. With `start`, the local room's server is started when it does not run.

    Raises `UsageError`, `AuthError` and `RoomError`.
    """
    from process_agent.cli.services_hosted import HostedPlace
    from process_agent.cli.services_local import LocalPlace

    if wanted.room is not None and wanted.project:
        raise UsageError("--room and --project contradict each other.")
    room = None if wanted.project else wanted.room or settings.room
    if not is_local(wanted, settings):
        if wanted.data_dir is not None:
            raise UsageError("--data-dir is the local room's.", fix="Leave it out, or add --local.")
        return HostedPlace(wanted, settings, room)
    if wanted.project:
        raise UsageError(
            "--project is for MeshAgent: a local service is in one room.",
            fix="Name it with --room.",
        )
    return LocalPlace(settings.paths(wanted.data_dir), room, port=wanted.port, start=start)


def is_local(wanted: Wanted, settings: Settings) -> bool:
    """Whether it is the local room: asked for, or there is nothing to log in to MeshAgent with."""
    from process_agent.rooms.login import login_file, read_login

    if wanted.local:
        return True
    if settings.token or settings.api_key or settings.secret:
        return False
    return read_login(login_file(settings.home), settings.api_url) is None


def the_one(place: ServicePlace, name: str) -> Found:
    """The service with a name, or an id. Raises `UsageError` when there is none, or more than one."""
    services = place.services()
    found = [each for each in services if each.name == name] or [each for each in services if each.id == name]
    if not found:
        raise UsageError(f"There is no service {name!r} in {place.label}.", fix="See process service list.")
    if len(found) > 1:
        raise UsageError(f"There is more than one service {name!r} in {place.label}.", fix="Name its --room.")
    return found[0]


def moment(seconds: object) -> str:
    """A time in seconds since 1970, for people here."""
    if not isinstance(seconds, int | float):
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
