"""`process login` and `process logout`: MeshAgent's, or the login of a backend through its own flow."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir

if TYPE_CHECKING:
    from process_agent.core.login import Login, LoginState, SignIn

MAX_KEY = 10_000
"""Characters of an API key."""

MESHAGENT = "meshagent"

Backend = Annotated[str, typer.Argument(metavar="[meshagent|codex]", help="Whose login.", show_default=True)]
ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api-url", metavar="URL", help="MeshAgent's API. [default: $MESHAGENT_API_URL, or its own]"
    ),
]
ProjectId = Annotated[
    str | None,
    typer.Option("--project-id", metavar="ID", help="The MeshAgent project to work in, by id or name."),
]
CodexHome = Annotated[
    Path | None,
    typer.Option(
        "--codex-home",
        metavar="FOLDER",
        help="Codex's folder, made if it is missing. [default: $CODEX_HOME, or ~/.codex]",
    ),
]


def login(
    backend: Backend = MESHAGENT,
    device_code: Annotated[
        bool, typer.Option("--device-code", help="Sign in on any machine, with a code to enter there.")
    ] = False,
    api_key: Annotated[
        bool, typer.Option("--api-key", help="Keep an API key, read from stdin; never an argument.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Only say which login there is.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what there is as one line of JSON.")] = False,
    api_url: ApiUrl = None,
    project_id: ProjectId = None,
    codex_home: CodexHome = None,
    data_dir: DataDir = None,
) -> None:
    """Log in to MeshAgent, in the browser or with an API key; or, with `codex`, to Codex, in the browser,
    with a device code or an API key.

    Exit codes: 0 there is a login, 3 there is none, 5 Codex cannot be started.
    """
    from process_agent.errors import AuthError, UsageError

    if sum((device_code, api_key, status)) > 1:
        raise UsageError("--device-code, --api-key and --status exclude each other.")
    if backend == MESHAGENT:
        if project_id is not None and (api_key or status):
            raise UsageError(
                "--project-id chooses after a sign-in in the browser; an API key is of one project.",
                fix="Leave it out.",
            )
        if device_code or codex_home is not None:
            raise UsageError("--device-code and --codex-home are for `process login codex`.")
        _meshagent(api_url, project_id, key=read_key() if api_key else None, status=status, json=json)
        return
    if api_url is not None or project_id is not None:
        raise UsageError("--api-url and --project-id are for MeshAgent's login.")
    key = read_key() if api_key else None

    async def work(login: Login) -> LoginState:
        if status:
            return await login.state()
        if key is not None:
            return await login.keep_key(key)
        return await login.sign_in("device-code" if device_code else "browser", _show)

    state = _run(backend, codex_home, data_dir, work)
    _print(state, json, "" if status else "Logged in: ")
    if not state.present:
        raise AuthError("Codex is not logged in.", fix="Log in with `process login codex`.")


def logout(
    backend: Backend = MESHAGENT,
    api_url: ApiUrl = None,
    codex_home: CodexHome = None,
    data_dir: DataDir = None,
) -> None:
    """Forget MeshAgent's login, API keys included, or have Codex forget its own.

    MeshAgent is not told: a session that somebody copied stays good until it expires.
    """
    if backend == MESHAGENT:
        from process_agent import config
        from process_agent.cli import login_meshagent as meshagent

        place = meshagent.account(config.load(), api_url)
        was = meshagent.forget(place)
        said = f"Logged out of MeshAgent at {place.api_url}" if was else "There was no login"
        typer.echo(f"{said} in {place.file}.")
        return
    before = _run(backend, codex_home, data_dir, lambda login: login.sign_out())
    said = f"Logged out of {before.about}" if before.present else "There was no login"
    typer.echo(f"{said} in {before.place}.")


def _meshagent(
    api_url: str | None, project_id: str | None, *, key: str | None, status: bool, json: bool
) -> None:
    from process_agent import config
    from process_agent.cli import login_meshagent as meshagent
    from process_agent.errors import AuthError

    place = meshagent.account(config.load(), api_url)
    try:
        found = meshagent.login(place, key=key, status=status, project_id=project_id)
    except AuthError:
        if json and status:
            _print_json(meshagent.facts(None, place))
        raise
    if json:
        _print_json(meshagent.facts(found, place))
    else:
        typer.echo(f"{'' if status else 'Logged in: '}{meshagent.line(found, place)}")
    if (variable := meshagent.stronger(place.settings)) is not None:
        typer.echo(f"{variable} is set, and counts before this login.", err=True)


def _print_json(facts: dict[str, object]) -> None:
    import json

    typer.echo(json.dumps(facts))


def _print(state: LoginState, as_json: bool, lead: str) -> None:
    if as_json:
        _print_json({"logged_in": state.present, "account": state.about, "home": state.place})
    elif state.present:
        typer.echo(f"{lead}{state.about}, kept in {state.place}")


def _show(page: SignIn) -> None:
    if page.code is not None:
        typer.echo(f"Open this page on any machine:\n\n    {page.url}\n\nand enter the code {page.code}")
    else:
        typer.echo(f"Open this page in a browser on this machine, and sign in:\n\n    {page.url}\n")
        typer.echo("Without a browser here: process login codex --device-code", err=True)
        open_browser(page.url)
    typer.echo("Waiting; Ctrl-C gives up.", err=True)


def open_browser(url: str) -> None:
    """Open it where there is a screen; elsewhere a text browser would take the terminal."""
    from process_agent import config

    if config.has_screen():
        import webbrowser

        webbrowser.open(url)


def read_key() -> str:
    """The key on stdin. Raises `UsageError` for what cannot be one; no error repeats it."""
    import getpass

    from process_agent.errors import UsageError

    typed = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.read(MAX_KEY + 1)
    key = typed.strip()
    if not key or len(key) > MAX_KEY or not key.isascii() or any(not "!" <= char <= "~" for char in key):
        raise UsageError(
            "What came on stdin is no API key.",
            fix="Give the key alone, like: process login --api-key < key.txt",
        )
    return key


def _run[T](
    backend: str, codex_home: Path | None, data_dir: Path | None, work: Callable[[Login], Awaitable[T]]
) -> T:
    import asyncio

    from process_agent.cli.logs import log_to_stderr

    log_to_stderr()
    home = None if codex_home is None else codex_home.expanduser().absolute()
    try:
        return asyncio.run(_with_login(backend, home, data_dir, work))
    except KeyboardInterrupt:
        typer.echo("Given up; nothing was changed.", err=True)
        raise typer.Exit(130) from None


async def _with_login[T](
    name: str, home: Path | None, data_dir: Path | None, work: Callable[[Login], Awaitable[T]]
) -> T:
    from process_agent import config
    from process_agent.agent import registry
    from process_agent.cli.joining import BACKEND_ENVIRONMENT
    from process_agent.core.backend import BackendConfig
    from process_agent.core.login import WithLogin
    from process_agent.errors import UsageError

    registry.check([name])
    settings = config.load()
    given = BackendConfig(
        agent_name="login",
        working_dir=settings.home,
        data_dir=settings.paths(data_dir).root,
        home=home,
        environment=config.environment_for_child(BACKEND_ENVIRONMENT),
    )
    backend = registry.create(name, given)
    if not isinstance(backend, WithLogin):
        raise UsageError(f"The backend {name!r} has no login of its own.")
    login = await backend.login()
    try:
        return await work(login)
    finally:
        await login.close()
