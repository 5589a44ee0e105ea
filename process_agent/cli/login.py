"""`process login` and `process logout`: the login of a backend, through its own flow."""

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

Backend = Annotated[str, typer.Argument(metavar="BACKEND", help="Whose login: codex.")]
CodexHome = Annotated[
    Path | None,
    typer.Option(
        "--codex-home",
        metavar="FOLDER",
        help="Codex's folder, made if it is missing. [default: $CODEX_HOME, or ~/.codex]",
    ),
]


def login(
    backend: Backend,
    device_code: Annotated[
        bool, typer.Option("--device-code", help="Sign in on any machine, with a code to enter there.")
    ] = False,
    api_key: Annotated[
        bool, typer.Option("--api-key", help="Keep an API key, read from stdin; never an argument.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Only say which login there is.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what there is as one line of JSON.")] = False,
    codex_home: CodexHome = None,
    data_dir: DataDir = None,
) -> None:
    """Log in to Codex with a ChatGPT account in the browser, a device code or an API key.

    Exit codes: 0 there is a login, 3 there is none, 5 Codex cannot be started.
    """
    from process_agent.errors import AuthError, UsageError

    if sum((device_code, api_key, status)) > 1:
        raise UsageError("--device-code, --api-key and --status exclude each other.")
    key = _key() if api_key else None

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


def logout(backend: Backend, codex_home: CodexHome = None, data_dir: DataDir = None) -> None:
    """Have Codex forget its login."""
    before = _run(backend, codex_home, data_dir, lambda login: login.sign_out())
    said = f"Logged out of {before.about}" if before.present else "There was no login"
    typer.echo(f"{said} in {before.place}.")


def _print(state: LoginState, as_json: bool, lead: str) -> None:
    if as_json:
        import json

        facts = {"logged_in": state.present, "account": state.about, "home": state.place}
        typer.echo(json.dumps(facts))
    elif state.present:
        typer.echo(f"{lead}{state.about}, kept in {state.place}")


def _show(page: SignIn) -> None:
    if page.code is not None:
        typer.echo(f"Open this page on any machine:\n\n    {page.url}\n\nand enter the code {page.code}")
    else:
        typer.echo(f"Open this page in a browser on this machine, and sign in:\n\n    {page.url}\n")
        typer.echo("Without a browser here: process login codex --device-code", err=True)
        _open_browser(page.url)
    typer.echo("Waiting; Ctrl-C gives up.", err=True)


def _open_browser(url: str) -> None:
    """Open it where there is a screen; elsewhere a text browser would take the terminal."""
    from process_agent import config

    if config.has_screen():
        import webbrowser

        webbrowser.open(url)


def _key() -> str:
    """The key on stdin. Raises `UsageError` for what cannot be one; no error repeats it."""
    import getpass

    from process_agent.errors import UsageError

    typed = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.read(MAX_KEY + 1)
    key = typed.strip()
    if not key or len(key) > MAX_KEY or not key.isascii() or any(not "!" <= char <= "~" for char in key):
        raise UsageError(
            "What came on stdin is no API key.",
            fix="Give the key alone, like: process login codex --api-key < key.txt",
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
