"""The commands and their options as plain data, made once: typer's tree is slow for a key press."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from process_agent.cli import profiles

if TYPE_CHECKING:
    from typer._click import Command, Parameter

MAX_HELP: Final = 100
"""Characters of an explanation."""

KINDS: Final[Mapping[str, str]] = {
    "room": "rooms",
    "agent-name": "agents",
    "thread": "threads",
    "thread-id": "threads",
    "threads": "threads",
    "profile": "profiles",
    "service": "services",
    "service-name": "services",
}
"""What is looked up when it is asked for, by key or by name of an argument."""

FOLDERS: Final = frozenset(("working-dir", "data-dir", "codex-home", "worktrees", "skill-dir"))


def outline(root: Command) -> dict[str, Any]:
    """The tree below a command."""
    values = _values()
    return _command(root, values)


def _command(command: Command, values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    below: Mapping[str, Command] = getattr(command, "commands", {})
    options = [p for p in command.params if p.opts[0].startswith("-") and not getattr(p, "hidden", False)]
    return {
        "help": _short(command.get_short_help_str(MAX_HELP)),
        "hidden": bool(getattr(command, "hidden", False)),
        "commands": {name: _command(each, values) for name, each in below.items()},
        "options": [*(_option(each, values) for each in options), _HELP],
        "arguments": [_argument(each) for each in command.params if not each.opts[0].startswith("-")],
    }


_HELP: Final = {
    "key": "help", "flags": ["--help"], "takes": False, "many": False, "values": [], "kind": None,
    "help": "Show this message and exit.",
}  # fmt: skip


def _option(parameter: Parameter, values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    key = profiles.key_of(parameter) or parameter.opts[0].lstrip("-")
    return {
        "key": key,
        "flags": [*parameter.opts, *parameter.secondary_opts],
        "takes": not getattr(parameter, "is_flag", False),
        "many": bool(getattr(parameter, "multiple", False)),
        "values": _choices(parameter) or list(values.get(key, ())),
        "kind": _kind(key, parameter),
        "help": _short(getattr(parameter, "help", None) or ""),
    }


def _argument(parameter: Parameter) -> dict[str, Any]:
    name = parameter.name or ""
    named = {"backend": ["meshagent", "codex"], "shell": ["bash", "zsh", "fish"]}
    return {
        "values": _choices(parameter) or named.get(name, []),
        "kind": _kind(name, parameter),
        "many": parameter.nargs == -1,
    }


def _choices(parameter: Parameter) -> list[str]:
    return [str(choice) for choice in getattr(parameter.type, "choices", ())]


def _kind(key: str, parameter: Parameter) -> str | None:
    if key in FOLDERS:
        return "dirs"
    if parameter.type.name in ("path", "file") or key == "rules-file":
        return "files"
    return KINDS.get(key)


def _short(text: str) -> str:
    first = " ".join(text.split())
    return first if len(first) <= MAX_HELP else first[: MAX_HELP - 1] + "…"


def _values() -> dict[str, Sequence[str]]:
    """Values of options that take one of a few words."""
    from process_agent.agent.registry import installed
    from process_agent.cli import checked
    from process_agent.cli.providers import KINDS as PROVIDERS
    from process_agent.wire.participant_token import ROLES

    return {
        "backend": installed(),
        "provider": PROVIDERS,
        "role": ROLES,
        "sandbox": checked.SANDBOXES,
        "approvals": checked.APPROVALS,
        "workspace": checked.WORKSPACES,
        "threading-mode": checked.THREADING_MODES,
        "thread-storage": checked.THREAD_STORAGES,
        "thread-isolation": checked.ISOLATIONS,
        "channel": ("chat", "queue:", "toolkit:", "mail:", "websocket:", "command:"),
        "tool-search": ("none", "room", "agent"),
        "websocket-auth": ("jwt", "iap", "none"),
        "reasoning-effort": ("minimal", "low", "medium", "high"),
        "effort": ("minimal", "low", "medium", "high"),
        "approver": ("user", "role:"),
        "output": ("json", "table", "text"),
    }
