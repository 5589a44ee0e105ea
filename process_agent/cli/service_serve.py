"""`process service serve`: an agent that waits to be called into rooms, by signed webhooks."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from process_agent.cli import join as join_command
from process_agent.cli.flag_sets import with_flags
from process_agent.cli.options import DataDir, Local
from process_agent.cli.spec import AgentName

if TYPE_CHECKING:
    from process_agent.cli.checked import JoinOptions
    from process_agent.config import Settings

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
DEFAULT_PATH = "/agent"
"""Port and path of MeshAgent's own program."""
DEFAULT_ROOMS = 8
MAX_ROOMS = 200

LEFT_OUT = ("room", "project_id", "token_from_env", "health")
"""Flags of `process join` that the call answers."""

Host = Annotated[
    str | None,
    typer.Option(
        "--host", metavar="ADDRESS", help=f"Where to listen. [default: $MESHAGENT_HOST, or {DEFAULT_HOST}]"
    ),
]
ListenPort = Annotated[
    int | None,
    typer.Option(
        "--port",
        metavar="PORT",
        min=0,
        max=65535,
        help=f"Port to listen on; 0 takes a free one. [default: $MESHAGENT_PORT, or {DEFAULT_PORT}]",
    ),
]
CallPath = Annotated[str, typer.Option("--path", metavar="PATH", help="Where calls are posted.")]
MaxRooms = Annotated[
    int,
    typer.Option(
        "--max-rooms", metavar="N", min=1, max=MAX_ROOMS, help="In how many rooms it is at a time, at most."
    ),
]
SummaryJson = Annotated[bool, typer.Option("--json", help="Print the start summary as one line of JSON.")]


def _flags(
    agent_name: AgentName = None,
    host: Host = None,
    port: ListenPort = None,
    path: CallPath = DEFAULT_PATH,
    max_rooms: MaxRooms = DEFAULT_ROOMS,
    local: Local = False,
    data_dir: DataDir = None,
    json: SummaryJson = False,
) -> None:
    """The flags that `process join` does not have, or that mean something else here."""


@with_flags(join_command.join, _flags, left_out=LEFT_OUT)
def serve(context: typer.Context, **_given: Any) -> None:
    """Wait for calls, and join the room of each as the agent of these flags of `process join`.

    A call is MeshAgent's webhook room.call, posted to PATH and signed with the secret in
    $MESHAGENT_WEBHOOK_SECRET; it brings the room and the agent's token. The agent stays until the room ends.
    Only rooms of $MESHAGENT_API_URL are joined, or with --local those of the local room.
    """
    from process_agent import config

    options, settings = served_options(context.params), config.load()
    run(options, settings, context.params)


def served_options(params: dict[str, Any]) -> JoinOptions:
    """The options of the agent, checked; its room and token come with the calls. Raises `UsageError`."""
    from process_agent.channels.specs import WebsocketSpec
    from process_agent.cli.service_flags import agent_options, checked_name
    from process_agent.errors import UsageError

    options = agent_options(params, here=True)
    checked_name(options)
    if any(isinstance(channel, WebsocketSpec) for channel in options.channels):
        raise UsageError(
            "A websocket: channel has one port, and the agent can be in many rooms.",
            fix="Use process join for it.",
        )
    if options.providers.kind == "meshagent" and params["local"]:
        raise UsageError("--provider meshagent needs a hosted room, whose project pays for the models.")
    data_dir = params["data_dir"]
    return replace(
        options,
        local=False,
        data_dir=None if data_dir is None else Path(data_dir),
        json=params["json"],
        started=time.monotonic(),
    )


def run(options: JoinOptions, settings: Settings, params: dict[str, Any]) -> None:
    """Listen until SIGTERM or Ctrl-C; a seam for the tests of the options."""
    import asyncio

    from process_agent.cli import INTERRUPTED
    from process_agent.cli.logs import log_of_an_agent
    from process_agent.cli.serving import listening_place, rules_of, serve_calls

    place = listening_place(params["host"], params["port"], params["path"], settings.webhook)
    rules = rules_of(options, settings, params["max_rooms"], local=params["local"])
    log_of_an_agent()
    try:
        asyncio.run(serve_calls(options, settings, place, rules))
    except asyncio.CancelledError:
        # The second signal cut the drain short.
        raise typer.Exit(INTERRUPTED) from None
