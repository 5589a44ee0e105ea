"""What commands may do, as a Codex permission profile, and whether this machine can enforce it.

A profile, unlike the three classic modes, can also deny reading: the logins, the key and the data of the
room stay out of reach of commands (`[permissions]` of Codex's configuration; tried with 0.163.0).
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backends.codex.private_places import fixed_parents
from backends.codex.toml import Value, inline_table, text
from process_agent.core.backend import BackendConfig

PROFILE: Final = f"room-{secrets.token_hex(4)}"
"""The profile's name. Tables of one name are merged: a configuration that knew it could widen ours."""

_BASES: Final = {"read-only": ":read-only", "workspace-write": ":workspace"}

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


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Settings for threads. `line` describes them in the start summary, `caution` is for the people in the
    room, where there is no sandbox.
    """

    line: str
    thread: Mapping[str, Any]
    approval_policy: str
    caution: str | None = None


def choose_sandbox(config: BackendConfig, *, available: bool = True) -> Sandbox:
    """The settings for a configuration. Without an enforceable sandbox every step has to be approved."""
    if config.sandbox == "full-access":
        policy = "untrusted" if config.approvals == "ask" else "never"
        line = "full-access: commands have all your rights, keys and logins included; no sandbox"
        return Sandbox(line, {"sandbox": "danger-full-access"}, policy, FULL_ACCESS)
    if not available:
        line = (
            f"{config.sandbox} cannot be enforced here: every command and file change asks first, and has "
            "all your rights when it is accepted"
        )
        return Sandbox(line, {"sandbox": "danger-full-access"}, "untrusted", NO_SANDBOX)
    policy = "never" if config.approvals == "deny" else "on-request"
    network = "network on" if config.network else "network off"
    return Sandbox(f"{config.sandbox}, {network}", {"permissions": PROFILE}, policy)


def profile_arguments(config: BackendConfig, places: Iterable[Path], scratch: Path) -> list[str]:
    """`-c` arguments that define the profile; none with full access. Commands cannot read `places`."""
    base = _BASES.get(config.sandbox)
    if base is None:
        return []
    places = list(places)
    rules: dict[str, Value] = {str(path): "deny" for path in places}
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
        self._places = [folder / name for name in (".git", ".codex", ".agents", ".aws")]
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
