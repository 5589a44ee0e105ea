"""Options of commands that have many, listed by subject.

The published program and typer's own way show one list; a hundred lines of it are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperOption

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Conversation": (
        *("thread", "message", "attach", "name", "approve", "timeout", "effort", "output_schema"),
    ),
    "Room and agent": (
        *("room", "project", "no_room", "agent_name", "local", "data_dir", "port", "project_id"),
        *("join_timeout", "token_from_env", "health", "profile", "json"),
    ),
    "Calls": ("host", "path", "max_rooms"),
    "Service": (
        *("service_name", "service_description", "image", "secret", "run_as", "env", "volume"),
        *("diff", "dry_run", "wait", "wait_timeout", "rollback"),
    ),
    "Channels": (
        *("channel", "websocket_auth", "websocket_origin", "websocket_open", "channel_env", "channel_users"),
    ),
    "Models and Codex": (*("backend", "model", "provider", "reasoning_effort", "models_file", "codex_home"),),
    "Workspace and sandbox": ("working_dir", "workspace", "worktrees", "sandbox", "network"),
    "Approvals": ("approvals", "approver", "approval_timeout"),
    "Tools": (
        *("shell", "advanced_shell", "require_toolkit", "tool_search", "storage", "read_only_storage"),
        *("web_search", "web_fetch", "mcp", "mcp_server", "mcp_config", "image_generation", "tool_approvals"),
        *("tool_timeout",),
    ),
    "Rules and skills": ("rule", "rules_file", "room_rules", "instructions", "skill_dir"),
    "Threads": (
        "threading_mode",
        "thread_dir",
        "thread_storage",
        "thread_isolation",
        "redact",
        "thread_retention",
    ),
}
"""Parameters by subject, in the order of the help. An option that is in none comes last, under "Other"."""

OTHER = "Other"


class GroupedCommand(TyperCommand):
    """A command whose help lists its options by subject, and that takes MeshAgent's own names of them."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`. Raises `UsageError` for a flag of MeshAgent's that is not taken."""
        from process_agent.cli.reference_flags import rewritten

        names, valued = _flags(self, ctx)
        return super().parse_args(ctx, rewritten(args, names, valued))

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """See `click.Command.format_options`."""
        records = {
            parameter.name or "": record
            for parameter in self.get_params(ctx)
            if (record := parameter.get_help_record(ctx)) is not None
        }
        for section, names in grouped(records).items():
            with formatter.section(section):
                formatter.write_dl([records[name] for name in names])


class UseCommand(TyperCommand):
    """The published program's name of `process chat`, which says why it does not take some of its flags."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`. Raises `UsageError` for a flag of MeshAgent's that is not taken."""
        from process_agent.cli.reference_flags import refuse

        refuse(args, _flags(self, ctx)[1])
        return super().parse_args(ctx, args)


def _flags(command: TyperCommand, ctx: Context) -> tuple[frozenset[str], frozenset[str]]:
    """All options of a command, and those that take a value."""
    names, valued = set[str](), set[str]()
    for option in (each for each in command.get_params(ctx) if isinstance(each, TyperOption)):
        names |= {*option.opts, *option.secondary_opts}
        if not option.is_flag:
            valued |= {*option.opts}
    return frozenset(names), frozenset(valued)


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """The names by section; sections that have none are left out."""
    left = dict.fromkeys(names)
    found: dict[str, list[str]] = {}
    for section, members in SECTIONS.items():
        if here := [name for name in members if name in left]:
            found[section] = here
        for name in here:
            del left[name]
    return found | ({OTHER: list(left)} if left else {})
