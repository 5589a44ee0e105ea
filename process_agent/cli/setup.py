"""`process setup`: a few questions to a first agent, with an account or without."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from process_agent.cli.login import ApiUrl
from process_agent.cli.options import DataDir

if TYPE_CHECKING:
    from process_agent.cli.login_meshagent import Account
    from process_agent.rooms.accounts import Project
    from process_agent.rooms.login import SavedLogin

LOCAL, BROWSER, KEY = "1", "2", "3"

_WHERE = """Where are your rooms?

  1  on this machine: the local room. No account, no network.
  2  at MeshAgent, and you sign in in the browser
  3  at MeshAgent, and you have an API key
"""
_MODELS = """Which model?

  1  Codex, with a ChatGPT account: `process login codex`
  2  Codex or another model, with an API key: set OPENAI_API_KEY or ANTHROPIC_API_KEY
  3  none yet: the scripted model, which needs no account and says what it is
"""


def setup(api_url: ApiUrl = None, data_dir: DataDir = None) -> None:
    """Ask where your rooms are and which model you have, log in where that is needed, choose a project, and
    say how to start.

    Nothing has to be set up for the local room: `process join` works without an account.
    """
    from process_agent import config
    from process_agent.cli import login_meshagent as meshagent

    settings = config.load()
    place = meshagent.account(settings, api_url)
    typer.echo(_WHERE)
    if settings.oauth_client_id is None:
        typer.echo("2 needs an OAuth client: see docs/configuration.md, MESHAGENT_OAUTH_CLIENT_ID.\n")
    chosen = _choice("Rooms", (LOCAL, BROWSER, KEY), LOCAL)
    if chosen == LOCAL:
        found = None
        if place.saved() is not None:
            typer.echo("You are logged in to MeshAgent: say --local with each command, or `process logout`.")
    else:
        found = _logged_in(place, chosen)
    typer.echo(_MODELS)
    model = _choice("Model", ("1", "2", "3"), "3")
    typer.echo(f"\n{_next(model, data_dir, hosted=found is not None)}")


def _choice(question: str, answers: tuple[str, ...], default: str) -> str:
    """One of the answers, asked again until it is."""
    while True:
        given: str = typer.prompt(question, default=default)
        if given.strip() in answers:
            return given.strip()
        typer.echo(f"Answer {', '.join(answers[:-1])} or {answers[-1]}.")


def _logged_in(place: Account, how: str) -> SavedLogin:
    import asyncio

    from process_agent.cli import login_meshagent as meshagent

    if how == KEY:
        key = typer.prompt("API key (it is not shown)", hide_input=sys.stdin.isatty())
        kept = meshagent.with_api_key(place, key)
    else:
        kept = asyncio.run(meshagent.in_browser(place))
        found = asyncio.run(meshagent.projects(place, kept))
        project = meshagent.pick(found, None, kept.project_id) or _ask_project(found)
        kept = meshagent.choose_project(place, project)
    typer.echo(f"\n{meshagent.line(kept, place)}\n")
    return kept


def _ask_project(found: tuple[Project, ...]) -> str:
    from process_agent.errors import UsageError
    from process_agent.viewer.terminal.plain import printable

    if not found:
        raise UsageError(
            "You have no project at MeshAgent.", fix="Make one in MeshAgent's Studio, then again."
        )
    typer.echo("\nYour projects:\n")
    for number, project in enumerate(found, 1):
        typer.echo(f"  {number}  {printable(project.name)}  ({printable(project.id)})")
    chosen = _choice("\nProject", tuple(str(number) for number in range(1, len(found) + 1)), "1")
    return found[int(chosen) - 1].id


def _next(model: str, data_dir: Path | None, *, hosted: bool) -> str:
    import shlex

    first = "process login codex\n    " if model == "1" else ""
    provider = " --provider scripted" if model == "3" else ""
    where = "" if hosted else " --local"
    if data_dir is not None and not hosted:
        where += f" --data-dir {shlex.quote(str(data_dir))}"
    return (
        "Start an agent, and talk to it from another terminal:\n\n"
        f"    {first}process join{where} --room gettingstarted --agent-name codex-agent --channel chat "
        f"--backend codex{provider}\n"
        f"    process chat{where} --room gettingstarted\n\n"
        "Something wrong? `process doctor` looks at everything and says what to do."
    )
