"""Which `process.toml` counts: the user's own, and the working folder's once it is trusted.

Whoever can write into a folder that somebody starts an agent in, a cloned repository or the agent itself,
must not be able to turn off the sandbox or to name a program to run. So the file there is not even parsed
before the user said `process config trust`, which holds for that file with that content.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from process_agent.cli.settings_file import Entry, Kind, Layer, SettingsFile, parse
from process_agent.cli.settings_places import NAME, Places
from process_agent.errors import UsageError

TRUSTED: Final = "trusted.json"
MAX_FILE: Final = 64 * 1024
MAX_TRUSTED: Final = 500
"""Folders whose file is trusted; the oldest go."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: files that count, the strongest first, and one that does not count yet."""

    files: tuple[SettingsFile, ...]
    untrusted: Path | None = None

    def values(self, profile: str | None) -> dict[str, Entry]:
        """The values of the files, without flags and environment: those of the profile before those that
        hold always, the working folder's before the user's.

        Raises `UsageError` when no file has the profile.
        """
        if profile is not None and not any(profile in file.profiles for file in self.files):
            raise self._no_profile(profile)
        merged: dict[str, Entry] = {}
        for layer in self._layers(profile):
            for key, entry in layer.items():
                merged.setdefault(key, entry)
        return merged

    def _layers(self, profile: str | None) -> Iterator[Layer]:
        if profile is not None:
            yield from (file.profiles.get(profile, {}) for file in self.files)
        yield from (file.always for file in self.files)

    def _no_profile(self, profile: str) -> UsageError:
        names = sorted({name for file in self.files for name in file.profiles})
        fix = f"There is: {', '.join(names)}." if names else f"Write [profiles.{profile}] into a {NAME}."
        if self.untrusted is not None:
            fix = f"{self.untrusted} is not trusted; read it, then `process config trust`."
        return UsageError(f"There is no profile {profile[:60]!r}.", fix=fix)


def find(places: Places, known: Mapping[str, Kind]) -> Found:
    """Read the files. Raises `UsageError` for one that counts and cannot be used."""
    files, untrusted = [], None
    if places.here is not None and places.here.exists():
        content = read(places.here)
        if is_trusted(places, content):
            files.append(parse(_text(content, places.here), places.here, known))
        else:
            untrusted = places.here
    if places.own.exists():
        _check_owner(places.own)
        files.append(parse(_text(read(places.own), places.own), places.own, known))
    return Found(tuple(files), untrusted)


def read(path: Path) -> bytes:
    """The content of a file. Raises `UsageError` for one that is too large or no file at all."""
    try:
        # Without O_NONBLOCK a pipe in its place would have us wait for ever.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{path} is not a file.")
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > MAX_FILE:
        raise UsageError(f"{path} is larger than {MAX_FILE // 1024} KiB.")
    return content


def is_trusted(places: Places, content: bytes) -> bool:
    """Whether the user trusted the working folder's file as it is."""
    return places.here is not None and _trusted(places).get(str(places.here)) == _digest(content)


def trust(places: Places, content: bytes | None) -> None:
    """Trust the working folder's file with this content; None: not any more. Raises `UsageError`."""
    kept = _trusted(places)
    kept.pop(str(places.here), None)
    if content is not None:
        kept[str(places.here)] = _digest(content)
    newest = dict(list(kept.items())[-MAX_TRUSTED:])
    path = places.user / TRUSTED
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        places.user.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(newest, file, indent=1)
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


def _trusted(places: Places) -> dict[str, str]:
    path = places.user / TRUSTED
    try:
        _check_owner(path)
        found = json.loads(read(path))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UsageError(f"{path} is damaged.", fix="Remove it.") from error
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _check_owner(path: Path) -> None:
    """Raise `UsageError` for a file of the user's that others may write."""
    found = path.stat()
    if found.st_uid not in (os.getuid(), 0) or found.st_mode & 0o022:
        raise UsageError(
            f"{path} can be written by others, and is not used.", fix=f"Run chmod go-w {path}, as its owner."
        )


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8.") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
