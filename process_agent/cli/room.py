"""`process room`: the local room's server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir

if TYPE_CHECKING:
    from process_agent.config import DataPaths
    from process_agent.room_server.state import ServerState

NOT_RUNNING = 1
"""Exit code of `process room status` when no server runs; 0 when one does."""

app = typer.Typer(
    help="The local room: start it, stop it, look at it, open its page.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        metavar="PORT",
        min=0,
        max=65535,
        help="Port. [default: 8722, or a free one when it is taken]",
    ),
]
Host = Annotated[
    str,
    typer.Option(
        "--host", metavar="ADDRESS", help="Address to listen on. All but loopback lets others reach the room."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def serve(data_dir: DataDir = None, port: Port = None, host: Host = "127.0.0.1") -> None:
    """Run the server in the foreground until Ctrl-C or SIGTERM."""
    from process_agent.cli.logs import log_to_stderr
    from process_agent.room_server import lifecycle
    from process_agent.studio import page

    log_to_stderr()
    lifecycle.serve(
        _paths(data_dir),
        host=host,
        port=port,
        page=page.routes(),
        on_ready=lambda state: typer.echo(f"room server at {state.url}, data in {state.data_dir}"),
    )


@app.command(short_help="Start the server in the background, unless it runs.")
def start(data_dir: DataDir = None, port: Port = None, host: Host = "127.0.0.1", json: Json = False) -> None:
    """Start the server in the background, unless it runs, and return when it is ready."""
    from process_agent.room_server import lifecycle

    _print(lifecycle.ensure_running(_paths(data_dir), port, host=host), json)


@app.command()
def stop(data_dir: DataDir = None) -> None:
    """Stop the server. Agents and people come back by themselves when it starts again."""
    from process_agent.room_server import lifecycle

    state = lifecycle.stop(_paths(data_dir))
    typer.echo("no room server was running" if state is None else f"stopped the room server at {state.url}")


@app.command()
def status(data_dir: DataDir = None, json: Json = False) -> None:
    """Say where the server runs. Exit code 0 when it runs, 1 when it does not."""
    from process_agent.room_server.state import running

    paths = _paths(data_dir)
    state = running(paths)
    if state is None:
        if json:
            _print_json({"url": None, "port": None, "pid": None, "data_dir": str(paths.root)})
        else:
            typer.echo(f"no room server runs for {paths.root}")
        raise typer.Exit(NOT_RUNNING)
    _print(state, json)


@app.command(short_help="Print a link that opens the room in a browser, once.")
def link(
    room: Annotated[str, typer.Option("--room", metavar="NAME", help="Room to open.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name you appear under.")] = "user",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Print a link that opens the room in a browser, once, within an hour. Starts the server if needed."""
    from process_agent.cli.local import check_room_name
    from process_agent.room_server import lifecycle

    check_room_name(room)
    paths = _paths(data_dir)
    url = lifecycle.studio_link(paths, lifecycle.ensure_running(paths), room, name)
    if json:
        _print_json({"link": url, "room": room, "name": name})
    else:
        typer.echo(url)


def _paths(data_dir: Path | None) -> DataPaths:
    from process_agent import config

    return config.load().paths(data_dir)


def _print(state: ServerState, json: bool) -> None:
    if json:
        _print_json(asdict(state))
    else:
        typer.echo(f"room server at {state.url}, process {state.pid}, data in {state.data_dir}")


def _print_json(value: dict[str, object]) -> None:
    import json

    typer.echo(json.dumps(value))
