"""What commands may do, as a Codex permission profile, and whether this machine can enforce it.

A profile, unlike the three classic modes, can also deny reading: the logins, the key and the data of the
room stay out of reach of commands (`[permissions]` of Codex's configuration; tried with 0.163.0).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backends.codex.toml import Value, inline_table, text
from process_agent.core.backend import BackendConfig

PROFILE: Final = "room"
_BASES: Final = {"read-only": ":read-only", "workspace-write": ":workspace"}

_READABLE: Final = frozenset({"skills", "AGENTS.md", "AGENTS.override.md", "plugins", "prompts", "rules"})
_ALWAYS_PRIVATE: Final = frozenset(
    {"auth.json", "config.toml", ".credentials.json", "history.jsonl", "sessions"}
)

NO_SANDBOX_FIX: Final = (
    "Allow unprivileged user namespaces on this machine, or choose --approvals ask to decide about each "
    "command, or --sandbox full-access where the machine itself is the sandbox."
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Settings for threads. `line` describes them in the start summary."""

    line: str
    thread: Mapping[str, Any]
    approval_policy: str


def choose_sandbox(config: BackendConfig, *, available: bool = True) -> Sandbox:
    """The settings for a configuration. Without an enforceable sandbox every step has to be approved."""
    if config.sandbox == "full-access":
        policy = "untrusted" if config.approvals == "ask" else "never"
        return Sandbox("full-access: your own rights, no sandbox", {"sandbox": "danger-full-access"}, policy)
    if not available:
        line = f"{config.sandbox} cannot be enforced here: every command and file change asks first"
        return Sandbox(line, {"sandbox": "danger-full-access"}, "untrusted")
    policy = "never" if config.approvals == "deny" else "on-request"
    network = "network on" if config.network else "network off"
    return Sandbox(f"{config.sandbox}, {network}", {"permissions": PROFILE}, policy)


def profile_arguments(config: BackendConfig, home: Path, scratch: Path, own_home: bool) -> list[str]:
    """`-c` arguments that define the profile; none with full access."""
    base = _BASES.get(config.sandbox)
    if base is None:
        return []
    rules: dict[str, Value] = {str(path): "deny" for path in secret_paths(config, home, own_home)}
    if config.sandbox == "workspace-write":
        rules |= {":slash_tmp": "read", ":tmpdir": "read", str(scratch): "write"}
    profile = inline_table(
        {"extends": base, "filesystem": rules, "network": {"enabled": config.network}},
    )
    return ["-c", f"permissions.{PROFILE}={profile}", "-c", f"default_permissions={text(PROFILE)}"]


def secret_paths(config: BackendConfig, home: Path, own_home: bool) -> list[Path]:
    """Folders that commands must not read, whether they exist or not; none lies below another.

    (bubblewrap cannot hide a folder inside a hidden one.)
    """
    user = Path(config.environment.get("HOME") or Path.home()).absolute()
    found = [config.data_dir.absolute(), user / ".meshagent"]
    homes = [home, user / ".codex"]
    chosen = config.environment.get("CODEX_HOME")
    if chosen:
        homes.append(Path(chosen).expanduser().absolute())
    for each in homes:
        found += [each] if own_home or each != home else _private_files(each)
    return [
        path for path in dict.fromkeys(found) if not any(path.is_relative_to(o) for o in found if o != path)
    ]


def _private_files(home: Path) -> list[Path]:
    """Of a Codex home in use, everything but what commands have to read: skills and instructions."""
    there = {entry.name for entry in home.iterdir()} if home.is_dir() else set()
    return [home / name for name in sorted((there | _ALWAYS_PRIVATE) - _READABLE)]


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
