"""Where services are: in the local room, whose server runs them, or at MeshAgent, in containers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from process_agent.cli.flag_sets import typed
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
    here: bool = False
    """Whether somebody typed a folder or a port of the local room."""


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

    look_seconds: float
    """How often it may be asked while somebody waits for news."""

    def pause(self, seconds: float) -> None:
        """Wait between two questions."""
        ...

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


def wanted_place(context: typer.Context) -> Wanted:
    """What the flags say about the place. What files of settings say about the local room does not count
    elsewhere, and their room not for a service of the project.
    """
    params = context.params
    room = params["room"] if typed(context, "room") or not params["project"] else None
    return Wanted(
        room,
        params["project"],
        params["project_id"],
        params["local"],
        None if params["data_dir"] is None else Path(params["data_dir"]),
        params.get("port"),
        here=typed(context, "data_dir") or typed(context, "port"),
    )


@contextmanager
def service_place(wanted: Wanted, settings: Settings) -> Iterator[ServicePlace]:
    """The place, and what it keeps open until the end of the block. Raises `UsageError`, `AuthError` and
    `RoomError`.
    """
    from process_agent.cli.services_hosted import HostedPlace
    from process_agent.cli.services_local import LocalPlace

    if is_local(wanted, settings):
        check_local(wanted)
        yield LocalPlace(settings.paths(wanted.data_dir), wanted.room or settings.room)
        return
    check_hosted(wanted)
    room = wanted.room if wanted.project else wanted.room or settings.room
    with HostedPlace(wanted, settings, room) as place:
        yield place


def check_local(wanted: Wanted) -> None:
    """Raise `UsageError` for what the local room does not have."""
    if wanted.project:
        raise UsageError(
            "--project is for MeshAgent: a local service is in one room.", fix="Name it with --room."
        )


def check_hosted(wanted: Wanted) -> None:
    """Raise `UsageError` for what only the local room has."""
    if wanted.here:
        raise UsageError("--data-dir and --port are the local room's.", fix="Leave them out, or add --local.")


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
