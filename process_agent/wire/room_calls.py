"""Calls of an agent into a room: the signed webhook `room.call` (room protocol, section 13).

Pure: the time is an argument. Who calls posts `{"event": "room.call", "data": {"room_name", "room_url",
"token", "arguments"}}`, and signs the SHA-256 of that body in a JWT with a secret that both sides know.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from process_agent.errors import AuthError, WireError
from process_agent.wire.participant_token import verify

EVENT: Final = "room.call"
SIGNATURE: Final = "Meshagent-Signature"
"""The header with `Bearer JWT`."""
PAYLOAD: Final = "Meshagent-Webhook"
"""The header that may hold the payload in place of the body."""

MAX_BYTES: Final = 64 * 1024
"""Of a payload: a token, an address and what the caller adds."""
MAX_ROOM_NAME: Final = 200
STALE_SECONDS: Final = 300.0
"""How old a signature may be that says when it was made."""
MIN_SECRET: Final = 32
"""Bytes of a secret; RFC 7518 asks for as many as the hash has."""


@dataclass(frozen=True, slots=True)
class Call:
    """Who is called where: the name of a room, its websocket address, and the token to join with."""

    room: str
    room_url: str
    token: str = field(repr=False)


def check_signature(payload: bytes, header: str | None, secret: str, now: float) -> None:
    """Raise `AuthError` unless the payload was signed with the secret, lately as far as the signature says.

    The signature may be of the payload as it came, or as Python's `json` writes it, which is what the
    published server compares.
    """
    scheme, _, text = (header or "").partition(" ")
    if scheme != "Bearer" or not text:
        raise AuthError(f"The call is not signed: it has no {SIGNATURE} header with a Bearer token.")
    try:
        claims = verify(text.strip(), secret, now)
    except AuthError as error:
        raise AuthError("The call's signature is not valid here.") from error
    made = claims.get("iat")
    if made is not None and not (isinstance(made, int | float) and abs(now - made) <= STALE_SECONDS):
        raise AuthError("The call's signature is too old, or from the future.")
    signed = claims.get("sha256")
    if not isinstance(signed, str) or not signed.isascii():
        raise AuthError("The call's signature says nothing about the call.")
    if not hmac.compare_digest(sha256(payload).hexdigest(), signed):
        written = json.dumps(_object(payload)).encode()
        if not hmac.compare_digest(sha256(written).hexdigest(), signed):
            raise AuthError("The signature is of another call.")


def read_call(payload: bytes) -> Call | None:
    """The call, or None for another event. Raises `WireError` for what is none."""
    event = _object(payload)
    if event.get("event") != EVENT:
        return None
    data = event.get("data")
    if not isinstance(data, Mapping):
        raise WireError(f"{EVENT} has no data")
    room, url, token = (_text(data, name) for name in ("room_name", "room_url", "token"))
    if len(room) > MAX_ROOM_NAME or not room.isprintable():
        raise WireError(f"{EVENT}: room_name is no name of a room")
    return Call(room, url, token)


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise WireError(f"{EVENT}: {name} is not a text")
    return value


def _object(payload: bytes) -> dict[str, Any]:
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise WireError("the call is not JSON") from error
    if not isinstance(found, dict):
        raise WireError("the call is not an object")
    return found
