"""What commands may do, as a Codex permission profile, and whether this machine can enforce it.

A profile, unlike the three classic modes, can also deny reading: the logins, the key and the data of the
room stay out of reach of commands (`[permissions]` of Codex's configuration; tried with 0.163.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backends.codex.toml import inline_table, text
from process_agent.core.backend import BackendConfig

PROFILE: Final = "room"
_BASES: Final = {"read-only": ":read-only", "workspace-write": ":workspace"}

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
    rules: dict[str, str] = {str(path): "deny" for path in secret_paths(config, home, own_home)}
    if not own_home:
        rules |= {str(home / "skills"): "read", str(home / "AGENTS.md"): "read"}
    if config.sandbox == "workspace-write":
        rules |= {":slash_tmp": "read", ":tmpdir": "read", str(scratch): "write"}
    profile = inline_table(
        {"extends": base, "filesystem": rules, "network": {"enabled": config.network}},
    )
    return ["-c", f"permissions.{PROFILE}={profile}", "-c", f"default_permissions={text(PROFILE)}"]


def secret_paths(config: BackendConfig, home: Path, own_home: bool) -> list[Path]:
    """Folders and files that commands must not read, whether they exist or not."""
    user = Path(config.environment.get("HOME") or Path.home())
    found = [config.data_dir.absolute(), home, user / ".codex", user / ".meshagent"]
    chosen = config.environment.get("CODEX_HOME")
    if own_home and chosen:
        found.append(Path(chosen).expanduser().absolute())
    return list(dict.fromkeys(found))
