"""`process service`: agents that run without a terminal, in the local room or at MeshAgent."""

from __future__ import annotations

import json as _json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.agent_options import ProjectId
from process_agent.cli.help_groups import GroupedCommand
from process_agent.cli.options import DataDir, Local
from process_agent.cli.service_place import Project, Room
from process_agent.cli.service_serve import serve

if TYPE_CHECKING:
    from process_agent.cli.service_place import Found, ServicePlace

FOLLOW_SECONDS = 0.5
"""How often `logs --follow` asks for more."""

app = typer.Typer(
    help="Agents that run without a terminal: look after what process deploy made, or wait for calls.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The service's name, or its id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    room: Room = None,
    project: Project = False,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the services of a room, or of all local rooms."""
    place = _place(room, project, project_id, local, data_dir)
    found = place.services()
    if json:
        for each in found:
            typer.echo(_json.dumps(each.as_json()))
    elif found:
        typer.echo(_table([("NAME", "ROOM", "AGENT", "STATE", "SINCE", "RESTARTS"), *map(_row, found)]))
    else:
        typer.echo(f"no services in {place.label}")


app.command(name="serve", cls=GroupedCommand, short_help="Wait for calls into rooms, by signed webhooks.")(
    serve
)


@app.command()
def show(
    name: Name,
    room: Room = None,
    project: Project = False,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show how a service is, and its document."""
    from process_agent.cli.service_place import the_one
    from process_agent.cli.summary import as_text
    from process_agent.services.written import as_yaml

    found = the_one(_place(room, project, project_id, local, data_dir), name)
    if json:
        typer.echo(_json.dumps({**found.as_json(), "document": dict(found.document)}))
        return
    typer.echo(as_text(_facts(found)))
    typer.echo()
    typer.echo(as_yaml(dict(found.document)).encode(), nl=False)


@app.command()
def logs(
    name: Name,
    room: Room = None,
    project: Project = False,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", metavar="N", min=0, max=10_000, help="The last N lines.")
    ] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Print what a service printed. With --json it is one object a line."""
    from process_agent.cli.service_place import the_one

    place = _place(room, project, project_id, local, data_dir)
    found = the_one(place, name)
    text, position = place.log_tail(found, lines)
    _print_log(text, json=json)
    while follow:
        time.sleep(FOLLOW_SECONDS)
        text, position = place.log_after(found, position)
        _print_log(text, json=json)


@app.command()
def restart(
    name: Name,
    room: Room = None,
    project: Project = False,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Start a service anew, once the agent has ended what it does."""
    place = _place(room, project, project_id, local, data_dir)
    _done(place, name, "restart", json=json)


@app.command()
def start(
    name: Name,
    room: Room = None,
    project: Project = False,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Have a service that was stopped run again."""
    place = _place(room, project, project_id, local, data_dir)
    _done(place, name, "start", json=json)


@app.command()
def stop(
    name: Name,
    room: Room = None,
    project: Project = False,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Stop a service: the agent ends what it does first. It stays stopped until it is started."""
    place = _place(room, project, project_id, local, data_dir)
    _done(place, name, "stop", json=json)


@app.command()
def remove(
    name: Name,
    room: Room = None,
    project: Project = False,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Stop a service and forget it. Its threads stay in the room."""
    place = _place(room, project, project_id, local, data_dir)
    _done(place, name, "remove", json=json)


def _place(
    room: str | None, project: bool, project_id: str | None, local: bool, data_dir: Path | None
) -> ServicePlace:
    from process_agent import config
    from process_agent.cli.service_place import Wanted, service_place

    return service_place(Wanted(room, project, project_id, local, data_dir), config.load())


def _done(place: ServicePlace, name: str, action: str, *, json: bool) -> None:
    from process_agent.cli.service_place import the_one

    found = the_one(place, name)
    {"restart": place.restart, "start": place.start, "stop": place.stop, "remove": place.remove}[action](
        found
    )
    done = {"restart": "is started anew", "start": "is started", "stop": "is stopped", "remove": "is removed"}
    if not json:
        typer.echo(f"{found.name} in {place.label} {done[action]}")
        return
    now = next((each for each in place.services() if each.id == found.id), None)
    typer.echo(_json.dumps({"action": action, **(now or found).as_json(), "removed": now is None}))


def _row(service: Found) -> tuple[str, ...]:
    from process_agent.cli.service_place import moment

    state = service.state or {}
    phase = str(state.get("phase", "unknown")) if service.enabled or state else "disabled"
    room = str(service.facts.get("room") or "-")
    since = moment(state.get("since"))
    return (service.name, room, service.agent or "-", phase, since, str(state.get("restarts", "")))


def _facts(service: Found) -> list[tuple[str, str]]:
    from process_agent.cli.service_place import moment

    state = service.state or {}
    facts = [("service", service.name), ("id", service.id), ("agent", service.agent or "none")]
    facts += [
        (key.replace("_", " "), str(value)) for key, value in service.facts.items() if value is not None
    ]
    facts += [("enabled", "yes" if service.enabled else "no"), ("state", str(state.get("phase", "unknown")))]
    for label, value in (
        ("since", moment(state.get("since"))),
        ("process", state.get("pid")),
        ("restarts", state.get("restarts")),
        ("last end", state.get("last_end")),
        ("starts again", moment(state.get("next_start"))),
    ):
        if value not in (None, ""):
            facts.append((label, str(value)))
    return facts


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _print_log(text: str, *, json: bool) -> None:
    for line in text.splitlines():
        stamp, _, rest = line.partition(" ")
        typer.echo(_json.dumps({"time": stamp, "text": rest}) if json else line)
    sys.stdout.flush()
