"""What our own token says, read without its key: only the room can check the signature."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The readable part of a participant token; what is missing is None."""

    name: str | None
    room: str | None
    role: str
    project_id: str | None
    expires: float | None
    may_use_models: bool = False
    """Whether it opens MeshAgent's proxy for models (gateway page, section 5.2)."""


def read_claims(token: str) -> TokenClaims | None:
    """The claims of a JWT, or None when the text is not one."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    return _claims(payload) if isinstance(payload, dict) else None


def _claims(payload: Mapping[str, Any]) -> TokenClaims:
    grants = payload.get("grants")
    scopes = {
        grant["name"]: grant["scope"]
        for grant in (grants if isinstance(grants, list) else [])
        if isinstance(grant, dict) and isinstance(grant.get("name"), str) and "scope" in grant
    }
    expires = payload.get("exp")
    return TokenClaims(
        name=_text(payload.get("name")),
        room=_text(scopes.get("room")),
        role=_text(scopes.get("role")) or "user",
        project_id=_text(payload.get("sub")),
        expires=float(expires) if isinstance(expires, int | float) else None,
        may_use_models=isinstance(api := scopes.get("api"), dict) and api.get("llm") is not None,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def why_refused(token: str) -> str:
    """The end of a sentence about a refused token: what its own claims explain, or a full stop."""
    claims = read_claims(token)
    if claims is None:
        return ": it is not a participant token."
    if claims.expires is not None and claims.expires <= time.time():
        return ": it has expired."
    grant = f" is for the room {claims.room!r}" if claims.room else " has no room grant"
    return f". The token{grant}; it may be revoked, signed with another key, or not allowed here."
