"""What the credentials of MeshAgent say about themselves, in the order in which they count. Pure."""

from __future__ import annotations

from typing import Final

from process_agent.config import Settings
from process_agent.core.diagnosis import Finding, failure, fine, warning
from process_agent.errors import AuthError
from process_agent.rooms.credentials import parse_api_key
from process_agent.rooms.login import SavedLogin
from process_agent.rooms.tokens import TokenClaims, read_claims

SUBJECT: Final = "credentials"
SOON: Final = 3600.0
"""Seconds before the end of a token that are worth a warning."""

_NEW_TOKEN: Final = "Set a new one, unset it, or use --local."  # noqa: S105 # words about a token
_LOG_IN: Final = "Log in again with `process login`."


def credentials(settings: Settings, login: SavedLogin | None, *, local: bool, now: float) -> list[Finding]:
    """The credentials that would be used. `now` is in seconds since 1970."""
    if local:
        return [fine(SUBJECT, "none needed: --local")]
    if settings.token is not None:
        return _token(read_claims(settings.token), settings, now)
    if settings.api_key is not None:
        return [_api_key(settings.api_key)]
    if settings.secret is not None:
        return [fine(SUBJECT, "MESHAGENT_SECRET signs tokens here")]
    if login is not None:
        return [_login(login, settings, now)]
    return [fine(SUBJECT, "none of MeshAgent, so the local room is used; `process login` changes that")]


def _token(claims: TokenClaims | None, settings: Settings, now: float) -> list[Finding]:
    if claims is None:
        return [failure(SUBJECT, "MESHAGENT_TOKEN is not a participant token", _NEW_TOKEN)]
    parts = [f"MESHAGENT_TOKEN is for {claims.name or 'nobody'} as {claims.role}"]
    parts.append(f"room {claims.room}" if claims.room else "no room grant")
    parts += [f"project {claims.project_id}"] if claims.project_id else []
    parts += ["may use models"] if claims.may_use_models else []
    findings = [_expiry(", ".join(parts), claims.expires, now)]
    if settings.room is not None and claims.room is not None and settings.room != claims.room:
        findings.append(
            failure(
                SUBJECT,
                f"MESHAGENT_ROOM is {settings.room}, and MESHAGENT_TOKEN is for {claims.room}",
                "Unset one of them.",
            )
        )
    return findings


def _expiry(text: str, expires: float | None, now: float) -> Finding:
    if expires is None:
        return fine(SUBJECT, f"{text}, does not expire")
    left = expires - now
    if left <= 0:
        return failure(SUBJECT, f"{text}, expired {duration(-left)} ago", _NEW_TOKEN)
    text = f"{text}, expires in {duration(left)}"
    return warning(SUBJECT, text, "Get a new one before that.") if left < SOON else fine(SUBJECT, text)


def _api_key(text: str) -> Finding:
    try:
        key = parse_api_key(text, "MESHAGENT_API_KEY")
    except AuthError as error:
        return failure(SUBJECT, error.message, error.fix or "Copy the key again, or unset the variable.")
    return fine(SUBJECT, f"MESHAGENT_API_KEY {key.key_id} of the project {key.project_id}")


def _login(login: SavedLogin, settings: Settings, now: float) -> Finding:
    project = settings.project_id or login.project_id
    if project is not None and project in login.api_keys:
        return fine(SUBJECT, f"saved API key of the project {project}")
    try:
        login.session(now)
    except AuthError as error:
        return failure(SUBJECT, error.message, _LOG_IN)
    left = "" if login.expires is None else f", good for {duration(login.expires - now)}"
    if project is None:
        return failure(SUBJECT, f"saved login without a project{left}", "Choose one with `process setup`.")
    return fine(SUBJECT, f"saved login, project {project}{left}")


def duration(seconds: float) -> str:
    """A length of time in words, in the largest unit that says enough."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
