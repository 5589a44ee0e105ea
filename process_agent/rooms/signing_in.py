"""From a page in a browser to a saved login, and from one that ends to a new one."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from process_agent.errors import AuthError, UsageError
from process_agent.io.small_http import Asking, Reply, SmallServer
from process_agent.rooms import oauth
from process_agent.rooms.accounts import Accounts
from process_agent.rooms.login import SavedLogin, read_login
from process_agent.rooms.oauth import OAuthClient, Session, SignInAttempt
from process_agent.rooms.saved import change, with_session

SIGN_IN_SECONDS: Final = 600.0
"""How long a person has to sign in."""
RENEW_SECONDS: Final = 300.0
"""A session that ends sooner than this is renewed before it is used."""

_LOOPBACK: Final = ("127.0.0.1",)
_DONE: Final = "You are logged in. This page can be closed."
_FAILED: Final = "The login did not succeed; the terminal says why. This page can be closed."


async def sign_in(
    client: OAuthClient, show: Callable[[str], None], port: int = oauth.CALLBACK_PORT
) -> Session:
    """Have a person sign in at the page that `show` is told of.

    Raises `UsageError` when the callback's port is taken, `AuthError` when nobody signs in, or MeshAgent
    refuses, and `RoomError` when it cannot be reached.
    """
    attempt = oauth.attempt(client, secrets.token_bytes(64), port)
    code = await _code(attempt, show, port)
    accounts = Accounts(client.api_url)
    try:
        return oauth.session_of(await accounts.exchange(attempt.form(code)), time.time())
    finally:
        await accounts.close()


async def _code(attempt: SignInAttempt, show: Callable[[str], None], port: int) -> str:
    arrived: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def answer(asking: Asking) -> Reply:
        try:
            code = attempt.code(asking.target)
        except AuthError as error:
            if not arrived.done():
                arrived.set_exception(error)
            return Reply(200, _FAILED)
        if code is None:
            return Reply(404, "Nothing is here.")
        if not arrived.done():
            arrived.set_result(code)
        return Reply(200, _DONE)

    server = SmallServer(_LOOPBACK, port, answer)
    try:
        await server.start()
    except UsageError as error:
        raise UsageError(
            f"The browser cannot come back to us: {error.message}",
            fix=f"Is another login going on? End what uses port {port}, or log in with an API key: "
            "`process login --api-key`.",
        ) from error
    try:
        show(attempt.url)
        async with asyncio.timeout(SIGN_IN_SECONDS):
            return await arrived
    except TimeoutError as error:
        raise AuthError(f"Nobody signed in within {SIGN_IN_SECONDS / 60:.0f} minutes.") from error
    finally:
        await server.close()


async def keep(path: Path, client: OAuthClient, session: Session) -> SavedLogin:
    """Save a session beside who it is of. Raises `AuthError` and `RoomError`."""
    accounts = Accounts(client.api_url)
    try:
        profile = await accounts.profile(session.access_token)
    finally:
        await accounts.close()
    change(path, lambda saved: with_session(saved, client.api_url, session, profile))
    kept = read_login(path, client.api_url)
    if kept is None:
        raise AuthError(f"The login was not kept in {path}.")
    return kept


async def renewed(path: Path, login: SavedLogin, client: OAuthClient | None, now: float) -> SavedLogin:
    """The login with a session that is good for a while, renewed where it is not and can be.

    Raises `AuthError` when MeshAgent refuses to renew it, and `RoomError` when it cannot be reached.
    """
    over = login.expires is not None and login.expires <= now + RENEW_SECONDS
    if not over or login.refresh_token is None or client is None or login.api_url is None:
        return login
    client = replace(client, api_url=login.api_url)
    accounts = Accounts(client.api_url)
    try:
        answer = await accounts.exchange(oauth.refresh_form(client, login.refresh_token))
    except AuthError:
        # A refresh token may be good for one use, and somebody else was faster.
        again = read_login(path, login.api_url)
        if again is None or again.expires is None or again.expires <= now + RENEW_SECONDS:
            raise
        return again
    finally:
        await accounts.close()
    session = oauth.session_of(answer, now, login.refresh_token)
    change(path, lambda saved: with_session(saved, client.api_url, session, login.profile))
    return read_login(path, login.api_url) or login
