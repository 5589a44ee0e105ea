"""Participant tokens: HS256 JWTs that say who joins which room and may do what there (section 14).

Pure: the time is an argument. The payload has `name` and `grants`; the grants read here are `room`, `role`,
`agent` (an agent its websocket may be opened to; there can be several) and `api`. The api scope maps a part
of the room (`messaging`, `dataset`, `storage`, …) to its fields; `{}` grants with defaults, a missing key
grants nothing.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from process_agent.errors import AuthError

ROLES = ("user", "agent", "tool")

_USER_SCOPES = (
    "livekit", "queues", "messaging", "dataset", "sqlite", "memory", "sync", "storage", "containers",
    "developer", "agents", "services",
)  # fmt: skip

_ROOM_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DATASET_ALIASES = ("database", "datasets")


@dataclass(frozen=True, slots=True)
class ParticipantToken:
    """What a token says. `api` None means no api grant at all; `expires` is in seconds since 1970.

    `extra` holds claims that are kept but not read here (`sub`, `kid`, `version`, …).
    """

    name: str
    room: str | None = None
    role: str = "user"
    api: Mapping[str, Any] | None = None
    expires: int | None = None
    extra: Mapping[str, Any] | None = None
    agents: tuple[str, ...] = ()


def is_room_name(name: str) -> bool:
    """Whether a room can have this name: 1 to 63 lower-case letters, digits and inner hyphens."""
    return _ROOM_NAME.fullmatch(name) is not None


def default_api(role: str) -> dict[str, Any]:
    """The scope a role gets when nobody says otherwise: users everything but `llm`; nobody `admin`."""
    scopes = _USER_SCOPES if role == "user" else (*_USER_SCOPES, "llm")
    return {scope: {} for scope in scopes}


def admin_api() -> dict[str, Any]:
    """The full scope: an agent's, `admin` and `tunnels`."""
    return {**default_api("agent"), "admin": {}, "tunnels": {}}


def encode(token: ParticipantToken, key: str) -> str:
    """Sign a token. Raises `AuthError` for an empty name or a role that does not exist."""
    if not token.name.strip():
        raise AuthError("A token needs a name.")
    if token.role not in ROLES:
        raise AuthError(f"There is no role {token.role!r}; roles are {', '.join(ROLES)}.")
    grants: list[dict[str, Any]] = [{"name": "role", "scope": token.role}]
    if token.room is not None:
        grants.append({"name": "room", "scope": token.room})
    grants += [{"name": "agent", "scope": agent} for agent in token.agents]
    if token.api is not None:
        grants.append({"name": "api", "scope": dict(token.api)})
    payload: dict[str, Any] = {**(token.extra or {}), "name": token.name, "grants": grants}
    if token.expires is not None:
        payload["exp"] = token.expires
    with warnings.catch_warnings():
        # MeshAgent chose the length of its keys; a warning on stderr helps nobody who was handed one.
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        return jwt.encode(payload, key, algorithm="HS256")


def decode(text: str, key: str, now: float) -> ParticipantToken:
    """Check a token's signature and times and read it. Raises `AuthError` with the reason."""
    return from_claims(verify(text, key, now))


def verify(text: str, key: str, now: float, *, audience: str | None = None) -> dict[str, Any]:
    """The payload of a JWT signed with our key, for `audience` and within its times. Raises `AuthError`.

    Without `audience` a token that names one is refused, so that a token for one door opens no other.
    """
    try:
        payload: dict[str, Any] = jwt.decode(
            text,
            key,
            algorithms=["HS256"],
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
        )
    except jwt.InvalidTokenError as error:
        raise AuthError(f"The token is not valid here: {error}.") from error
    if payload.get("aud") != audience:
        raise AuthError("The token is meant for something else.")
    _check_times(payload, now)
    return payload


def unverified(text: str, now: float) -> ParticipantToken:
    """What a token says whose key we do not have: only the room can check its signature. Raises `AuthError`
    for what is none, or not within its times.
    """
    try:
        payload: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise AuthError("That is no token.") from error
    _check_times(payload, now)
    return from_claims(payload)


def _check_times(payload: Mapping[str, Any], now: float) -> None:
    for claim in ("exp", "nbf"):
        value = payload.get(claim)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not whole and not (isinstance(value, float) and math.isfinite(value)):
            raise AuthError(f"The token's {claim} is not a number.")
    if payload.get("exp") is not None and payload["exp"] <= now:
        raise AuthError("The token has expired.")
    if payload.get("nbf") is not None and payload["nbf"] > now:
        raise AuthError("The token is not valid yet.")


def from_claims(claims: Mapping[str, Any]) -> ParticipantToken:
    """The token with these claims. Raises `AuthError` when `name` or `grants` is missing or malformed."""
    payload = dict(claims)
    name, grants = payload.pop("name", None), payload.pop("grants", None)
    if not isinstance(name, str) or not name.strip():
        raise AuthError("The token has no name.")
    if not isinstance(grants, list):
        raise AuthError("The token has no grants.")
    scopes = _scopes(grants)
    role, room = scopes.get("role", "user"), scopes.get("room")
    if role not in ROLES:
        raise AuthError(f"The token has the unknown role {role!r}.")
    if room is not None and not isinstance(room, str):
        raise AuthError("The token's room is not a name.")
    expires = payload.pop("exp", None)
    return ParticipantToken(
        name=name,
        room=room,
        role=role,
        api=_api(scopes.get("api")),
        expires=None if expires is None else int(expires),
        extra=payload,
        agents=tuple(g["scope"] for g in grants if g["name"] == "agent" and isinstance(g["scope"], str)),
    )


def _scopes(grants: list[Any]) -> dict[str, Any]:
    """The scope of each grant name; the first one counts, except that a role beats the default `user`."""
    scopes: dict[str, Any] = {}
    for grant in grants:
        if not isinstance(grant, dict) or not isinstance(grant.get("name"), str) or "scope" not in grant:
            raise AuthError("The token has a grant without a name or a scope.")
        if (grant["name"], grant["scope"]) != ("role", "user"):
            scopes.setdefault(grant["name"], grant["scope"])
    return scopes


def _api(scope: Any) -> dict[str, Any] | None:
    if scope is None:
        return None
    if not isinstance(scope, dict):
        raise AuthError("The token's api scope is not an object.")
    api: dict[str, Any] = {}
    for name, fields in scope.items():
        if fields is None:
            continue
        if not isinstance(fields, dict):
            raise AuthError(f"The token's api scope {name!r} is not an object.")
        api["dataset" if name in _DATASET_ALIASES else name] = fields
    return api
