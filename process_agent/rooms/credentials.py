"""Which room to join, where and as whom, from the settings and the command line. Pure but for `fetch_token`.

First match wins:

1. `--local`: the local room.
2. `MESHAGENT_TOKEN`: that token; its room grant names the room.
3. `MESHAGENT_API_KEY` (`ma-…`), then `MESHAGENT_SECRET`: a token signed here.
4. A saved login: an API key of its project signs a token here, else its session asks the REST API for one.
5. Nothing of these: the local room.

Texts of errors name variables and files, never their values.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from process_agent.config import Settings
from process_agent.errors import AuthError, RoomError, UsageError
from process_agent.rooms.join import JoinTarget
from process_agent.rooms.login import SavedLogin
from process_agent.rooms.tokens import TokenClaims, read_claims

if TYPE_CHECKING:
    import httpx

DEFAULT_API_URL = "https://api.meshagent.com"
"""MeshAgent's own address, when nothing names another."""

REQUEST_SECONDS = 15.0
"""How long the REST API may take to mint a token."""


@dataclass(frozen=True, slots=True)
class JoinWish:
    """What the command line says. `identity` is the participant's name, `role` of its token."""

    room: str | None
    identity: str | None = None
    role: str = "agent"
    local: bool = False
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class LocalRoom:
    """Join the local room; the command starts or finds its server and mints the token."""

    room: str


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Join a hosted room with a token that the REST API has to mint first: see `fetch_token`."""

    room: str
    api_url: str
    base_url: str
    project_id: str
    identity: str
    role: str
    access_token: str = field(repr=False)
    login: SavedLogin | None = None
    """The saved login that the access token is of; it may have to be renewed first."""


type Destination = LocalRoom | JoinTarget | TokenRequest


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The parts of an `ma-<key id>-<project id>-<secret>` key."""

    key_id: str
    project_id: str
    secret: str = field(repr=False)


def resolve(wish: JoinWish, settings: Settings, login: SavedLogin | None, now: float) -> Destination:
    """Decide. `now` is in seconds since 1970.

    Raises `UsageError` when the room is not named or differs from the token's, and `AuthError` when
    credentials are there and cannot be used: then never the local room.
    """
    if wish.local:
        return LocalRoom(_room(wish, settings))
    if settings.token is not None:
        return _with_token(wish, settings, login, now)
    if settings.api_key is not None:
        return _signed(wish, settings, login, parse_api_key(settings.api_key, "MESHAGENT_API_KEY"))
    if settings.secret is not None:
        project = wish.project_id or settings.project_id or ""
        return _signed(wish, settings, login, ApiKey("", project, settings.secret))
    if login is not None:
        return _with_login(wish, settings, login, now)
    return LocalRoom(_room(wish, settings))


def _with_token(wish: JoinWish, settings: Settings, login: SavedLogin | None, now: float) -> JoinTarget:
    token = settings.token or ""
    claims = read_claims(token)
    if claims is None:
        raise AuthError("MESHAGENT_TOKEN is not a participant token.", fix="Unset it, or use --local.")
    if claims.expires is not None and claims.expires <= now:
        raise AuthError("MESHAGENT_TOKEN has expired.", fix="Set a new one, or use --local.")
    return JoinTarget(_granted_room(wish, settings, claims), _base_url(settings, login), token)


def _granted_room(wish: JoinWish, settings: Settings, claims: TokenClaims) -> str:
    asked = wish.room or settings.room
    if asked is not None and claims.room is not None and asked != claims.room:
        raise UsageError(
            f"MESHAGENT_TOKEN is for the room {claims.room!r}, not {asked!r}.",
            fix="Join that room, or unset MESHAGENT_TOKEN.",
        )
    return asked or claims.room or _room(wish, settings)


def _with_login(
    wish: JoinWish, settings: Settings, login: SavedLogin, now: float
) -> JoinTarget | TokenRequest:
    project = wish.project_id or settings.project_id or login.project_id
    if project is not None and project in login.api_keys:
        return _signed(wish, settings, login, parse_api_key(login.api_keys[project], "The saved API key"))
    # What can be renewed may be over: `cli.local.reach` sees to it.
    access_token = login.session(now) if login.refresh_token is None else login.access_token or ""
    if project is None:
        raise UsageError(
            "The saved MeshAgent login has no active project.",
            fix="Choose one with `process setup`, or name one with MESHAGENT_PROJECT_ID.",
        )
    return TokenRequest(
        room=_room(wish, settings),
        api_url=_api_url(settings, login),
        base_url=_base_url(settings, login),
        project_id=project,
        identity=_identity(wish),
        role=wish.role,
        access_token=access_token,
        login=login,
    )


def _signed(wish: JoinWish, settings: Settings, login: SavedLogin | None, key: ApiKey) -> JoinTarget:
    from process_agent.wire import participant_token as tokens

    room, claims = _room(wish, settings), {"version": version("meshagent-api")}
    claims |= {name: value for name, value in (("sub", key.project_id), ("kid", key.key_id)) if value}
    token = tokens.ParticipantToken(
        name=_identity(wish), room=room, role=wish.role, api=tokens.default_api(wish.role), extra=claims
    )
    return JoinTarget(room, _base_url(settings, login), tokens.encode(token, key.secret))


def parse_api_key(text: str, source: str) -> ApiKey:
    """Take a key apart (room protocol, section 14). Raises `AuthError` that names `source`, not the key."""
    kind, *parts = text.strip().split("-", 3)
    if kind != "ma" or len(parts) != 3 or not parts[2]:
        raise AuthError(f"{source} is not a MeshAgent API key: those read ma-<id>-<project>-<secret>.")
    try:
        key_id, project_id = (_uuid(part) for part in parts[:2])
    except (binascii.Error, ValueError) as error:
        raise AuthError(f"{source} is damaged: its ids cannot be read.", fix="Copy the key again.") from error
    return ApiKey(key_id, project_id, parts[2])


def _uuid(text: str) -> str:
    """22 characters of URL-safe base64, with `.` in place of `-`."""
    return str(
        uuid.UUID(bytes=base64.b64decode(text.replace(".", "+").replace("_", "/") + "==", validate=True))
    )


def _room(wish: JoinWish, settings: Settings) -> str:
    room = wish.room or settings.room
    if not room:
        raise UsageError("Which room?", fix="Name it with --room or MESHAGENT_ROOM.")
    return room


def _identity(wish: JoinWish) -> str:
    if not wish.identity:
        raise UsageError("Under which name?", fix="Give one with --agent-name.")
    return wish.identity


def _api_url(settings: Settings, login: SavedLogin | None) -> str:
    return settings.api_url or (login.api_url if login is not None else None) or DEFAULT_API_URL


def _base_url(settings: Settings, login: SavedLogin | None) -> str:
    return settings.room_url or _api_url(settings, login)


async def fetch_token(request: TokenRequest) -> JoinTarget:
    """Have the REST API mint the token. Raises `AuthError` when it refuses, `RoomError` when it cannot."""
    import httpx

    from process_agent.wire.participant_token import default_api

    url = f"{request.api_url}/accounts/projects/{request.project_id}/participant-tokens"
    body = {
        "name": request.identity,
        "room_name": request.room,
        "role": request.role,
        "api": default_api(request.role),
    }
    headers = {"Authorization": f"Bearer {request.access_token}"}
    try:
        async with httpx.AsyncClient(timeout=REQUEST_SECONDS) as client:
            answer = await client.post(url, json=body, headers=headers)
    except httpx.HTTPError as error:
        raise RoomError(f"MeshAgent at {request.api_url} cannot be reached: {error}.") from error
    if answer.status_code in (401, 403):
        raise AuthError(
            f"MeshAgent at {request.api_url} refused the saved login (HTTP {answer.status_code}).",
            fix="Log in again with `process login`.",
        )
    token = _minted(answer) if answer.is_success else None
    if token is None:
        raise RoomError(f"MeshAgent at {request.api_url} minted no token (HTTP {answer.status_code}).")
    return JoinTarget(request.room, request.base_url, token)


def _minted(answer: httpx.Response) -> str | None:
    try:
        token = answer.json().get("token")
    except (ValueError, AttributeError):
        return None
    return token if isinstance(token, str) and token else None
