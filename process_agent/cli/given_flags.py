"""The flags of `process spec` and `process deploy` that the agent of the service gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from process_agent.cli.flag_sets import of_a_file, typed

if TYPE_CHECKING:
    import typer

OF_THE_SERVICE = frozenset(
    (
        *("service_name", "service_description", "image", "secret", "run_as", "env", "volume", "json"),
        *("room", "project", "project_id", "local", "data_dir", "port", "profile"),
        *("diff", "dry_run", "wait", "wait_timeout", "rollback"),
    )
)
"""Options that `process join` does not have, or that say where it runs."""

SHIPPED = frozenset(("rules_file", "models_file", "skill_dir", "mcp_config"))
"""Options whose files can travel along, and that are written anew for the container."""

OF_A_MACHINE = ("working_dir", "worktrees", "codex_home")
"""Options that name a folder of where the agent runs."""

PLACES = frozenset((*SHIPPED, *OF_A_MACHINE))
"""Options that name a file or a folder."""


def given(
    context: typer.Context, left_out: frozenset[str] = OF_THE_SERVICE | SHIPPED, *, absolute: bool = False
) -> Iterator[str]:
    """The flags that were given and that `process join` has too, in the order of its help, with the values
    they were understood as: no text of the command line is taken for anything else. With `absolute`, places
    are named from the root, so that they mean the same wherever the agent starts.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in left_out or not (typed(context, name) or of_a_file(context, name)):
            continue
        flag = max(parameter.opts, key=len)
        value = context.params[name]
        if value is False and parameter.secondary_opts and f"--no{flag[1:]}" not in parameter.secondary_opts:
            yield max(parameter.secondary_opts, key=len)
            continue
        for one in value if isinstance(value, list | tuple) else (value,):
            here = absolute and name in PLACES
            yield from _words(flag, Path(one).expanduser().absolute() if here else one)


def _words(flag: str, value: object) -> tuple[str, ...]:
    if isinstance(value, bool):
        return (flag,) if value else ()
    text = repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return (f"{flag}={text}",) if text.startswith("-") else (flag, text)
