"""Who may come in: participant tokens, Studio's one-time codes and session cookies, Host and Origin. Pure.

Times are seconds since 1970 and passed in.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

import jwt

from process_agent.errors import AuthError
from process_agent.wire import participant_token
from process_agent.wire.participant_token import ParticipantToken
from process_agent.wire.web_names import check_host as check_host
from process_agent.wire.web_names import check_origin as check_origin

CODE_SECONDS = 3600
"""How long a code of a Studio link can be redeemed."""

MAX_CODES = 1024
"""Most codes waiting; the oldest makes place."""

SESSION_SECONDS = 30 * 24 * 3600
"""How long a browser stays logged in."""

CONTROL_SECONDS = 60
"""How long a token of the owner's is good for; each command makes its own."""

_STUDIO = "studio"
_CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person in a browser: which room, and under which name."""

    room: str
    name: str


def bearer(authorization: str | None) -> str:
    """The token in an Authorization header. Raises `AuthError`."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthError("There is no bearer token.")
    return token.strip()


def participant(authorization: str | None, key: str, room: str, now: float) -> ParticipantToken:
    """The token of somebody who joins `room`. Raises `AuthError`."""
    token = participant_token.decode(bearer(authorization), key, now)
    if token.room != room:
        raise AuthError("The token is for another room.")
    return token


def administrator(authorization: str | None, key: str, now: float) -> ParticipantToken:
    """The bearer of an admin token, or of an API key whose secret is our signing key. Raises `AuthError`."""
    text = bearer(authorization)
    if text.startswith("ma-"):
        _check_api_key(text, key)
        return ParticipantToken(name="api-key", api=participant_token.admin_api())
    token = participant_token.decode(text, key, now)
    if token.api is None or "admin" not in token.api:
        raise AuthError("The token does not grant admin.")
    return token


def control_token(key: str, now: float) -> str:
    """What shows the owner of the data folder, who alone can read the key. No participant has one."""
    return jwt.encode({"aud": _CONTROL, "exp": int(now) + CONTROL_SECONDS}, key, algorithm="HS256")


def owner(authorization: str | None, key: str, now: float) -> None:
    """Raise `AuthError` unless the bearer knows our signing key: an API key of it, or a control token.

    Services run commands, so tokens that the owner gives to others, even to administrators, are not enough.
    """
    text = bearer(authorization)
    if text.startswith("ma-"):
        _check_api_key(text, key)
    else:
        participant_token.verify(text, key, now, audience=_CONTROL)


def _check_api_key(text: str, key: str) -> None:
    parts = text.split("-", 3)
    if len(parts) != 4 or not hmac.compare_digest(parts[3].encode(), key.encode()):
        raise AuthError("The API key is not valid here.")


class Codes:
    """One-time codes that a Studio link carries."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[Identity, float]] = {}

    def issue(self, identity: Identity, now: float) -> str:
        """A new code, good for `CODE_SECONDS`."""
        while len(self._codes) >= MAX_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(32)
        self._codes[code] = (identity, now + CODE_SECONDS)
        return code

    def redeem(self, code: str, now: float) -> Identity:
        """Whom a code was issued for; it cannot be redeemed again. Raises `AuthError`."""
        identity, until = self._codes.pop(code, (None, 0.0))
        if identity is None or until <= now:
            raise AuthError("This link was used already or is too old; process room link prints a new one.")
        return identity


def session_cookie(identity: Identity, key: str, now: float) -> str:
    """The value of a browser's session cookie: a signed statement that outlives the server."""
    payload = {
        "aud": _STUDIO,
        "name": identity.name,
        "room": identity.room,
        "exp": int(now) + SESSION_SECONDS,
    }
    return jwt.encode(payload, key, algorithm="HS256")


def session(cookie: str | None, key: str, now: float) -> Identity:
    """Whom a session cookie was given to. Raises `AuthError`."""
    if not cookie:
        raise AuthError("There is no session.")
    payload = participant_token.verify(cookie, key, now, audience=_STUDIO)
    name, room = payload.get("name"), payload.get("room")
    if not isinstance(name, str) or not isinstance(room, str):
        raise AuthError("The session is not complete.")
    return Identity(room, name)


def cookie_name(port: int) -> str:
    """Cookies do not know ports, so the name does."""
    return f"process_session_{port}"
