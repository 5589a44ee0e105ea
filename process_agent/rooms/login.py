"""A login saved by MeshAgent's own tools, or by `process login`, in `~/.meshagent/settings.json`.

Shape (command line page, section 5): `{active_user_id, active_profiles{api_url: key}, users{key: {api_url,
session{access_token, expires_at}, project{active_project, active_api_keys{project: key}}}}}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from process_agent.errors import AuthError

_FIX = "Log in again with `process login`, set MESHAGENT_TOKEN or MESHAGENT_API_KEY, or use --local."


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """Who is logged in and where. `expires` is in seconds since 1970; `api_keys` maps projects to keys."""

    api_url: str | None
    access_token: str | None = field(repr=False)
    expires: float | None
    project_id: str | None
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    profile: Mapping[str, Any] | None = None

    @property
    def who(self) -> str:
        """The user, as far as the file says."""
        profile = self.profile or {}
        names = [str(profile[name]) for name in ("first_name", "last_name") if profile.get(name)]
        mail = [str(profile["email"])] if profile.get("email") else []
        return ", ".join([*([" ".join(names)] if names else []), *mail]) or "a MeshAgent user"

    def session(self, now: float) -> str:
        """The access token. Raises `AuthError` when there is none or it has expired."""
        if self.access_token is None:
            raise AuthError("The saved MeshAgent login has no session.", fix=_FIX)
        if self.expires is not None and self.expires <= now:
            raise AuthError("The saved MeshAgent login has expired.", fix=_FIX)
        return self.access_token


def login_file(home: Path) -> Path:
    """Where MeshAgent's tools keep the login."""
    return home / ".meshagent" / "settings.json"


def read_login(path: Path, api_url: str | None) -> SavedLogin | None:
    """The active login, or the one for `api_url` when that is given; None when nobody is logged in there.

    Raises `AuthError` when the file is there and cannot be read: it must not look like "no credentials".
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise AuthError(f"The saved login in {path} cannot be read: {error}.", fix=_FIX) from error
    try:
        saved = json.loads(text)
    except ValueError as error:
        raise AuthError(f"The saved login in {path} is not JSON.", fix=_FIX) from error
    user = _active_user(_object(saved), None if api_url is None else api_url.rstrip("/"))
    return None if user is None else _login(user)


def _active_user(saved: Mapping[str, Any], api_url: str | None) -> Mapping[str, Any] | None:
    users = _object(saved.get("users"))
    if api_url is None:
        chosen = users.get(str(saved.get("active_user_id")))
        return chosen if isinstance(chosen, dict) else None
    for url, key in _object(saved.get("active_profiles")).items():
        chosen = users.get(str(key))
        if url.rstrip("/") == api_url and isinstance(chosen, dict):
            return chosen
    here = [u for u in users.values() if isinstance(u, dict) and _url(u.get("api_url")) == api_url]
    return here[0] if here else None


def _login(user: Mapping[str, Any]) -> SavedLogin | None:
    session, project = _object(user.get("session")), _object(user.get("project"))
    keys = {k: v for k, v in _object(project.get("active_api_keys")).items() if isinstance(v, str) and v}
    token = session.get("access_token")
    if not isinstance(token, str) and not keys:
        return None
    active, refresh, profile = (
        project.get("active_project"),
        session.get("refresh_token"),
        user.get("profile"),
    )
    return SavedLogin(
        api_url=_url(user.get("api_url")),
        access_token=token if isinstance(token, str) and token else None,
        expires=_moment(session.get("expires_at")),
        project_id=active if isinstance(active, str) and active else None,
        api_keys=keys,
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
        profile=profile if isinstance(profile, dict) else None,
    )


def _moment(value: object) -> float | None:
    """Seconds since 1970 from a number or an ISO time; anything else counts as expired long ago."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _url(value: object) -> str | None:
    return value.rstrip("/") if isinstance(value, str) and value else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
