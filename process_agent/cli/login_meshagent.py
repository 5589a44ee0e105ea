"""`process login` and `process logout` for MeshAgent: in the browser, or with an API key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from process_agent.errors import AuthError, ProcessError, UsageError

if TYPE_CHECKING:
    from process_agent.config import Settings
    from process_agent.rooms.accounts import Project
    from process_agent.rooms.login import SavedLogin

NO_CLIENT = (
    "MeshAgent knows no OAuth client of this program yet, so a sign-in in the browser needs one of yours."
)
NO_CLIENT_FIX = (
    "Set MESHAGENT_OAUTH_CLIENT_ID (callback http://localhost:8765/callback), use `process login --api-key`, "
    "or log in with MeshAgent's own tools: their login counts here too."
)


@dataclass(frozen=True, slots=True)
class Account:
    """Where logins are kept, and of which API."""

    settings: Settings
    file: Path
    api_url: str

    def saved(self) -> SavedLogin | None:
        """What there is now. Raises `AuthError` when the file cannot be read."""
        from process_agent.rooms.login import read_login

        return read_login(self.file, self.api_url)


def account(settings: Settings, api_url: str | None = None) -> Account:
    """The account of `--api-url`, else of `MESHAGENT_API_URL`, else the active one. Raises `UsageError`."""
    from process_agent.rooms.credentials import DEFAULT_API_URL
    from process_agent.rooms.login import login_file, read_login

    file = login_file(settings.home)
    named = api_url or settings.api_url
    if named is None:
        active = read_login(file, None)
        named = active.api_url if active is not None and active.api_url else DEFAULT_API_URL
    if not named.startswith(("http://", "https://")):
        raise UsageError(
            f"--api-url {named!r} is not a web address.", fix="Give it with its scheme, like https://host."
        )
    return Account(settings, file, named.rstrip("/"))


async def in_browser(place: Account) -> SavedLogin:
    """Have the person sign in. Raises what `rooms.signing_in` raises, and `UsageError` without a client."""
    from process_agent.rooms.oauth import client_of
    from process_agent.rooms.signing_in import keep, sign_in

    client = client_of(place.settings, place.api_url)
    if client is None:
        raise UsageError(NO_CLIENT, fix=NO_CLIENT_FIX)
    return await keep(place.file, client, await sign_in(client, _show))


def with_api_key(place: Account, key: str) -> SavedLogin:
    """Keep an API key; its project becomes the active one. Raises `AuthError` for what is none."""
    from process_agent.rooms.credentials import parse_api_key
    from process_agent.rooms.saved import change, with_project

    project = parse_api_key(key, "What came on stdin").project_id
    change(place.file, lambda saved: with_project(saved, place.api_url, project, key.strip()))
    return _kept(place)


def choose_project(place: Account, project_id: str) -> SavedLogin:
    """Make a project the active one."""
    from process_agent.rooms.saved import change, with_project

    change(place.file, lambda saved: with_project(saved, place.api_url, project_id))
    return _kept(place)


def forget(place: Account) -> SavedLogin | None:
    """Forget session and API keys; returns what there was."""
    from process_agent.rooms.saved import change, without_login

    before = place.saved()
    if before is not None:
        change(place.file, lambda saved: without_login(saved, place.api_url))
    return before


async def projects(place: Account, login: SavedLogin) -> tuple[Project, ...]:
    """The projects of a session; none of an API key, which is of one project. Raises `AuthError` and
    `RoomError`.
    """
    from process_agent.rooms.accounts import Accounts

    if login.access_token is None:
        return ()
    accounts = Accounts(place.api_url)
    try:
        return await accounts.projects(login.access_token)
    finally:
        await accounts.close()


def pick(found: tuple[Project, ...], wanted: str | None, current: str | None) -> str | None:
    """The project to use: the one named by id or name, else the current one if it is still there, else the
    only one; None where somebody has to choose. Raises `UsageError` for one that is not there. Pure.
    """
    if wanted is not None:
        for project in found:
            if wanted in (project.id, project.name):
                return project.id
        names = ", ".join(f"{project.name} ({project.id})" for project in found[:10])
        raise UsageError(f"You have no project {wanted!r}.", fix=f"There is: {names or 'none'}.")
    if current is not None and any(project.id == current for project in found):
        return current
    return found[0].id if len(found) == 1 else None


def login(place: Account, *, key: str | None, status: bool, project_id: str | None) -> SavedLogin:
    """What `process login meshagent` does. Raises `AuthError` where there is no login at the end."""
    import asyncio

    if status:
        found = place.saved()
        if found is None:
            raise AuthError(
                f"Nobody is logged in to MeshAgent at {place.api_url}.",
                fix="Log in with `process login`. The local room needs no login.",
            )
        return found
    if key is not None:
        return with_api_key(place, key)
    try:
        return asyncio.run(_signed_in(place, project_id))
    except KeyboardInterrupt:
        typer.echo("Given up; nothing was changed.", err=True)
        raise typer.Exit(130) from None


async def _signed_in(place: Account, wanted: str | None) -> SavedLogin:
    kept = await in_browser(place)
    try:
        found = await projects(place, kept)
    except ProcessError as error:
        typer.echo(f"You are logged in; your projects are not known: {error.message}", err=True)
        return kept
    chosen = pick(found, wanted, kept.project_id)
    if chosen is None:
        typer.echo("No project is chosen yet: `process setup` does that.", err=True)
        return kept
    return choose_project(place, chosen)


def stronger(settings: Settings) -> str | None:
    """The variable that counts before any saved login, if one is set."""
    named = {
        "MESHAGENT_TOKEN": settings.token,
        "MESHAGENT_API_KEY": settings.api_key,
        "MESHAGENT_SECRET": settings.secret,
    }
    return next((name for name, value in named.items() if value is not None), None)


def facts(login: SavedLogin | None, place: Account) -> dict[str, object]:
    """What `--json` says; no key and no token."""
    return {
        "logged_in": login is not None,
        "account": None if login is None else login.who,
        "home": str(place.file),
        "api_url": place.api_url,
        "project": None if login is None else login.project_id,
        "session": login is not None and login.access_token is not None,
        "expires": None if login is None else login.expires,
        "api_keys_of": [] if login is None else sorted(login.api_keys),
    }


def line(login: SavedLogin, place: Account) -> str:
    """The login in one line."""
    kinds = [
        *(["session"] if login.access_token is not None else []),
        *(["API key"] if login.api_keys else []),
    ]
    project = f"project {login.project_id}" if login.project_id else "no project chosen"
    return (
        f"{login.who} at {place.api_url}, {' and '.join(kinds) or 'nothing'}, {project}, kept in {place.file}"
    )


def _show(url: str) -> None:
    from process_agent.cli.login import open_browser

    typer.echo(f"Open this page in a browser on this machine, and sign in:\n\n    {url}\n")
    typer.echo("On another machine: ssh -L 8765:localhost:8765 to this one first. Ctrl-C gives up.", err=True)
    open_browser(url)


def _kept(place: Account) -> SavedLogin:
    found = place.saved()
    if found is None:
        raise AuthError(f"The login was not kept in {place.file}.")
    return found
