"""`process service`: agents that run without a terminal, in the local room or at MeshAgent."""

from __future__ import annotations

import json as _json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from process_agent.cli.flag_sets import with_flags
from process_agent.cli.help_groups import GroupedCommand
from process_agent.cli.options import DataDir, Local, ProjectId
from process_agent.cli.service_place import Project
from process_agent.cli.service_serve import serve

if TYPE_CHECKING:
    from process_agent.cli.service_place import Found, ServicePlace

MAX_CELL = 60
"""Characters of a cell of the list; others choose names."""

app = typer.Typer(
    help="Agents that run without a terminal: look after what process deploy made, or wait for calls.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The service's name, or its id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


LookRoom = Annotated[
    str | None,
    typer.Option(
        "--room",
        metavar="NAME",
        help="The service's room; with --project, where it is looked at. [default: $MESHAGENT_ROOM]",
    ),
]


def _where(
    room: LookRoom = None,
    project: Project = False,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """The flags that say where the services are."""


@app.command("list")
@with_flags(_where)
def list_(context: typer.Context, json: Json = False, **_place: Any) -> None:
    """List the services of a room, or of all local rooms."""
    with _place_of(context) as place:
        found = place.services()
        label = place.label
    if json:
        for each in found:
            typer.echo(_json.dumps(each.as_json()))
    elif found:
        typer.echo(_table([("NAME", "ROOM", "AGENT", "STATE", "SINCE", "RESTARTS"), *map(_row, found)]))
    else:
        typer.echo(f"no services in {label}")


app.command(name="serve", cls=GroupedCommand, short_help="Wait for calls into rooms, by signed webhooks.")(
    serve
)


@app.command()
@with_flags(_where)
def show(context: typer.Context, service: Name, json: Json = False, **_place: Any) -> None:
    """Show how a service is, and its document."""
    from process_agent.cli.service_place import the_one
    from process_agent.cli.summary import as_text
    from process_agent.services.deployed import bare
    from process_agent.services.written import as_yaml

    with _place_of(context) as place:
        found = the_one(place, service)
    if json:
        typer.echo(_json.dumps({**found.as_json(), "document": dict(found.document)}))
        return
    typer.echo(as_text(_facts(found)))
    typer.echo()
    typer.echo(as_yaml(bare(found.document)).encode(), nl=False)


@app.command()
@with_flags(_where)
def logs(
    context: typer.Context,
    service: Name,
    lines: Annotated[
        int, typer.Option("--lines", "-n", metavar="N", min=0, max=10_000, help="The last N lines.")
    ] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    json: Json = False,
    **_place: Any,
) -> None:
    """Print what a service printed. With --json it is one object a line."""
    from process_agent.cli.service_place import the_one

    with _place_of(context) as place:
        found = the_one(place, service)
        text, position = place.log_tail(found, lines)
        _print_log(text, json=json)
        while follow:
            place.pause(place.look_seconds)
            text, position = place.log_after(found, position)
            _print_log(text, json=json)


@app.command()
@with_flags(_where)
def restart(context: typer.Context, service: Name, json: Json = False, **_place: Any) -> None:
    """Start a service anew, once the agent has ended what it does."""
    _do(context, service, lambda place, found: place.restart(found), ("restart", "starts anew"), json=json)


@app.command()
@with_flags(_where)
def start(context: typer.Context, service: Name, json: Json = False, **_place: Any) -> None:
    """Have a service that was stopped run again."""
    _do(context, service, lambda place, found: place.start(found), ("start", "is started"), json=json)


@app.command()
@with_flags(_where)
def stop(context: typer.Context, service: Name, json: Json = False, **_place: Any) -> None:
    """Stop a service: the agent ends what it does first. It stays stopped until it is started."""
    _do(context, service, lambda place, found: place.stop(found), ("stop", "is stopped"), json=json)


@app.command()
@with_flags(_where)
def remove(context: typer.Context, service: Name, json: Json = False, **_place: Any) -> None:
    """Stop a service and forget it. Its threads stay in the room."""
    _do(context, service, lambda place, found: place.remove(found), ("remove", "is removed"), json=json)


def _place_of(
    context: typer.Context, *, of_all_rooms: str | None = None
) -> AbstractContextManager[ServicePlace]:
    """Where the services are. Raises `UsageError` where `of_all_rooms` is done to a project's service, and a
    room is named.
    """
    from process_agent import config
    from process_agent.cli.service_place import service_place, wanted_place
    from process_agent.errors import UsageError

    wanted = wanted_place(context)
    if of_all_rooms and wanted.project and wanted.room is not None:
        raise UsageError(
            f"A service of the project cannot be told to {of_all_rooms} in one room.",
            fix="Leave --room out: it is done in all of them.",
        )
    return service_place(wanted, config.load())


type Act = Callable[[ServicePlace, Found], None]


def _do(context: typer.Context, service: str, act: Act, words: tuple[str, str], *, json: bool) -> None:
    """Do something to a service, and say that it is done; `words` are its name, and how it is then."""
    from process_agent.cli.service_place import the_one

    action, done = words
    with _place_of(context, of_all_rooms=None if action == "restart" else action) as place:
        found = the_one(place, service)
        act(place, found)
        if not json:
            room = found.facts.get("room")
            typer.echo(f"{found.name} in {place.label if room is None else f'the room {room}'} {done}")
            return
        now = next((each for each in place.services() if each.id == found.id), None)
    typer.echo(_json.dumps({"action": action, **(now or found).as_json(), "removed": now is None}))


def _row(service: Found) -> tuple[str, ...]:
    from process_agent.cli.service_place import moment
    from process_agent.viewer.terminal.plain import one_line

    state = service.state or {}
    phase = str(state.get("phase", "unknown")) if service.enabled or state else "disabled"
    room = str(service.facts.get("room") or "-")
    since = moment(state.get("since"))
    restarts = "" if service.state is None else str(state.get("restarts") or 0)
    cells = (service.name, room, service.agent or "-", phase, since, restarts)
    return tuple(one_line(cell, MAX_CELL) for cell in cells)


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
    from process_agent.viewer.terminal.plain import printable

    for line in text.splitlines():
        stamp, _, rest = line.partition(" ")
        typer.echo(_json.dumps({"time": stamp, "text": rest}) if json else printable(line))
    sys.stdout.flush()
