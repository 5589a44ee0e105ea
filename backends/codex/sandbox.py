"""What Codex's commands may do, as settings of its threads, by whether this machine can enforce it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from process_agent.core.backend import BackendConfig
from process_agent.io.command_profile import FULL_ACCESS, NO_SANDBOX, PROFILE

_ASK_ALWAYS: Final = "untrusted"


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
        policy = _ASK_ALWAYS if config.approvals == "ask" else "never"
        line = "full-access: commands have all your rights, keys and logins included; no sandbox"
        return Sandbox(line, {"sandbox": "danger-full-access"}, policy, FULL_ACCESS)
    if not available:
        line = (
            f"{config.sandbox} cannot be enforced here: every command and file change asks first, and has "
            "all your rights when it is accepted"
        )
        return Sandbox(line, {"sandbox": "danger-full-access"}, _ASK_ALWAYS, NO_SANDBOX)
    policy = "never" if config.approvals == "deny" else "on-request"
    network = "network on" if config.network else "network off"
    return Sandbox(f"{config.sandbox}, {network}", {"permissions": PROFILE}, policy)


def unasked(sandbox: Sandbox, home: Path, folder: Path) -> list[str]:
    """What the start summary says of commands that run without a question although every command asks: those
    that files of rules allow, of Codex's home or a project's. The app-server has no switch for it (0.163.0).
    """
    if sandbox.approval_policy != _ASK_ALWAYS:
        return []
    places = dict.fromkeys([home, *(parent / ".codex" for parent in (folder, *folder.parents))])
    files = [file for place in places for file in sorted((place / "rules").glob("*.rules"))]
    if not files:
        return []
    number, one = (f"{len(files)} files", f"like {files[0]}") if files[1:] else ("1 file", str(files[0]))
    return [f"{number} of Codex rules, {one}, may allow commands: those run without a question"]
