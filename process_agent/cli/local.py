"""From flags and environment to a room membership: what `join`, `chat` and `threads` have in common."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from process_agent.config import DataPaths, Settings, unusable_folder
from process_agent.errors import ProcessError, RoomClosedError, RoomError, UsageError

if TYPE_CHECKING:
    from process_agent.room_server.state import ServerState
    from process_agent.rooms.credentials import Destination, JoinWish, TokenRequest
    from process_agent.rooms.join import JoinTarget


async def join_target(settings: Settings, wish: JoinWish, *, data_dir: Path | None = None) -> JoinTarget:
    """Where to join, with a token; the local room's server has to run.

    Raises what `destination` and `reach` raise.
    """
    return await reach(destination(settings, wish), settings, wish, data_dir=data_dir)


def destination(settings: Settings, wish: JoinWish) -> Destination:
    """Which room, decided without asking anybody. Raises what `rooms.credentials.resolve` raises, and
    `UsageError` for a name that the local room cannot have.
    """
    from process_agent.rooms import credentials
    from process_agent.rooms.login import login_file, read_login

    login = None if wish.local else read_login(login_file(settings.home), settings.api_url)
    place = credentials.resolve(wish, settings, login, time.time())
    if isinstance(place, credentials.LocalRoom):
        check_room_name(place.room)
    return place


def check_room_name(name: str) -> None:
    """Raise `UsageError` for a name that a local room cannot have."""
    from process_agent.wire.participant_token import is_room_name

    if not is_room_name(name):
        raise UsageError(
            f"{name!r} is not a room name.",
            fix="It has 1 to 63 lower-case letters, digits and inner hyphens.",
        )


async def reach(
    place: Destination,
    settings: Settings,
    wish: JoinWish,
    *,
    data_dir: Path | None = None,
    start: bool = False,
    port: int | None = None,
) -> JoinTarget:
    """A destination with an address and a token.

    For the local room, `start` starts its server when none runs, on `port` if given; without `start` a server
    that does not run is a `RoomError`. Raises what `rooms.credentials.fetch_token` raises.
    """
    from process_agent.rooms import credentials

    if isinstance(place, credentials.TokenRequest):
        return await credentials.fetch_token(await _fresh(place, settings))
    if isinstance(place, credentials.LocalRoom):
        return _local_target(settings.paths(data_dir), place.room, wish, start=start, port=port)
    return place


async def _fresh(request: TokenRequest, settings: Settings) -> TokenRequest:
    """With a session that is good, renewed if need be. Raises `AuthError` and `RoomError`."""
    from process_agent.rooms.login import login_file
    from process_agent.rooms.oauth import client_of
    from process_agent.rooms.signing_in import renewed

    if request.login is None:
        return request
    client, now = client_of(settings, request.api_url), time.time()
    login = await renewed(login_file(settings.home), request.login, client, now)
    return replace(request, access_token=login.session(now))


def usable_folder(paths: DataPaths) -> None:
    """Make the data folder if it is missing. Raises `UsageError` when it cannot be made or written."""
    root = paths.root
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=root):
            return
    except OSError as error:
        raise unusable_folder(root, error) from error


def _local_target(
    paths: DataPaths, room: str, wish: JoinWish, *, start: bool, port: int | None
) -> JoinTarget:
    from process_agent.room_server.keys import signing_key
    from process_agent.rooms.join import JoinTarget
    from process_agent.wire import participant_token as tokens

    server = _server(paths, start=start, port=port)
    # Without an expiry: the token stays in this process and has to be good for every reconnect.
    token = tokens.ParticipantToken(wish.identity or "", room, wish.role, tokens.default_api(wish.role))
    return JoinTarget(room, server.url, tokens.encode(token, signing_key(paths.signing_key)))


def _server(paths: DataPaths, *, start: bool, port: int | None) -> ServerState:
    if start:
        from process_agent.room_server.lifecycle import ensure_running

        return ensure_running(paths, port)
    from process_agent.room_server.state import running

    state = running(paths)
    if state is None:
        raise RoomError(
            f"No local room runs for {paths.root}.",
            fix="Start an agent in it with `process join`, or the room alone with `process room start`.",
        )
    return state


class Membership(Protocol):
    """What can end by itself, like a `JoinedRoom`."""

    async def closed(self) -> ProcessError | None:
        """Wait for the end; why it came, None when we made it."""
        ...


async def while_joined[T](room: Membership, work: Coroutine[Any, Any, T]) -> T:
    """Do the work as long as the membership lasts. When the room ends it, the work is cancelled and the
    reason raised.
    """
    from process_agent.io.tasks import Tasks

    tasks = Tasks("room membership", on_failure=lambda name, error: None)
    working = tasks.start(work, "work")
    closed = tasks.start(room.closed(), "wait for the end")
    try:
        await asyncio.wait([working, closed], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise closed.result() or RoomClosedError("The room ended the connection.")
        return working.result()
    finally:
        await tasks.close()
