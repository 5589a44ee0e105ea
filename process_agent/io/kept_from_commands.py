"""What commands in a sandbox must not read: logins, keys, the data of the room, sockets of other programs.

Paths are resolved: bubblewrap cannot hide a symbolic link (tried with 0.163.0: no command runs then), and
what a link leads to is what has to be hidden.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from process_agent.core.backend import BackendConfig
from process_agent.errors import UsageError
from process_agent.io.private_places import codex_homes, listed_paths, logins, outermost, resolved, user_home

_SOCKETS: Final = (
    "/run/docker.sock", "/run/podman", "/run/containerd", "/run/dbus", "/run/screen", "/run/user/{uid}",
    "/tmp/tmux-{uid}", "/tmp/codex-daemon-{uid}", "/tmp/.X11-unix",  # noqa: S108 - to be kept from them
)  # fmt: skip
_SOCKET_VARIABLES: Final = ("SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")

_READABLE: Final = frozenset({"skills", "AGENTS.md", "AGENTS.override.md", "plugins", "prompts", "rules"})
_ALWAYS_PRIVATE: Final = frozenset(
    {"auth.json", "config.toml", ".credentials.json", "history.jsonl", "sessions"}
)
_FOLDERS: Final = (
    "archived_sessions", "attachments", "db-backups", "generated_images", "log", "memories", "sessions",
    "shell_snapshots", "thread-writer-locks",
)  # fmt: skip
"""Folders that Codex makes in its home when it first needs them (0.163.0)."""

_LATER_FILES: Final = "[!A]*.*"
"""Names of files that Codex makes in its home, whenever that is: all but `AGENTS.md`."""

_PATTERN: Final = frozenset("*?[]")
"""What makes Codex take a path for a pattern; there is no way to write it otherwise."""


def private_places(config: BackendConfig, home: Path, own_home: bool) -> list[Path]:
    """Files and folders that commands must not read; none lies below another.

    `home` is Codex's home, `own_home` says that it is ours. (bubblewrap cannot hide a folder inside a hidden
    one.) Of those that do not exist the ones are left out whose folder does not exist either (bubblewrap
    fails to hide two of one missing folder) and the ones that commands could make: hiding would make them.
    """
    home = resolved(home)
    found = [config.data_dir, *logins(config.environment)]
    for each in dict.fromkeys([home, *map(resolved, codex_homes(config.environment))]):
        found += [each] if own_home or each != home else _private_files(each)
    if config.network:
        found += _sockets(config)
    places = [place for place in outermost(map(resolved, found)) if place.parent.exists()]
    if config.sandbox != "workspace-write":
        return places
    folder = resolved(config.working_dir)
    return [place for place in places if place.exists() or not place.is_relative_to(folder)]


def private_patterns(home: Path, own_home: bool) -> list[str]:
    """What commands must not read besides, as patterns: files that come when Codex runs in the user's home.

    Codex looks for them anew for each command; folders it does not find that way.
    """
    return [] if own_home else [f"{resolved(home)}/{_LATER_FILES}"]


def make_private_folders(home: Path) -> None:
    """Make the folders that Codex would make later in the user's home: what is not there cannot be hidden.

    (With `workspace-write`, hiding a folder that is missing puts a file in its place while a command runs.)
    """
    for name in _FOLDERS:
        with contextlib.suppress(OSError):  # Codex could not make it either
            (home / name).mkdir(mode=0o700)


def check_readable(folders: Iterable[Path], private: Iterable[Path]) -> None:
    """Raise `UsageError` for a folder that is kept from commands, which have to read the skills."""
    places = list(private)
    for folder in folders:
        for place in places:
            if folder.resolve().is_relative_to(place):
                raise UsageError(
                    f"--skill-dir {folder}: commands cannot read what lies below {place}.",
                    fix="Keep the skills elsewhere.",
                )


def fixed_parents(config: BackendConfig, places: Iterable[Path]) -> list[Path]:
    """Folders on the way from the working folder to a private place, which commands must not write.

    A hidden folder stays hidden when its parent is renamed, but only for the command that does it: the next
    one would find it open under its new name (tried with 0.163.0).
    """
    if config.sandbox != "workspace-write":
        return []
    folder = resolved(config.working_dir)
    found = {
        parent
        for place in places
        if place.is_relative_to(folder)
        for parent in place.parents
        if parent != folder and parent.is_relative_to(folder)
    }
    return sorted(found)


def check_folder(config: BackendConfig, places: Iterable[Path]) -> list[str]:
    """What people should know of a working folder that holds private places.

    Raises `UsageError` when commands could not be kept from anything there, or from one of the places.
    """
    if config.sandbox == "full-access":
        return []
    places = list(places)
    odd = next((place for place in places if not _PATTERN.isdisjoint(str(place))), None)
    if odd is not None:
        raise UsageError(
            f"Codex takes {odd} for a pattern: commands could not be kept from it.",
            fix="Give it a name without any of * ? [ ], or choose another place for it.",
        )
    folder, user = resolved(config.working_dir), resolved(user_home(config.environment))
    inside = next((place for place in places if folder.is_relative_to(place)), None)
    if inside is not None:
        raise UsageError(
            f"The working folder {folder} lies in {inside}, which commands must not read.", fix=_FIX
        )
    if config.sandbox == "read-only":
        return []
    if folder == Path("/") or (user.is_relative_to(folder) and folder != user):
        raise UsageError(
            f"Commands may write in the working folder, and {folder} holds everything of yours.", fix=_FIX
        )
    held = [place for place in places if place.is_relative_to(folder)]
    warnings = []
    if folder == user:
        warnings.append(
            "the working folder is your home folder: what commands write there, your shell may run later "
            "without a sandbox; a folder of the project is safer"
        )
    fixed = fixed_parents(config, held)
    if fixed:
        names = ", ".join(str(path) for path in fixed[:3]) + (", …" if len(fixed) > 3 else "")
        warnings.append(f"commands cannot write in {names}: logins or data of the room are below")
    return warnings


_FIX: Final = (
    "Choose a folder of a project with --working-dir, or --sandbox full-access where the machine itself is "
    "the sandbox."
)


def _sockets(config: BackendConfig) -> list[Path]:
    """With the network comes every Unix socket of the machine, also of programs that run anything for you."""
    uid = os.getuid() if hasattr(os, "getuid") else 0
    needed = (config.working_dir, user_home(config.environment), Path(tempfile.gettempdir()))
    found = [
        *(Path(name.format(uid=uid)) for name in _SOCKETS),
        *listed_paths(config.environment, _SOCKET_VARIABLES),
    ]
    return [path for path in found if not any(place.is_relative_to(path) for place in needed)]


def _private_files(home: Path) -> list[Path]:
    """Of a Codex home in use, everything but what commands have to read: skills and instructions."""
    there = {entry.name for entry in home.iterdir()} if home.is_dir() else set()
    return [home / name for name in sorted((there | _ALWAYS_PRIVATE) - _READABLE)]
