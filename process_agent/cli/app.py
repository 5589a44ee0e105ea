"""All commands under one roof. Importing this imports no heavy library: each command does so when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from process_agent import __version__
from process_agent.cli import (
    chat,
    completion_command,
    config_command,
    deploy,
    doctor,
    health,
    join,
    login,
    room,
    run,
    service,
    setup,
    spec,
    thread_owners,
    thread_tools,
    threads,
    token,
    usage,
    usage_prune,
)
from process_agent.cli.help_groups import GroupedCommand, UseCommand
from process_agent.cli.thread_tools import show as thread_show

app = typer.Typer(
    name="process",
    help="Put a coding agent in a room: Codex as a participant of a MeshAgent room, or of a local one.",
    # Rich markup and tracebacks double the time of --help and hide what we say in our own words.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)
app.command(name="join", cls=GroupedCommand)(join.join)
app.command(name="run", cls=GroupedCommand)(run.run)
app.command(name="chat", short_help="Talk to an agent in this terminal, or run one turn with --message.")(
    chat.chat
)
app.command(name="use", cls=UseCommand, hidden=True)(chat.chat)
app.add_typer(threads.app, name="threads")
thread_tools.add_to(threads.app)
threads.app.command("owners", short_help="List whose the threads are.")(thread_owners.owners)
threads.app.command("assign", short_help="Make a thread that is nobody's somebody's.")(thread_owners.assign)
app.command(name="messages")(thread_show.messages)
app.command(name="grep")(thread_show.grep)
app.add_typer(
    usage.app, name="usage", short_help="What models used and what it cost, by turn, thread, model or day."
)
usage.app.command("prune", short_help="Remove rows that are older than some time.")(usage_prune.prune)
app.add_typer(room.app, name="room")
app.command(
    name="doctor", short_help="Look at what an agent needs, and say what to do where it is not right."
)(doctor.doctor)
app.command(name="health", short_help="Ask a running agent whether it is ready, for containers.")(
    health.health
)
app.command(name="login", short_help="Log in to MeshAgent or Codex: in the browser, or with an API key.")(
    login.login
)
app.command(name="logout", short_help="Forget the login of MeshAgent or Codex.")(login.logout)
app.command(name="setup", short_help="A few questions to a first agent, with an account or without.")(
    setup.setup
)
app.command(name="spec", cls=GroupedCommand, short_help="Print the MeshAgent service document of an agent.")(
    spec.spec
)
app.add_typer(config_command.app, name="config")
app.command(name="completion", short_help="Print the script that makes bash, zsh or fish complete commands.")(
    completion_command.completion
)
app.command(
    name="deploy", cls=GroupedCommand, short_help="Make an agent a service that runs without this terminal."
)(deploy.deploy)
app.add_typer(service.app, name="service", short_help="Look after what deploy made; serve waits for calls.")
app.command(name="token")(token.token)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"process {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options before a command."""
