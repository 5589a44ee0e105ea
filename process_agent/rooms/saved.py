"""Writing the login file that MeshAgent's own tools read too: see `rooms.login` for its shape.

What others keep in it stays. Changes are pure; `change` reads, changes and replaces the file under a lock of
ours, whole or not at all, readable by its owner alone.
"""

from __future__ import annotations

import copy
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from process_agent.errors import AuthError
from process_agent.rooms.oauth import Session

type Saved = dict[str, Any]

NOBODY: Final = "__local__"
"""The user of settings that were made before anybody logged in."""

MAX_FILE: Final = 4 * 1024 * 1024
_LOCK: Final = ".process-lock"


def key_of(api_url: str, user_id: str) -> str:
    """Under which key the file has a user of an API."""
    return json.dumps([api_url.rstrip("/"), user_id], ensure_ascii=False, separators=(",", ":"))


def with_session(saved: Saved, api_url: str, session: Session, profile: Mapping[str, Any] | None) -> Saved:
    """With a login. `profile` is the user as the API has it, None when it did not say: then it is kept as
    nobody's, as MeshAgent's tools do, who ask again.
    """
    changed = copy.deepcopy(saved)
    user_id = str((profile or {}).get("id") or NOBODY)
    user = _user(changed, api_url, user_id)
    user["session"] = {
        "access_token": session.access_token,
        "refresh_token": session.refresh_token,
        "expires_at": session.expires,
        "token_type": session.token_type,
        "scope": session.scope,
        "id_token": session.id_token,
    }
    if profile is not None:
        user["profile"] = {
            name: profile.get(name) if name != "id" else user_id
            for name in ("id", "first_name", "last_name", "email")
        }
        _inherit(changed, api_url, user)
    return changed


def with_project(saved: Saved, api_url: str, project_id: str, api_key: str | None = None) -> Saved:
    """With an active project, and its API key, for whoever is active at this API."""
    changed = copy.deepcopy(saved)
    user = _object(changed, "users").get(_active(changed, api_url) or "")
    if not isinstance(user, dict):
        user = _user(changed, api_url, NOBODY)
    project = _object(user, "project")
    project["active_project"] = project_id
    if api_key is not None:
        _object(project, "active_api_keys")[project_id] = api_key
    return changed


def without_login(saved: Saved, api_url: str) -> Saved:
    """Without session and API keys of whoever is active at this API; the choice of a project stays."""
    changed = copy.deepcopy(saved)
    user = _object(changed, "users").get(_active(changed, api_url) or "")
    if isinstance(user, dict):
        user["session"] = None
        project = _object(user, "project")
        project["active_api_keys"] = {}
        project["llm_proxy_bearer_token"] = None
    return changed


def change(path: Path, how: Callable[[Saved], Saved]) -> Saved:
    """Change the file, and return what it holds now. Raises `AuthError` when it cannot be read or written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path.parent / _LOCK):
            before = _read(path)
            after = how(before)
            if after != before:
                _replace(path, after)
            return after
    except OSError as error:
        raise AuthError(f"The login in {path} cannot be kept: {error.strerror or error}.") from error


def _read(path: Path) -> Saved:
    try:
        with path.open(encoding="utf-8") as file:
            saved = json.loads(file.read(MAX_FILE))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise AuthError(
            f"The saved login in {path} is damaged.", fix="Remove the file and log in again."
        ) from error
    if not isinstance(saved, dict):
        raise AuthError(f"The saved login in {path} is damaged.", fix="Remove the file and log in again.")
    return saved


def _replace(path: Path, saved: Saved) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(saved, file, indent=2, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock, so that of two of us who renew a session the second sees what the first got."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _user(saved: Saved, api_url: str, user_id: str) -> Saved:
    """The user's entry, made if it is missing, and active from now on."""
    base = api_url.rstrip("/")
    key = key_of(base, user_id)
    user = _object(_object(saved, "users"), key)
    user["api_url"] = base
    saved["active_user_id"] = key
    _object(saved, "active_profiles")[base] = key
    return user


def _inherit(saved: Saved, api_url: str, user: Saved) -> None:
    """Give a user what nobody had chosen before."""
    nobody = _object(saved, "users").pop(key_of(api_url, NOBODY), None)
    if not isinstance(nobody, dict) or nobody is user:
        return
    old, new = _object(nobody, "project"), _object(user, "project")
    new["active_project"] = new.get("active_project") or old.get("active_project")
    new["active_api_keys"] = {**_object(old, "active_api_keys"), **_object(new, "active_api_keys")}


def _active(saved: Saved, api_url: str) -> str | None:
    """The key of whoever is active at this API."""
    base = api_url.rstrip("/")
    key = _object(saved, "active_profiles").get(base)
    if isinstance(key, str):
        return key
    users = _object(saved, "users")
    active = saved.get("active_user_id")
    here = [name for name, user in users.items() if isinstance(user, dict) and user.get("api_url") == base]
    return active if active in here else (here[0] if here else None)


def _object(holder: Saved, name: str) -> Saved:
    """A member that is an object, made if it is missing or something else."""
    value = holder.get(name)
    if not isinstance(value, dict):
        value = holder[name] = {}
    return value
