"""`process deploy` in the local room: registers the service with the room's server."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import typer

from process_agent.cli.service_flags import Params, local_service, refuse_credentials, service_name
from process_agent.cli.service_place import Found, Wanted, check_local
from process_agent.cli.service_progress import report, until_it_runs
from process_agent.cli.services_local import LocalPlace
from process_agent.errors import RoomError, UsageError

if TYPE_CHECKING:
    from process_agent.config import Settings
    from process_agent.core.content import Json


def deploy_local(context: typer.Context, wanted: Wanted, settings: Settings) -> None:
    """Register, update or roll back. Raises `UsageError` for flags that cannot work, and `RoomError`."""
    from process_agent.services.credentials import is_secret_name
    from process_agent.services.local import local_document
    from process_agent.services.merging import difference

    params = context.params
    room = wanted.room or settings.room
    check_local(wanted)
    if room is None:
        raise UsageError("Which room?", fix="Name it with --room: a service of the local room is in one.")
    if params["rollback"]:
        service_name(params)
        _roll_back(params, LocalPlace(settings.paths(wanted.data_dir), room))
        return
    service, environment = local_service(context)
    document = local_document(service)
    refuse_credentials(document, service.flags)
    place = _place(wanted, settings, room, start=not params["dry_run"])
    services = [] if place is None else place.services()
    there = next((each for each in services if each.name == service.name), None)
    if there is not None:
        document["enabled"] = there.enabled
    if params["diff"]:
        typer.echo(difference(None if there is None else there.document, document).encode(), nl=False)
    if params["dry_run"] or place is None:
        would = f"the service {service.name} in the local room {room} {_would(there, document)}"
        report(params["json"], there, [("dry run", would)], created=there is None, dry_run=True)
        return
    position = 0 if there is None else place.log_tail(there, 0)[1]
    found, created = place.put(document, environment)
    unchanged = there is not None and there.facts["revision"] == found.facts["revision"]
    secrets = ", ".join(filter(is_secret_name, environment))
    lines = [
        ("service", f"{found.name} in the local room {room}, {_outcome(created, unchanged)}"),
        ("agent", service.agent_name),
        ("folder", service.folder),
        (
            "variables",
            f"{secrets or 'none with a key'}; kept in {place.paths.root / 'services'}, for you alone",
        ),
    ]
    lines.append(("talk to it", f"process chat --room {shlex.quote(room)}"))
    if not found.enabled:
        lines.append(("stopped", f"it stays so; process service start {found.name} --room {room}"))
    report(params["json"], found, lines, created=created, changed=not unchanged)
    if params["wait"] and found.enabled:
        until_it_runs(place, found, params["wait_timeout"], position, patient=True)


def _place(wanted: Wanted, settings: Settings, room: str, *, start: bool) -> LocalPlace | None:
    """The room; None for a dry run where no server runs, and so nothing is there."""
    try:
        return LocalPlace(settings.paths(wanted.data_dir), room, port=wanted.port, start=start)
    except RoomError:
        if start:
            raise
        return None


def _roll_back(params: Params, place: LocalPlace) -> None:
    from process_agent.services.merging import difference

    name = service_name(params)
    there = next((each for each in place.services() if each.name == name), None)
    if there is None:
        raise UsageError(f"There is no service {name!r} in {place.label} to roll back.")
    previous = place.previous(there)
    if previous is None:
        raise UsageError(f"The service {name!r} was deployed once only: there is nothing to go back to.")
    if params["diff"]:
        document = {**previous, "enabled": there.enabled}
        typer.echo(difference(there.document, document).encode(), nl=False)
    if params["dry_run"]:
        would = f"the service {name} in {place.label} would go back; nothing was changed"
        report(params["json"], there, [("dry run", would)], dry_run=True)
        return
    position = place.log_tail(there, 0)[1]
    found = place.roll_back(there)
    lines = [("service", f"{found.name}, back to revision {found.facts['revision']}")]
    report(params["json"], found, lines, created=False)
    if params["wait"] and found.enabled:
        until_it_runs(place, found, params["wait_timeout"], position, patient=True)


def _would(there: Found | None, document: dict[str, Json]) -> str:
    if there is None:
        return "would be made; nothing was changed"
    if dict(there.document) == document:
        return "is as it would be, unless values of its variables changed"
    return "would be updated; nothing was changed"


def _outcome(created: bool, unchanged: bool) -> str:
    if created:
        return "new"
    return "as it was: nothing changed" if unchanged else "updated, and started anew"
