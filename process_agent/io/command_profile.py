"""What commands may do, as a Codex permission profile: for Codex, and for commands of other backends that run
in Codex's sandbox.

A profile, unlike Codex's three classic modes, can also deny reading: the logins, the key and the data of the
room stay out of reach of commands (`[permissions]` of Codex's configuration; tried with 0.163.0).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from process_agent.core.backend import BackendConfig
from process_agent.io.kept_from_commands import fixed_parents
from process_agent.io.private_places import resolved
from process_agent.wire.toml import Value, inline_table, text

PROFILE: Final = f"room-{secrets.token_hex(4)}"
"""The profile's name. Tables of one name are merged: a configuration that knew it could widen ours."""

PROTECTED: Final = (".git", ".codex", ".agents")
"""What commands cannot write at the top of the working folder: programs run what lies there."""

FULL_ACCESS: Final = (
    "Full access: commands run without a sandbox, with all rights of the agent's owner, keys and logins "
    "included."
)
NO_SANDBOX: Final = (
    "No sandbox works where this agent runs: commands that are accepted have all rights of its owner."
)

NO_SANDBOX_FIX: Final = (
    "Allow unprivileged user namespaces on this machine, or choose --approvals ask to decide about each "
    "command, or --sandbox full-access where the machine itself is the sandbox."
)

_BASES: Final = {"read-only": ":read-only", "workspace-write": ":workspace"}
_MOUNT_POINTS: Final = (*PROTECTED, ".aws")


def folder_name(agent_name: str) -> str:
    """The agent's name as one path component."""
    name = "".join(char if char.isalnum() or char in "-_." else "_" for char in agent_name).strip(".")
    return name[:100] or "agent"


def scratch_folder(config: BackendConfig) -> Path:
    """Where commands in the sandbox keep temporary files: one folder for all agents that work in one folder.

    Codex notes there which of the mount points below it made itself and how many commands use them. Commands
    with notes of different folders would take each other's away: removed while a command runs, a folder is
    no longer kept from it, and `.git/config` could be planted (tried with 0.163.0).
    """
    name = sha256(os.fsencode(resolved(config.working_dir))).hexdigest()[:16]
    return config.data_dir.absolute() / "scratch" / name


def profile_arguments(
    config: BackendConfig, places: Iterable[Path], patterns: Sequence[str], scratch: Path
) -> list[str]:
    """`-c` arguments that define the profile; none with full access. Commands cannot read `places`, nor files
    that lie right where the `patterns` say.
    """
    base = _BASES.get(config.sandbox)
    if base is None:
        return []
    places = list(places)
    rules: dict[str, Value] = {str(path): "deny" for path in places}
    rules |= dict.fromkeys(patterns, "deny")
    if patterns:
        rules["glob_scan_max_depth"] = 1
    rules |= {str(path): "read" for path in fixed_parents(config, places)}
    if config.sandbox == "workspace-write":
        rules |= {":slash_tmp": "read", ":tmpdir": "read", str(scratch.resolve()): "write"}
    profile = inline_table(
        {"extends": base, "filesystem": rules, "network": {"enabled": config.network}},
    )
    return ["-c", f"permissions.{PROFILE}={profile}", "-c", f"default_permissions={text(PROFILE)}"]


class MountPoints:
    """Empty folders that Codex's sandbox makes in the working folder while a command runs.

    It leaves them behind when a command is killed (page section 12), and an empty `.git` changes how diffs
    are named. Those that were not there before, and hold nothing, are removed.
    """

    def __init__(self, folder: Path) -> None:
        self._places = [folder / name for name in _MOUNT_POINTS]
        self._before = {place for place in self._places if place.exists()}

    def forget_leftovers(self) -> None:
        """All four there and all empty: that is an earlier run, killed."""
        if all(place.is_dir() and not any(place.iterdir()) for place in self._places):
            self._before.clear()
            self.remove()

    def remove(self) -> None:
        """Remove what was not there before. A folder that holds something stays."""
        for place in self._places:
            if place not in self._before:
                with contextlib.suppress(OSError):
                    place.rmdir()
