"""Signing in to MeshAgent: OAuth with PKCE and a callback on this machine (command line page, section 4).

Pure: randomness and time are arguments.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from process_agent.config import Settings
from process_agent.errors import AuthError

CALLBACK_PORT: Final = 8765
CALLBACK_PATH: Final = "/callback"

SCOPES: Final = (
    *("profile:read", "projects:read", "project/*", "room/*", "rooms:create", "rooms:read", "rooms:connect"),
    *("services:create", "services:read", "services:update", "services:delete", "agents:read", "agents:run"),
    *("llm:invoke",),
)
"""What our commands do with a login: look at projects and rooms, join, deploy services, use models."""

EARLY_SECONDS: Final = 30
"""A session counts as over this long before it is."""
DEFAULT_LIFE: Final = 3600
MAX_CODE: Final = 4_000


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Who asks: a client that MeshAgent knows by `client_id`, and where its API is."""

    api_url: str
    client_id: str
    secret: str | None = field(default=None, repr=False)
    scopes: str = " ".join(SCOPES)


@dataclass(frozen=True, slots=True)
class Session:
    """What a login is worth: tokens, and when the first of them ends, in seconds since 1970."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires: int
    token_type: str = "Bearer"  # noqa: S105 # a kind of token
    scope: str | None = None
    id_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """One attempt: `verifier` proves at the end that we began it, `state` that the callback belongs to it."""

    client: OAuthClient
    verifier: str = field(repr=False)
    state: str = field(repr=False)
    redirect: str

    @property
    def url(self) -> str:
        """The page to open."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.redirect,
            "scope": self.client.scopes,
            "code_challenge": _base64(digest),
            "code_challenge_method": "S256",
            "state": self.state,
        }
        return f"{self.client.api_url}/oauth/authorize?{urlencode(asked)}"

    def code(self, target: str) -> str | None:
        """The code in the target of a request to the callback; None for a request that is not ours.

        Raises `AuthError` when the sign-in was refused.
        """
        parts = urlsplit(target)
        given = {name: values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
        ours = hmac.compare_digest(given.get("state", "").encode(), self.state.encode())
        if parts.path != CALLBACK_PATH or not ours:
            return None
        if "error" in given:
            why = given.get("error_description") or given["error"]
            raise AuthError(f"MeshAgent did not sign you in: {why[:200]}.")
        code = given.get("code", "")
        return code if 0 < len(code) <= MAX_CODE else None

    def form(self, code: str) -> dict[str, str]:
        """What is posted for the tokens."""
        return _with_secret(
            self.client,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.redirect,
                "code_verifier": self.verifier,
            },
        )


def client_of(settings: Settings, api_url: str) -> OAuthClient | None:
    """The client that the environment names; None where it names none."""
    if settings.oauth_client_id is None:
        return None
    scopes = settings.oauth_scopes or " ".join(SCOPES)
    return OAuthClient(api_url.rstrip("/"), settings.oauth_client_id, settings.oauth_client_secret, scopes)


def attempt(client: OAuthClient, randomness: bytes, port: int = CALLBACK_PORT) -> SignInAttempt:
    """A new attempt from 64 random bytes."""
    if len(randomness) < 64:
        raise ValueError("64 bytes are needed")
    verifier, state = _base64(randomness[:40]), _base64(randomness[40:])
    return SignInAttempt(client, verifier, state, f"http://localhost:{port}{CALLBACK_PATH}")


def refresh_form(client: OAuthClient, refresh_token: str) -> dict[str, str]:
    """What is posted for new tokens."""
    return _with_secret(client, {"grant_type": "refresh_token", "refresh_token": refresh_token})


def session_of(answer: object, now: float, before: str | None = None) -> Session:
    """The session in the answer of the token endpoint; `before` is the refresh token that stays good where
    the answer has none. Raises `AuthError`.
    """
    found: Mapping[str, Any] = answer if isinstance(answer, dict) else {}
    access = found.get("access_token")
    if not isinstance(access, str) or not access:
        raise AuthError("MeshAgent signed you in and gave no token.", fix="Try again.")
    life = found.get("expires_in")
    seconds = int(life) if isinstance(life, int | float) and life > 0 else DEFAULT_LIFE
    return Session(
        access_token=access,
        refresh_token=_text(found.get("refresh_token")) or before,
        expires=int(now) + max(0, seconds - EARLY_SECONDS),
        token_type=_text(found.get("token_type")) or "Bearer",
        scope=_text(found.get("scope")),
        id_token=_text(found.get("id_token")),
    )


def _with_secret(client: OAuthClient, form: dict[str, str]) -> dict[str, str]:
    form["client_id"] = client.client_id
    return form if client.secret is None else {**form, "client_secret": client.secret}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
